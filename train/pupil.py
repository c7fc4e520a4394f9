"""What is trained as Janus: the network with its tokenizer, its factored picture head and its eyes' teacher."""

from __future__ import annotations

from collections.abc import Sequence

import tokenizer as words
import torch
from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES
from network import Factored, build, sort_words, turned
from sight import teacher
from torch import Tensor, nn
from transformers import JanusForConditionalGeneration


class Pupil(nn.Module):
    """The network, its factored picture head and the dense teacher's head of its eyes."""

    def __init__(self) -> None:
        super().__init__()
        self.text = words.build()
        ids = {
            key: self.token(text)
            for key, text in (("bos", words.BOS), ("eos", words.EOS), ("pad", words.PAD), ("image", words.IMAGE))
        }
        self.ids = {**ids, "boi": self.token(words.BOI), "eoi": self.token(words.EOI)}
        self.janus: JanusForConditionalGeneration = build(self.text.get_vocab_size(), ids)
        self.janus.set_attn_implementation("eager")  # a third faster than sdpa's backward at this length on a CPU
        nouns = [self.token(f"Ġ{name}{end}") for name in NAMES for end in ("", "s")]
        sort_words(self.janus, (nouns, [self.token(f"Ġ{color}") for color in COLOR_NAMES]), self.encode(":")[0])
        self.factored = Factored()
        self.teacher = teacher(128)
        for part in (self.janus.model.vqmodel, self.janus.model.generation_embeddings):
            part.requires_grad_(False)
        self.janus.model.generation_head.vision_head.requires_grad_(False)

    def token(self, text: str) -> int:
        found = self.text.token_to_id(text)
        assert found is not None, text
        return found

    def voices(self, group: Sequence[str]) -> Tensor:
        """Return what patches that show the words are drawn to (words, width): see `network.turned`."""
        ids = [self.encode(f" {word}") for word in group]
        assert all(len(each) == 1 for each in ids)
        return turned(self.janus.model.language_model.embed_tokens(torch.tensor(ids)[:, 0]))

    def encode(self, text: str) -> list[int]:
        return self.text.encode(text, add_special_tokens=False).ids

    def prompt(self, text: str) -> list[int]:
        return [self.ids["bos"], *self.encode(f"{words.USER}: {text}\n\n{words.ASSISTANT}:"), self.ids["boi"]]

    def blank(self, ids: list[int]) -> list[int]:
        return [ids[0], *[self.ids["pad"]] * (len(ids) - 2), ids[-1]]

    def picture_hidden(self, hidden: Tensor) -> Tensor:
        head = self.janus.model.generation_head
        return head.activation_fn(head.proj_out(hidden))

    def picture_embeds(self, cells: Tensor) -> Tensor:
        return self.janus.model.generation_aligner(self.factored.embed(cells))
