"""The toy data world: each suite's files, written once into the cache from their seed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ...evals.assets.digests import SUMS, file_digests, sums
from ...evals.assets.fetch import cache_root
from ...evals.errors import EnvironmentProblem, UsageError
from . import editing, further, oneig, tables, tiif, unigenbench

VERSION = "1"
"""Counts changes of what the tables hold, so that an older copy is not taken for a new one."""
_FILES: Mapping[str, tuple[str, Callable[[], list[tables.Row]]]] = {
    "geneval": ("evaluation_metadata.jsonl", tables.geneval),
    "dpg_bench": ("dpg_bench.csv", tables.dpg_bench),
    "pope": ("POPE.tsv", tables.pope),
    "mme": ("MME.tsv", tables.mme),
    "mmbench": ("MMBench_DEV_EN.tsv", tables.mmbench),
    "seed_bench": ("SEEDBench_IMG.tsv", tables.seed_bench),
    "gqa": ("GQA_TestDev_Balanced.tsv", tables.gqa),
    "mmmu": ("MMMU_DEV_VAL.tsv", tables.mmmu),
    "mm_vet": ("MMVet.tsv", tables.mm_vet),
    "mmstar": ("MMStar.tsv", further.mmstar),
    "realworldqa": ("RealWorldQA.tsv", further.realworldqa),
    "ai2d": ("AI2D_TEST.tsv", further.ai2d),
    "chartqa": ("ChartQA_TEST.tsv", further.chartqa),
    "ocrbench": ("OCRBench.tsv", further.ocrbench),
    "mmbench_cn": ("MMBench_DEV_CN.tsv", further.mmbench_cn),
    "mmvp": ("MMVP.tsv", further.mmvp),
    "mathvista": ("MathVista_MINI.tsv", further.mathvista),
    "mmmu_pro": ("MMMU_Pro_10c.tsv", further.mmmu_pro),
    "wise": ("wise.jsonl", further.wise),
    "wise_rewritten": ("wise_rewritten.jsonl", partial(further.wise, suite="wise_rewritten")),
    "wise_verified": ("wise_verified.jsonl", partial(further.wise, verified=True, suite="wise_verified")),
    "tiif": ("tiif.jsonl", tiif.rows),
    "tiif_mini": ("tiif_mini.jsonl", partial(tiif.rows, each=1, suite="tiif_mini")),
    "unigenbench": ("unigenbench.csv", unigenbench.rows),
    **{
        suite: (f"{suite}.csv", partial(unigenbench.rows, suite))
        for suite in ("unigenbench_long", "unigenbench_cn", "unigenbench_cn_long")
    },
    **{
        f"oneig_alignment{each}": (f"oneig_alignment{each}.jsonl", partial(oneig.alignment, each))
        for each in ("", "_cn")
    },
    **{f"oneig_text{each}": (f"oneig_text{each}.csv", partial(oneig.text, each)) for each in ("", "_cn")},
    "t2i_compbench": ("t2i_compbench.jsonl", further.t2i_compbench),
    "genai_bench": ("genai_bench.jsonl", further.genai_bench),
    "geneval_long": ("evaluation_metadata.jsonl", further.geneval_long),
    "geneval2": ("geneval2_data.jsonl", further.geneval2),
    "mmmu_pro_vision": ("MMMU_Pro_V.tsv", further.mmmu_pro_vision),
    "gedit_bench": ("gedit_bench.tsv", editing.gedit_bench),
    "gedit_bench_cn": ("gedit_bench_cn.tsv", partial(editing.gedit_bench, "cn")),
    "imgedit_bench": ("imgedit_bench.tsv", editing.imgedit_bench),
}
SUITES = tuple(_FILES)
_LIKE = {"options": "seed_bench", "yes_no": "pope", "short_answer": "gqa", "judge": "mm_vet", "prompts": "geneval"}
"""The shapes for tables of one's own, and the suites whose tables have that shape."""


def folder(suite: str) -> Path:
    """Return the folder that holds a suite's toy data, made now where it is not in the cache.

    Raises UsageError for a suite that has none, EnvironmentProblem where the cache cannot be written.
    """
    return file(suite).parent


def file(suite: str) -> Path:
    """Return a suite's table; raises as `folder`."""
    suite = _LIKE.get(suite, suite)
    if suite not in _FILES:
        raise UsageError(f"the toy world has no data for {suite!r}; it has {', '.join(SUITES)}")
    name, rows = _FILES[suite]
    place = cache_root() / "toy" / f"{suite}-{VERSION}"
    if not _is_whole(place, name):
        try:
            _publish(place, name, table(name, rows()))
        except OSError as error:
            text = error.strerror or error
            raise EnvironmentProblem(
                f"{place}: the toy data cannot be written ({text}); $JANUS_EVAL_CACHE names another folder"
            ) from error
    return place / name


def table(name: str, rows: Sequence[tables.Row]) -> bytes:
    """Return the bytes of a table: JSON lines, CSV or TSV by the file's name."""
    if name.endswith(".jsonl"):
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    text = io.StringIO(newline="")
    delimiter = "\t" if name.endswith(".tsv") else ","
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _is_whole(place: Path, name: str) -> bool:
    """Return whether the table has the digest that stands beside it; other files in the folder do not matter."""
    try:
        return (place / SUMS).read_text(encoding="utf-8") == f"{file_digests(place / name).sha256}  {name}\n"
    except (OSError, UnicodeDecodeError):
        return False


def _publish(place: Path, name: str, content: bytes) -> None:
    """Write a folder of one table and its digest so that it appears whole.

    Another process may have been faster, and what lies there may be damaged: whoever writes, writes
    the same bytes, so files are replaced one by one and none is ever taken away.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        (scratch / name).write_bytes(content)
        (scratch / SUMS).write_text(sums(scratch), encoding="utf-8")
        scratch.chmod(0o755)
        try:
            scratch.rename(place)
        except OSError:
            if not _is_whole(place, name):
                place.mkdir(exist_ok=True)
                for each in (name, SUMS):
                    (scratch / each).replace(place / each)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
