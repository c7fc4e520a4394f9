"""Converts an mPLUG folder once: python -m janus_eval.benchmarks.dpg_bench.vqa.convert FOLDER TARGET."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ....evals.errors import JanusEvalError


def main(arguments: Sequence[str]) -> int:
    """Write TARGET with the used weights of FOLDER as safetensors; return the exit code."""
    if len(arguments) != 2:
        print("usage: python -m janus_eval.benchmarks.dpg_bench.vqa.convert FOLDER TARGET", file=sys.stderr)
        return 2
    from .weights import convert

    try:
        convert(Path(arguments[0]), Path(arguments[1]))
    except JanusEvalError as error:
        print(f"convert: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
