"""Where training computes, and how it is kept: a CPU or a GPU, checkpoints that appear whole."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

FREE = ("out", "threads", "device")
"""What may differ from run to run of one training."""


def at_least(least: int) -> Any:
    """Return the argparse type of a whole number from `least` on."""

    def read(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: at least {least}")
        return int(text)

    read.__name__ = "whole number"
    return read


def arguments(parser: argparse.ArgumentParser, *, seed: int, steps: int, batch: int) -> None:
    """Add what every training takes."""
    count = at_least(1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints; an existing one is resumed")
    parser.add_argument("--steps", type=count, default=steps)
    parser.add_argument("--batch", type=at_least(2), default=batch)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--threads", type=count, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def begin(args: argparse.Namespace) -> None:
    """Set threads, device and seed, make the folder and hold it until the process ends, however it ends.

    Raises SystemExit where that cannot be, and where the folder's training has other arguments.
    """
    torch.set_num_threads(args.threads)
    try:
        torch.set_default_device(args.device)
        torch.zeros(1)
    except (RuntimeError, AssertionError) as error:
        raise SystemExit(f"--device {args.device}: {str(error).splitlines()[0]}") from None
    torch.manual_seed(args.seed)
    hold(args.out)
    asked = {name: value for name, value in vars(args).items() if name not in FREE}
    path = args.out / "arguments.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else asked
    for name in asked.keys() - {"steps"}:
        if before.get(name) != asked[name]:
            raise SystemExit(
                f"{args.out} was begun with --{name} {before.get(name)}: another needs a folder of its own"
            )
    if before["steps"] != asked["steps"]:
        print(f"note: the learning rate now ends at step {asked['steps']}; before it was {before['steps']}", flush=True)
    path.write_text(json.dumps(asked), encoding="utf-8")


def hold(folder: Path) -> None:
    """Make a folder, and hold it until the process ends. Raises SystemExit where another process does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SystemExit(f"{folder}: {error.strerror}") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(held, 20).decode(errors="replace") or "?"
        raise SystemExit(f"{folder} is being trained by process {owner}: wait for it or stop it") from None
    os.ftruncate(held, 0)
    os.write(held, str(os.getpid()).encode())


def placed(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor on the device."""
    return torch.from_numpy(array).to(torch.get_default_device())


def kept(folder: Path, *needed: str) -> dict[str, Any] | None:
    """Return the last checkpoint of a folder, None where training begins.

    Raises SystemExit for one that cannot be read or has not the parts `needed`. Nothing in it is run.
    """
    path = folder / "last.pt"
    if not path.exists():
        return None
    try:
        found = torch.load(path, weights_only=True, map_location=torch.get_default_device())
        missing = {*needed, "step"} - set(found)
    except Exception as error:
        raise SystemExit(f"{path} cannot be read ({type(error).__name__}): remove it to begin again") from error
    if missing:
        raise SystemExit(f"{path} has no {', '.join(sorted(missing))}: it is of another training")
    print(f"{path}: from step {found['step']}", flush=True)
    return found


def keep(folder: Path, content: dict[str, Any]) -> None:
    torch.save(content, folder / "part.pt")
    (folder / "part.pt").replace(folder / "last.pt")
