"""The judge's question behind MMBench and MMMU: which option an unreadable answer means.

The prompts are protocol strings, carried over as data: open-compass/VLMEvalKit f4646f72,
vlmeval/dataset/utils/multiple_choice.py, build_prompt and build_prompt_cn (Apache-2.0). The rest
is a port of extract_answer_from_item there, but for its last resort, a random letter.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...evals.errors import UsageError
from ...evals.types import Evidence, Prediction, Sample
from ..reading.answers import letter_vlmevalkit_2024
from .replay import believed
from .task import Ask, JudgeTask, Verdict

ENGLISH: Final = (
    "You are an AI assistant who will help me to match "
    "an answer with several options of a single-choice question. "
    "You are provided with a question, several options, and an answer, "
    "and you need to find which option is most similar to the answer. "
    "If the meaning of all options are significantly different from the answer, output Z. "
    "Your should output a single uppercase character in A, B, C, D (if they are valid options), and Z. \n"
    "Example 1: \n"
    "Question: What is the main object in image?\nOptions: A. teddy bear B. rabbit C. cat D. dog\n"
    "Answer: a cute teddy bear\nYour output: A\n"
    "Example 2: \n"
    "Question: What is the main object in image?\nOptions: A. teddy bear B. rabbit C. cat D. dog\n"
    "Answer: Spider\nYour output: Z\n"
    "Example 3: \n"
    "Question: {}?\nOptions: {}\nAnswer: {}\nYour output: "
)
CHINESE: Final = (
    "你是一个帮助我匹配答案与单选题中多个选项的 AI 助手。"
    "你会被提供：一个问题，多个选项，一个答案。你的任务是找到与答案意义最相近的选项。"
    "如果所有选项的意义都与答案显著不同，则输出 Z。"
    "你应该输出一个单个的大写字母，例如 A, B, C, D（如果它们是有效选项），或 Z。"
    "例 1:"
    "问题: 图中最主要的物体是什么?\n选项: A. 泰迪熊 B. 兔子 C. 猫 D. 狗\n答案: 一只可爱的泰迪熊\n输出: A\n"
    "例 2: \n"
    "问题: 图中最主要的物体是什么?\n选项: A. 泰迪熊 B. 兔子 C. 猫 D. 狗\n答案: 蜘蛛\n输出: Z\n"
    "例 3: \n"
    "问题: {}?\n选项: {}\n答案: {}\n输出: "
)
TRIES: Final = 3
_CHINESE_CHARACTER: Final = re.compile("[\u4e00-\u9fff]")


def prompt(question: str, options: Mapping[str, str], answer: str) -> str:
    """Return what the judge is asked: in Chinese where the question holds a Chinese character."""
    form = CHINESE if _CHINESE_CHARACTER.search(question) else ENGLISH
    lines = "There are several options: \n" + "".join(f"{letter}. {text}\n" for letter, text in options.items())
    return form.format(question, lines, answer)


@dataclass(frozen=True, slots=True)
class Matcher:
    """The judge's task. `sample.target` holds "question" and "options" (letter to text).

    "offered", where the target has it, stands for the options: MMMU's open questions are asked
    about with the gold answer and "Other Answers".

    An answer that exact matching reads is not asked about. The verdict is a letter, or `Z` for
    none of the options; None where three replies could not be read.
    """

    name: str

    @property
    def digest(self) -> str:
        return hashlib.sha256((ENGLISH + CHINESE).encode()).hexdigest()[:8]

    def stand_in(self) -> str:
        raise UsageError(f"judge: no rule stands in for the judge of {self.name}; give --judge MODEL")

    def step(self, sample: Sample, prediction: Prediction, replies: Sequence[str]) -> Ask | Verdict:
        options: Mapping[str, str] = sample.target.get("offered") or sample.target["options"]
        letter = letter_vlmevalkit_2024((prediction.text or "") if not replies else replies[-1], options)
        if letter is not None:
            return Verdict(letter, "" if replies else "read without the judge")
        if len(replies) >= TRIES:
            return Verdict(None, f"no option in {TRIES} replies, the last {replies[-1]!r}")
        return Ask(prompt(sample.target["question"] or "", options, prediction.text or ""))


MMBENCH = Matcher("mmbench")
MMMU = Matcher("mmmu")


def matched(task: JudgeTask, sample: Sample, prediction: Prediction, evidence: Evidence) -> str | None:
    """Return the letter of a judge's verdict, None where there is none."""
    runs = believed(task, sample, prediction, evidence, str)
    return runs[0].get("value") if runs else None
