"""Workers that ship with the package: TokenFlow-XL."""

from __future__ import annotations

from pathlib import Path

from ...evals.errors import UsageError
from .environments import Recipe
from .model import Launch, Worker

TOKENFLOW = Recipe("tokenflow-xl", Path(__file__).with_name("tokenflow.py"))


def tokenflow_xl(
    *,
    drawing: str = "",
    drawing_tokenizer: str = "",
    answering: str = "",
    answering_tokenizer: str = "",
    guidance: float = 7.5,
    loops: int = 1,
    max_new_tokens: int = 512,
    batch_size: int = 4,
    python: str = "",
    command: str = "",
    source: str = "",
    patience: float = 600,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> Worker:
    """Return TokenFlow-XL in an environment of its own: draws at 256 px (7B), answers (14B); never both at once.

    The paper's 13B has no public weights. `drawing` and `answering` are folders of the two language models,
    `drawing_tokenizer` and `answering_tokenizer` files of their picture tokenizers; what is not given is looked up on
    the hub. `guidance` 7.5 and `loops` 1 (of 1 to 3) are its script's. The rest is as of `worker:`.
    """
    if loops not in (1, 2, 3) or not 0 <= guidance < float("inf") or min(max_new_tokens, batch_size) < 1:
        raise UsageError("tokenflow-xl: loops is 1, 2 or 3, guidance from 0, max_new_tokens and batch_size from 1")
    folders = {
        "drawing": drawing,
        "drawing_tokenizer": drawing_tokenizer,
        "answering": answering,
        "answering_tokenizer": answering_tokenizer,
    }
    places = {name: str(Path(given).expanduser().absolute()) for name, given in folders.items() if given}
    if not command:
        for name, given in places.items():
            if not Path(given).exists():
                raise UsageError(f"tokenflow-xl: {name}={given}: there is nothing")
    options = {**places, "guidance": guidance, "loops": loops, "max_new_tokens": max_new_tokens, "batch": batch_size}
    launch = Launch(
        TOKENFLOW,
        python=python,
        command=command,
        options=options,
        source=source,
        device=device,
        dtype=dtype,
        offline=offline,
    )
    found = Worker("tokenflow-xl", launch, patience=patience)
    found.inert = (*found.inert, *folders, "guidance", "loops", "max_new_tokens", "batch_size", "dtype")  # its card's
    return found
