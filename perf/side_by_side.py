"""What the comparisons with authors' code share: a small tokenizer of Qwen's kind, and pictures held beside theirs.

`words` runs in the environment of the authors' code, `drawn` here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def words(folder: Path, specials: Sequence[str], learned: str) -> None:
    """Save a byte-level tokenizer of 300 words with the special ones, learned from a line."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    inner = Tokenizer(models.BPE(unk_token=None))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=list(specials), initial_alphabet=alphabet)
    inner.train_from_iterator([learned], trainer)
    found = Qwen2TokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    found.save_pretrained(folder)


def drawn(created: Callable[[str], Any], prompts: Sequence[tuple[str, int]], expected: Sequence[Any]) -> int:
    """Draw the prompts with their seeds one by one and two at once, print how far each picture is from the `expected`
    (arrays of whole numbers) and return how many of those drawn one by one are not equal.

    `created` makes the model for a batch size.
    """
    import numpy as np
    from janus_eval.evals.types import Job, Sample

    wrong = 0
    jobs = [Job(Sample(str(n), prompt), "image", 0, seed) for n, (prompt, seed) in enumerate(prompts)]
    for batch in (1, 2):
        model = created(str(batch))
        began = time.time()
        found = [np.asarray(each()).astype(int) for each in model.predict(jobs)]
        seconds = time.time() - began
        model.close()
        apart = [abs(one - other) for one, other in zip(found, expected, strict=True)]
        wrong += sum(bool(each.any()) for each in apart) if batch == 1 else 0
        told = f"{[int(np.count_nonzero(each)) for each in apart]}, by {max(int(each.max()) for each in apart)}"
        print(f"batch {batch}: of {expected[0].size} values differ {told}; {seconds:.0f} s")
    print(f"values: {[(int(each.min()), int(each.max()), round(float(each.std()), 1)) for each in expected]}")
    return wrong
