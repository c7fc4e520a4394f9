"""Workers that ship with the package: TokenFlow-XL, Harmon, Show-o2."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from ...evals.errors import UsageError
from ...evals.types import Json
from .environments import Recipe
from .model import Launch, Worker

TOKENFLOW = Recipe("tokenflow-xl", Path(__file__).with_name("tokenflow.py"))
HARMON = Recipe("harmon", Path(__file__).with_name("harmon.py"))
SHOW_O2 = Recipe("show-o2", Path(__file__).with_name("show_o2.py"))


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
    places = _there("tokenflow-xl", folders, elsewhere=bool(command))
    options = {**places, "guidance": guidance, "loops": loops, "max_new_tokens": max_new_tokens, "batch": batch_size}
    where: dict[str, Any] = {"python": python, "command": command, "source": source, "device": device, "dtype": dtype}
    return _worker(Launch(TOKENFLOW, options=options, offline=offline, **where), patience, {**folders, **options})


def harmon(
    *,
    variant: Literal["1.5b", "1.5b-o", "0.5b"] = "1.5b",
    checkpoint: str = "",
    vae: str = "",
    language: str = "",
    guidance: float = 3.0,
    steps: int = 64,
    temperature: float = 1.0,
    size: int = 512,
    template: str = "Generate an image: {}.",
    max_new_tokens: int = 1024,
    batch_size: int = 4,
    python: str = "",
    command: str = "",
    source: str = "",
    patience: float = 600,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> Worker:
    """Return Harmon in an environment of its own: draws and answers with one network, at 512 px.

    `variant` is 1.5b, 1.5b-o (its decoder fine-tuned on BLIP3o-60k) or 0.5b. `checkpoint` is its .pth file, `vae`
    kl16.ckpt, `language` a folder with the settings and the tokenizer of its Qwen2.5-Instruct; what is not given is
    looked up on the hub. The defaults are those of its scripts; `template` is what a prompt is put in. The rest is as
    of `worker:`.
    """
    numbers = {"guidance": guidance, "steps": steps, "temperature": temperature, "size": size}
    numbers |= {"max_new_tokens": max_new_tokens, "batch": batch_size}
    fine = 0 <= guidance < float("inf") and 0 <= temperature < float("inf") and size % 16 == 0 and "{}" in template
    if not fine or min(steps, size, max_new_tokens, batch_size) < 1:
        raise UsageError(
            "harmon: guidance and temperature from 0, size a multiple of 16, steps, max_new_tokens and batch_size "
            "from 1, template with {} where the prompt goes"
        )
    given = {"checkpoint": checkpoint, "vae": vae, "language": language}
    options: dict[str, Json] = {**_there("harmon", given, elsewhere=bool(command)), **numbers}
    options |= {"variant": variant, "template": template}
    where: dict[str, Any] = {"python": python, "command": command, "source": source, "device": device, "dtype": dtype}
    return _worker(Launch(HARMON, options=options, offline=offline, **where), patience, {**given, **options})


def show_o2(
    *,
    variant: Literal["1.5b", "7b"] = "1.5b",
    checkpoint: str = "",
    vae: str = "",
    language: str = "",
    guidance: float = 7.5,
    steps: int = 50,
    max_new_tokens: int = 300,
    batch_size: int = 4,
    python: str = "",
    command: str = "",
    source: str = "",
    patience: float = 600,
    device: str = "auto",
    dtype: str = "auto",
    offline: bool = False,
) -> Worker:
    """Return Show-o2 in an environment of its own: draws at 432 px and answers with one network.

    `checkpoint` is its folder, `vae` the file Wan2.1_VAE.pth, `language` a folder with the settings and the tokenizer
    of its Qwen2.5-Instruct; what is not given is looked up on the hub. `guidance` 7.5 and `steps` 50 are those of its
    README's commands. The rest is as of `worker:`.
    """
    if not 0 <= guidance < float("inf") or steps < 2 or min(max_new_tokens, batch_size) < 1:
        raise UsageError("show-o2: guidance from 0, steps from 2, max_new_tokens and batch_size from 1")
    given = {"checkpoint": checkpoint, "vae": vae, "language": language}
    options = {**_there("show-o2", given, elsewhere=bool(command)), "variant": variant, "guidance": guidance}
    options |= {"steps": steps, "max_new_tokens": max_new_tokens, "batch": batch_size}
    where: dict[str, Any] = {"python": python, "command": command, "source": source, "device": device, "dtype": dtype}
    return _worker(Launch(SHOW_O2, options=options, offline=offline, **where), patience, {**given, **options})


def _worker(launch: Launch, patience: float, told: Collection[str]) -> Worker:
    """Return the worker of a launch; what its factory was `told` its own card names."""
    found = Worker(launch.recipe.name, launch, patience=patience)
    found.inert = (*found.inert, *told, "batch_size", "dtype")
    return found


def _there(model: str, given: Mapping[str, str], *, elsewhere: bool) -> dict[str, Json]:
    """Return the places that are given, which exist unless they are elsewhere. Raises UsageError."""
    places = {name: str(Path(each).expanduser().absolute()) for name, each in given.items() if each}
    for name, each in places.items():
        if not elsewhere and not Path(each).exists():
            raise UsageError(f"{model}: {name}={each}: there is nothing")
    return {**places}
