"""Questions to BERT's token ids and answers back to text, from a model folder's vocab.txt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ....evals.errors import EnvironmentProblem

LENGTH = 25
"""Tokens of a question, [CLS] and [SEP] among them: ModelScope's MPlugPreprocessor cuts there."""

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_CLOSE_UP = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""What transformers' clean_up_tokenization closes up, in its order."""


class Tokens:
    """BERT's lower-casing WordPiece tokenizer."""

    def __init__(self, vocab: Sequence[str]) -> None:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

        self.words = list(vocab)
        numbers = {word: number for number, word in enumerate(self.words)}
        missing = [each for each in SPECIAL if each not in numbers]
        if missing:
            raise EnvironmentProblem(f"vocab.txt has no {missing[0]}: it is not a BERT vocabulary")
        self.start, self.end, self.pad = numbers["[CLS]"], numbers["[SEP]"], numbers["[PAD]"]
        self._special = frozenset(numbers[each] for each in SPECIAL)
        wordpiece = models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100)
        self._tokenizer = Tokenizer(wordpiece)
        self._tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._tokenizer.add_special_tokens(list(SPECIAL))

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Return the tokenizer of a vocab.txt, one word a line."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EnvironmentProblem(f"{path} cannot be read: {error}; fetch it again") from error
        return cls(text.removesuffix("\n").split("\n"))

    def encode(self, question: str, length: int = LENGTH) -> tuple[list[int], bool]:
        """Return at most `length` ids with [CLS] and [SEP], and whether the question was cut."""
        ids = self._tokenizer.encode(question.lower(), add_special_tokens=False).ids
        kept = ids[: length - 2]
        return [self.start, *kept, self.end], len(kept) < len(ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of an answer without special tokens, spaces closed up as transformers does."""
        words = [self.words[each] for each in ids if each not in self._special and each < len(self.words)]
        text = " ".join(words).replace(" ##", "").strip()
        for mark in _CLOSE_UP:
            text = text.replace(mark, mark.strip())
        return text
