"""Whether two versions of the harness make the same bytes: digests of all nine embedded suites, written or compared.

    python perf/same_records.py --command OLD/bin/janus-eval --write before.json
    python perf/same_records.py --command NEW/bin/janus-eval --against before.json

Of each run it takes the pictures, the predictions, the evidence, scores.jsonl, the official results file and
what record.json says of metrics, counts and what is missing; signatures and file layout may differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SUITES = ("geneval", "dpg_bench", "pope", "mme", "mmbench", "seed_bench", "gqa", "mmmu", "mm_vet")
RUNS = (
    ("janus-toy", SUITES, ()),
    ("janus-toy", ("geneval", "dpg_bench", "pope", "mmmu"), ("-a", "weights=random", "--limit", "8")),
    ("always-yes", ("pope", "mme", "gqa"), ("--data", "toy")),
    ("noise-image", ("geneval",), ("--data", "toy", "--limit", "4", "--detector", "toy")),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="janus-eval", help="the janus-eval to run")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the digests")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with digests that were kept")
    args = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (model, suites, options) in enumerate(RUNS):
            runs = Path(scratch) / str(number)
            command = [args.command, "run", "-m", model, "-b", ",".join(suites), "-o", str(runs), *options]
            code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
            found[f"{number} exit code"] = code
            for folder in sorted(each.parent for each in runs.glob("*/record.json")):
                found |= {f"{number} {key}": value for key, value in digests(folder).items()}
    if args.write:
        args.write.write_text(json.dumps(found, indent=1, sort_keys=True))
    if not args.against:
        return 0
    before = json.loads(args.against.read_text())
    different = sorted(key for key in before.keys() | found.keys() if before.get(key) != found.get(key))
    for key in different:
        print(f"DIFFERS {key}: {before.get(key)} -> {found.get(key)}")
    print(f"{len(found) - len(different)} of {len(found)} digests are equal")
    return 1 if different else 0


def digests(folder: Path) -> dict[str, str]:
    """Return what must be equal between equal runs, by name."""
    record = json.loads((folder / "record.json").read_text())
    name = f"{record['spec']['benchmark']}"
    told = {key: record[key] for key in ("headline", "metrics", "counts", "complete", "missing")}
    pictures = hashlib.sha256()
    files = sorted(folder.glob("images/**/*.*"))
    for path in files:
        pictures.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    found = {
        f"{name} record": _sha(json.dumps(told, sort_keys=True).encode()),
        f"{name} scores": _sha((folder / "scores.jsonl").read_bytes()),
        f"{name} {len(files)} picture files": pictures.hexdigest()[:16],
    }
    for stream in ("predictions", "evidence"):
        lines = sorted(line for path in (folder / stream).glob("*.jsonl") for line in path.read_bytes().splitlines())
        found[f"{name} {len(lines)} {stream}"] = _sha(b"\n".join(lines))
    for path in folder.glob("results.*"):
        found[f"{name} {path.name}"] = _sha(path.read_bytes())
    return found


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
