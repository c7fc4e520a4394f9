"""Train every model of the embedded world from its seed, and export them: `python train/all.py --out DIR`.

The stages run side by side, `--jobs` at a time with one thread each; each goes on from its last
checkpoint, so that an interrupted run is typed again (after `kill -9`, which leaves the stages
running, when they have ended). What each says is in DIR/STAGE.log. The folders that the package
ships are written to DIR/export, with their digests.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine import at_least, hold

HERE = Path(__file__).parent
STAGES = ("janus", "vqa", "vq", "detector", "clip")
"""The longest first, so that two cores end at about the same time."""
EXPORTS: Mapping[str, Sequence[str]] = {
    "janus": ("janus", "vq"),
    "detector": ("detector",),
    "clip": ("clip",),
    "vqa": ("vqa",),
}
"""What is shipped, and the stages that it is made of."""


def start(stage: str, out: Path, device: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / f"{stage}.py"), "--out", str(out / stage), "--device", device]
    with (out / f"{stage}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def train(out: Path, device: str, jobs: int, pause: float = 30.0) -> None:
    """Run all stages. Raises SystemExit where one fails; the others have kept their checkpoints."""
    waiting, running = list(STAGES), dict[str, subprocess.Popen[bytes]]()
    begun: dict[str, float] = {}
    told = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                stage = waiting.pop(0)
                running[stage], begun[stage] = start(stage, out, device), time.monotonic()
            for stage, process in list(running.items()):
                if process.poll() is not None:
                    if process.returncode:
                        how = "failed" if process.returncode > 0 else f"was stopped by signal {-process.returncode}"
                        raise SystemExit(f"{stage} {how}: see {out / stage}.log: {last_line(out / f'{stage}.log')}")
                    del running[stage]
                    minutes = (time.monotonic() - begun[stage]) / 60
                    print(f"{stage}: done in {minutes:.0f} min: {last_line(out / f'{stage}.log')}", flush=True)
            if time.monotonic() - told > pause:
                told = time.monotonic()
                for stage in running:
                    print(f"{stage}: {last_line(out / f'{stage}.log')}", flush=True)
            time.sleep(0.5)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=at_least(1), default=2)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hold(args.out)
    try:
        train(args.out, args.device, args.jobs)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    for what, stages in EXPORTS.items():
        folders = [str(args.out / stage) for stage in stages]
        command = [sys.executable, str(HERE / "export.py"), what, *folders, "--to", str(args.out / "export" / what)]
        if code := subprocess.run(command, check=False).returncode:
            raise SystemExit(code)


if __name__ == "__main__":
    main()
