"""MMBench dev-cn: the questions of dev-en in Chinese, rolled and scored as those."""

from __future__ import annotations

from dataclasses import replace

from ...evals.types import Sample
from ..reading.choices import LETTER_LINE
from ..reading.rows import Row
from ..reading.sources import Source
from ..reading.suite import Asked
from .benchmark import MmBench, prompt, sample

_LMMS = "请直接使用所提供的选项字母作为答案回答。"
_LLAVA = "请直接回答选项字母。"


def _prompt(row: Row, preset: str) -> str:
    """Return the text of a row: LLaVA c121f043 and lmms-eval 75571cfe (mmbench/cn_utils.py) ask for the letter in
    Chinese, VLMEvalKit and its Janus adapter have the English words of dev-en."""
    if preset == "llava":
        return prompt(row, preset).removesuffix(LETTER_LINE) + _LLAVA
    return prompt(row, preset, _LMMS)


def _sample(row: Row, asked: Asked) -> Sample:
    return sample(row, asked, _prompt)


MmBenchCn = replace(
    MmBench,
    name="mmbench_cn",
    about="""MMBench dev-cn, circular as dev-en. `judge` names a language model that finds the option which an
    unreadable answer means; it is asked in Chinese: protocol `official-judge`.""",
    source=Source(
        "mmbench_cn",
        hub="mmbench-cn",
        tsv="mmbench-cn-tsv",
        files=("MMBench_DEV_CN.tsv", "mmbench_dev_cn_20231003.tsv", "cn/dev-*.parquet"),
    ),
    sample=_sample,
)
