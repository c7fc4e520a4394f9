"""Where training computes, and how it is kept: one thread of a CPU or a GPU, checkpoints that appear whole."""

from __future__ import annotations

import argparse
import fcntl
import os
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def arguments(parser: argparse.ArgumentParser, *, seed: int, steps: int, batch: int) -> None:
    """Add what every training takes."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints; an existing one is resumed")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")


def begin(args: argparse.Namespace) -> None:
    """Set threads, device and seed, make the folder and hold it until the process ends, however it ends."""
    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    held = os.open(args.out / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        number = os.read(held, 20).decode() or "?"
        raise SystemExit(f"{args.out} is being trained by process {number}: wait for it or stop it") from None
    os.ftruncate(held, 0)
    os.write(held, str(os.getpid()).encode())


def placed(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor on the device."""
    return torch.from_numpy(array).to(torch.get_default_device())


def kept(folder: Path) -> dict[str, Any] | None:
    """Return the last checkpoint of a folder, None where training begins."""
    path = folder / "last.pt"
    if not path.exists():
        return None
    return torch.load(path, weights_only=True, map_location=torch.get_default_device())


def keep(folder: Path, content: dict[str, Any]) -> None:
    torch.save(content, folder / "part.pt")
    (folder / "part.pt").replace(folder / "last.pt")
