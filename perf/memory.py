"""Peak memory of one command over all nine suites against that of its largest single suite, on the toy.

    python perf/memory.py [--command janus-eval] [--limit 8]

The model is loaded once and freed, and so is each scorer: the peaks should be equal within 5 percent.
A second part runs a plugin of 240 MB on one, three and six suites, three such models after each other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SUITES = ("geneval", "dpg_bench", "pope", "mme", "mmbench", "seed_bench", "gqa", "mmmu", "mm_vet")
HEAVY = '''
class Heavy:
    """240 MB of weights from the first answer on."""

    kinds = frozenset(["text"])
    card = {"weights": "zeros"}
    weights = None

    def predict(self, jobs):
        if self.weights is None:
            self.weights = bytearray(240 << 20)
            self.weights[::4096] = b"\\1" * len(self.weights[::4096])
        return ["Yes" for _ in jobs]
'''


def peak(command: list[str], path: Path | None = None) -> float:
    """Return the peak resident memory of a command in MB. Raises SystemExit where it fails."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_maxrss / 1024


def plugin(folder: Path) -> None:
    """Install three heavy models in a folder."""
    info = folder / "heavy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n")
    names = "".join(f"heavy-{number} = heavy_model:Heavy\n" for number in range(3))
    (info / "entry_points.txt").write_text(f"[janus_eval.models]\n{names}")
    (folder / "heavy_model.py").write_text(HEAVY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("janus-eval")))
    parser.add_argument("--limit", default="8", help="samples of each suite (default: 8)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        single: dict[str, float] = {}
        for suite in SUITES:
            out = str(Path(scratch) / suite)
            single[suite] = peak([args.command, "run", "-m", "janus-toy", "-b", suite, "-l", args.limit, "-o", out])
            print(f"{suite:<12} {single[suite]:7.0f} MB", flush=True)
        out = str(Path(scratch) / "all")
        together = peak([args.command, "run", "-m", "janus-toy", "-b", ",".join(SUITES), "-l", args.limit, "-o", out])
        print(f"{'all nine':<12} {together:7.0f} MB, {together / max(single.values()):.3f} of the largest single suite")

        site = Path(scratch) / "site"
        site.mkdir()
        plugin(site)
        alone = None
        for models, suites in ((1, 1), (1, 3), (1, 6), (3, 3)):
            names = ",".join(f"heavy-{number}" for number in range(models))
            benches = ",".join(("pope", "mme", "gqa", "seed_bench", "mmmu", "mmbench")[:suites])
            out = str(Path(scratch) / f"{models}-{suites}")
            found = peak([args.command, "run", "-m", names, "-b", benches, "--data", "toy", "-o", out], site)
            alone = alone or found
            print(f"{models} models of 240 MB, {suites} suites: {found:7.0f} MB, {found / alone:.3f} of one on one")


if __name__ == "__main__":
    main()
