"""BLIP's VQA network on transformers' classes: its makers' checkpoint read strictly, a yes or a no per question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...evals.errors import EnvironmentProblem, UsageError
from ..dpg_bench.vqa.observer import to_pixels
from ..dpg_bench.vqa.tokens import Tokens
from ..dpg_bench.vqa.weights import read_pickle

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

WEIGHTS: Final = "model_base_vqa_capfilt_large.pth"
VOCABULARY: Final = "vocab.txt"
_LENGTH: Final = 35
_WORDS: Final = 50
_MARKS: Final = re.compile(r"([.!\"()*#:;~])")
_HEAD: Final = 64
"""Width of an attention head: that of ViT-B/16 and of BERT-base, whose checkpoint does not tell it."""


def cleaned(question: str) -> str:
    """Return a question as BLIP's data loader has it (data/utils.py, pre_question)."""
    text = _MARKS.sub("", question.lower()).rstrip(" ")
    return " ".join(text.split(" ")[:_WORDS])


class Blip:
    """BLIP-VQA: `chances` is the probability of "yes" beside "no" as an answer's first word.

    Port of Karine-Huang/T2I-CompBench 1b70949 (MIT; its models/ BSD-3-Clause, Salesforce), BLIPvqa_eval/models/
    blip_vqa.py (`vqa_prob`), data/__init__.py (`transform_test`).
    """

    def __init__(self, folder: Path, device: str) -> None:
        """Raises UsageError for a folder that is none, EnvironmentProblem for files that are not BLIP's."""
        if not folder.is_dir():
            raise UsageError(f"--vqa {folder}: no such folder; expected official, toy or a folder with {WEIGHTS}")
        lacking = next((each for each in (WEIGHTS, VOCABULARY) if not (folder / each).is_file()), None)
        if lacking:
            raise EnvironmentProblem(f"{folder} has no {lacking}; it holds {WEIGHTS} and {VOCABULARY}")
        self.tokens = Tokens.read(folder / VOCABULARY)
        numbers = {word: number for number, word in enumerate(self.tokens.words)}
        if not {"yes", "no"} <= numbers.keys():
            raise EnvironmentProblem(f"{folder / VOCABULARY} has no yes or no: it is not BERT's")
        self.yes, self.no = numbers["yes"], numbers["no"]
        self.begin, self.ask = len(numbers), len(numbers) + 1  # [DEC] and [ENC] stand behind BERT's words
        self.device = device
        self.network: Any = _network(folder / WEIGHTS, len(numbers) + 2).to(device)

    def chances(self, picture: Image, questions: Sequence[str]) -> list[float]:
        """Return how likely each answer begins with yes, of yes and no, from 0 to 1."""
        import torch

        pixels = to_pixels(picture, self.network.config.vision_config.image_size)[None].to(self.device)
        with torch.inference_mode():
            seen = self.network.vision_model(pixel_values=pixels).last_hidden_state
            return [self._chance(seen, self.tokens.encode(cleaned(each), _LENGTH)[0]) for each in questions]

    def _chance(self, seen: Tensor, ids: Sequence[int]) -> float:
        """Return the chance of one question, its ids between [CLS] and [SEP].

        One at a time: transformers' text network lets padding into the answer, the original does not.
        """
        import torch

        states = self.network.text_encoder(
            input_ids=torch.tensor([[self.ask, *ids[1:]]], device=self.device), encoder_hidden_states=seen
        ).last_hidden_state
        start = torch.tensor([[self.begin]], device=self.device)
        logits = self.network.text_decoder(input_ids=start, encoder_hidden_states=states).logits[0, 0]
        chance = logits.softmax(dim=0)
        return float(chance[self.yes] / (chance[self.yes] + chance[self.no]))


def _network(path: Path, words: int) -> Any:
    """Return the network with a checkpoint's weights, in float32. Raises EnvironmentProblem for what is not BLIP's."""
    import torch
    from transformers import BlipForQuestionAnswering

    found = read_pickle(path)
    state: Any = found.get("model") if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        raise EnvironmentProblem(f"{path} has no tensors under 'model': it is not BLIP's checkpoint")
    try:
        config = _sizes(state)
        network = BlipForQuestionAnswering(config)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise EnvironmentProblem(f"{path} is not BLIP's VQA checkpoint: {error!r:.100}") from error
    if config.text_config.vocab_size != words:
        raise EnvironmentProblem(
            f"{path} has {config.text_config.vocab_size} words, {VOCABULARY} and two marks {words}"
        )
    told = {_renamed(str(name)): each for name, each in state.items() if not str(name).endswith("position_ids")}
    wanted = {name: each for name, each in network.state_dict().items() if not name.endswith("position_ids")}
    odd = sorted(told.keys() ^ wanted.keys()) or [name for name in wanted if told[name].shape != wanted[name].shape]
    if odd:
        raise EnvironmentProblem(f"{path} and BLIP's network differ in {len(odd)} tensors, the first {odd[0]}")
    network.load_state_dict(told, strict=False)
    return network.float().eval().requires_grad_(False)


def _sizes(state: Mapping[str, Tensor]) -> Any:
    """Return transformers' configuration of a network whose tensors have these shapes."""
    from transformers import BlipConfig

    width, _, patch, _ = state["visual_encoder.patch_embed.proj.weight"].shape
    side = round((state["visual_encoder.pos_embed"].shape[1] - 1) ** 0.5)
    words, text_width = state["text_encoder.embeddings.word_embeddings.weight"].shape
    vision = {
        "hidden_size": width,
        "intermediate_size": state["visual_encoder.blocks.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": _count(state, r"visual_encoder\.blocks\.(\d+)\.norm1\.weight"),
        "num_attention_heads": width // _HEAD,
        "image_size": side * patch,
        "patch_size": patch,
        "layer_norm_eps": 1e-6,
    }
    text = {
        "vocab_size": words,
        "hidden_size": text_width,
        "encoder_hidden_size": width,
        "intermediate_size": state["text_encoder.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_hidden_layers": _count(state, r"text_encoder\.encoder\.layer\.(\d+)\.output\.dense\.weight"),
        "num_attention_heads": text_width // _HEAD,
        "max_position_embeddings": state["text_encoder.embeddings.position_embeddings.weight"].shape[0],
        "bos_token_id": words - 2,
    }
    return BlipConfig(text_config=text, vision_config=vision)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len([name for name in state if re.fullmatch(pattern, name)])


_NAMES: Final = (
    (r"^visual_encoder\.patch_embed\.proj\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual_encoder\.pos_embed$", "vision_model.embeddings.position_embedding"),
    (r"^visual_encoder\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^visual_encoder\.norm\.", "vision_model.post_layernorm."),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.proj\.", r"vision_model.encoder.layers.\1.self_attn.projection."),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.", r"vision_model.encoder.layers.\1.self_attn."),
    (r"^visual_encoder\.blocks\.(\d+)\.norm(\d)\.", r"vision_model.encoder.layers.\1.layer_norm\2."),
    (r"^visual_encoder\.blocks\.", "vision_model.encoder.layers."),
)


def _renamed(name: str) -> str:
    """Return what transformers calls a tensor of the checkpoint."""
    for pattern, other in _NAMES:
        new = re.sub(pattern, other, name)
        if new != name:
            return new
    return name
