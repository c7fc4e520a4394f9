"""VQA scorers other than mPLUG: models of the hub by id, and OpenAI-compatible endpoints.

Their numbers go under "official@hf:ORG/NAME" and are not comparable with mPLUG's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....evals.endpoint.chat import Chat, Terms
from ....evals.endpoint.keys import read_key
from ....evals.endpoint.parts import part, png
from ....evals.endpoint.replies import RequestFailed, clean, grade_of
from ....evals.errors import EnvironmentProblem, UsageError
from ....evals.extras import pip_line
from ...judging.local import hub_place, load_chat

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from .answering import VqaModel

PROMPT = "{question}\nAnswer with one word: yes or no."
PROMPT_NAME = "yes-no-1"
"""The prompt above for chat models, the bare question for VQA models; `first_word` reads the reply."""

MOST_TOKENS = 16
"""Enough for "Yes, there is ..."; a chat model that thinks first needs another scorer option."""


def first_word(reply: str) -> str:
    """Return "yes" or "no" where the reply begins so, whatever the case and the marks around it; else the reply."""
    words = reply.strip().lower().split()
    word = words[0].strip(".,:;!?*_\"'`()[]") if words else ""
    return word if word in ("yes", "no") else reply.strip()


class EndpointVqa:
    """A vision-language model behind an OpenAI-compatible endpoint; one request a question, greedy.

    The key is read from OPENAI_API_KEY. Raises EnvironmentProblem where the endpoint cannot be
    reached and RequestFailed where a request gets no reply, an empty one or a refusal: neither is a "no".
    What the others of a batch replied is kept, so that it costs nothing to ask for them one by one.
    """

    def __init__(self, model: str, base_url: str | None, *, workers: int = 8) -> None:
        self.model = model
        self.workers = workers
        self._who = f"dpg-vqa openai:{model}"
        self._chat = Chat(Terms(base_url), read_key("OPENAI_API_KEY", None, base_url), self._who)
        self._kept: dict[tuple[bytes, str], str] = {}

    def ask(self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]) -> list[list[tuple[str, bool]]]:
        encoded = [png(each) for each in pictures]
        names = [hashlib.sha256(each).digest() for each in encoded]
        parts = [part("png", each) for each in encoded]
        flat = [(each, text) for each, asked in zip(parts, questions, strict=True) for text in asked]
        keys = [(name, text) for name, asked in zip(names, questions, strict=True) for text in asked]
        todo = [one for one, key in zip(flat, keys, strict=True) if key not in self._kept]
        made = iter(self._chat.gather(lambda one: self._tried(*one), todo, self.workers))
        replies = [self._kept[key] if key in self._kept else next(made) for key in keys]
        failed = next((each for each in replies if isinstance(each, RequestFailed)), None)
        words = {key: each for key, each in zip(keys, replies, strict=True) if isinstance(each, str)}
        if failed is not None:
            self._kept |= words if len(pictures) > 1 else {}
            raise failed
        for key in keys:
            self._kept.pop(key, None)
        rest = iter(keys)
        return [[(first_word(words[next(rest)]), False) for _ in asked] for asked in questions]

    def _tried(self, picture: dict[str, Any], question: str) -> str | RequestFailed:
        try:
            return self._one(picture, question)
        except RequestFailed as error:
            return error

    def _one(self, picture: dict[str, Any], question: str) -> str:
        content = [picture, {"type": "text", "text": PROMPT.format(question=question)}]
        message = {"role": "user", "content": content}
        reply = self._chat.ask(self.model, [message], temperature=0.0, max_tokens=MOST_TOKENS)
        text = grade_of(reply, self._who, remedy="choose a model that does not think first")
        if not text.strip():
            raise RequestFailed(f"{self._who}: the model refused to answer: {clean(reply.refusal, (), 100)}")
        return text


def hub_vqa(name: str, device: str, dtype: torch.dtype, *, offline: bool = False) -> VqaModel:
    """Return a model of the hub (ORG/NAME, ORG/NAME@REVISION) or of a local folder in its format.

    A visual-question-answering model (BLIP, ViLT ...) is asked the bare question, an image-text
    model (Qwen-VL, LLaVA, Janus ...) the prompt above through its chat template. Remote code is
    never run. Raises UsageError for a model that is neither.
    """
    try:
        from transformers import AutoConfig
        from transformers.models.auto import modeling_auto
    except ImportError as error:
        raise EnvironmentProblem(f"hf:{name} needs the package transformers: {pip_line('hf')}") from error
    folder = hub_place(name, offline=offline)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError) as error:
        raise UsageError(
            f"hf:{name} is no model that transformers knows: {' '.join(str(error).split())[:200]}"
        ) from error
    if config.model_type in modeling_auto.MODEL_FOR_VISUAL_QUESTION_ANSWERING_MAPPING_NAMES:
        return HubVqa(folder, device, dtype)
    if config.model_type in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return HubChat(folder, device, dtype)
    raise UsageError(
        f"hf:{name} ({config.model_type}) answers no questions about pictures: give a VQA or image-text model"
    )


class HubVqa:
    """A visual-question-answering model: one that writes its answer (BLIP), or chooses it from a list (ViLT)."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        from transformers import AutoModelForVisualQuestionAnswering, AutoProcessor

        self.processor: Any = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        model: Any = AutoModelForVisualQuestionAnswering.from_pretrained(folder, trust_remote_code=False, dtype=dtype)
        self.model = model.to(device).eval()
        self.device = device
        self.dtype = dtype

    def ask(self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]) -> list[list[tuple[str, bool]]]:
        return [self._picture(*one) for one in zip(pictures, questions, strict=True)]

    def _picture(self, picture: Image, questions: Sequence[str]) -> list[tuple[str, bool]]:
        import torch

        if not questions:
            return []
        inputs = self.processor(
            images=[picture] * len(questions), text=list(questions), return_tensors="pt", padding=True, truncation=True
        ).to(self.device, self.dtype)
        with torch.inference_mode():
            if self.model.can_generate() or hasattr(self.model, "text_decoder"):
                ids = self.model.generate(**inputs, max_new_tokens=MOST_TOKENS, do_sample=False)
                texts: list[str] = self.processor.batch_decode(ids, skip_special_tokens=True)
            else:
                best = self.model(**inputs).logits.argmax(-1).tolist()
                texts = [self.model.config.id2label[each] for each in best]
        return [(first_word(each), False) for each in texts]


class HubChat:
    """An image-text model, asked through its chat template, greedily, a picture's questions in one batch."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        self.processor, self.model = load_chat(folder, folder.name, device, dtype)
        self.device = device
        self.dtype = dtype

    def ask(self, pictures: Sequence[Image], questions: Sequence[Sequence[str]]) -> list[list[tuple[str, bool]]]:
        return [self._picture(*one) for one in zip(pictures, questions, strict=True)]

    def _picture(self, picture: Image, questions: Sequence[str]) -> list[tuple[str, bool]]:
        import torch

        if not questions:
            return []
        texts = [self._prompt(each) for each in questions]
        begin = self.processor.tokenizer.bos_token
        written = begin is not None and texts[0].startswith(begin)
        inputs = self.processor(
            images=[[picture] for _ in texts],
            text=texts,
            return_tensors="pt",
            padding=True,
            add_special_tokens=not written,  # a template that writes the first token must not get it twice
        ).to(self.device, self.dtype)
        with torch.inference_mode():
            ids = self.model.generate(**inputs, max_new_tokens=MOST_TOKENS, do_sample=False)
        new = ids[:, inputs["input_ids"].shape[1] :]
        replies: list[str] = self.processor.batch_decode(new, skip_special_tokens=True)
        return [(first_word(each), False) for each in replies]

    def _prompt(self, question: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": PROMPT.format(question=question)}]
        message = {"role": "user", "content": content}
        return self.processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
