"""A model as judge of texts and pictures: an observer that asks an endpoint or a local model and keeps each reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ...evals.assets import fetch as data
from ...evals.endpoint.chat import Chat, Terms
from ...evals.endpoint.keys import no_key, read_key
from ...evals.endpoint.replies import RequestFailed, grade_of
from ...evals.errors import InvalidImage, UsageError
from ...evals.types import UNNAMED, Evidence, Json, Prediction, Sample
from .calibration import Calibrated, marked, set_digest
from .local import LocalSpeaker, shown_name
from .replay import first_doubt, prompt_digest, step_of, terms_of
from .speakers import EndpointSpeaker, Speaker
from .task import Ask, Verdict, load_task

RULE = "rule"
"""The judge's name that stands for a local server which grades by rule: the task's own, where it has one."""

_REMEDIES = {
    "max_tokens": "--judge-token-field max_completion_tokens",
    "max_completion_tokens": "--judge-token-field max_tokens",
}


def served_as(data: Json) -> str:
    """Return the models that replied for a judge's evidence, as their servers name them; "" where nobody replied."""
    try:
        names = {str(call["model"]) or UNNAMED for run in data["runs"] for call in run["calls"]}
        return ", ".join(sorted(names - {UNNAMED} or names))
    except (TypeError, KeyError, AttributeError):  # it lies in files; `runs_of` says what is wrong with it
        return ""


class Judge:
    """A language model as judge; `task` is the benchmark that it judges for.

    `judge` is the model to ask (None: nobody, and everything stays ungraded; `rule`: the local
    grader by rule; `hf:ORG/NAME` or `hf:FOLDER`: a vision-language model on this machine, `device` and `dtype` being
    its own). The key comes from the environment variable `judge_key_env` or the file
    `judge_key_file`. `judge_runs` judgements are made of every answer. `judge_temperature` and
    `judge_max_tokens` override what the task's protocol asks for. A request that fails after
    `judge_retries` retries, an empty reply and one that the service withheld make an Evidence with
    `error`, which the next run asks again. `judge_timeout` seconds are for a whole reply. `judge_thinking` off asks
    a server of vLLM or SGLang (chat_template_kwargs) that the model answers at once.

    `Evidence.data` is {"task", "judge", "runs"}; a run is {"value", "reason", "calls"} and a call
    {"reply", "model", "prompt_sha256", "temperature", "max_tokens", "finish", "refusal", "usage"},
    `model` being the id that the server returned. A task with a calibration set has it judged before its first
    answer; "calibration" is then {"set", "marks"}: see `calibration.marked`.
    """

    independent = beside = True
    inert = (
        *("judge", "judge_base_url", "judge_runs", "judge_temperature", "judge_max_tokens", "world"),
        *("judge_key_env", "judge_key_file", "judge_token_field", "judge_concurrency", "judge_timeout"),
        *("judge_retries", "judge_thinking", "device", "dtype", "offline"),
    )

    def __init__(
        self,
        task: str,
        *,
        judge: str | None = None,
        judge_base_url: str | None = None,
        judge_runs: int = 1,
        judge_key_env: str = "OPENAI_API_KEY",
        judge_key_file: Path | None = None,
        judge_temperature: float | None = None,
        judge_max_tokens: int | None = None,
        judge_token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        judge_concurrency: int = 8,
        judge_timeout: float = 120.0,
        judge_retries: int = 6,
        judge_thinking: Literal["default", "off"] = "default",
        device: str = "auto",
        dtype: str = "auto",
        offline: bool = False,
        world: str = "official",
    ) -> None:
        if judge_runs < 1 or judge_concurrency < 1 or judge_retries < 0 or not judge_timeout > 0:
            raise UsageError("judge: judge_runs, judge_concurrency and judge_timeout are at least 1, judge_retries 0")
        if judge is None and world == "toy":
            judge = RULE
        if judge == RULE and judge_base_url is not None:
            raise UsageError("judge: the judge 'rule' runs on this machine; leave out --judge-base-url")
        if judge is None and judge_base_url is not None:
            raise UsageError("judge: --judge-base-url needs --judge MODEL, the model to ask there")
        local = judge[3:] if judge is not None and judge.startswith("hf:") else ""
        if local and judge_base_url is not None:
            raise UsageError("judge: an hf: judge runs on this machine; leave out --judge-base-url")
        self._task = load_task(task)
        self._judge = f"hf:{shown_name(local)}" if local else judge
        self._local = LocalSpeaker(local, device=device, dtype=dtype, offline=offline) if local else None
        self._silent = judge_thinking == "off"
        self._runs = judge_runs
        self._temperature = judge_temperature
        self._max_tokens = judge_max_tokens
        self._concurrency = judge_concurrency
        self._key = (judge_key_env, judge_key_file)
        self._terms = Terms(
            judge_base_url, timeout=judge_timeout, max_retries=judge_retries, token_field=judge_token_field
        )
        self._speaker: Speaker | None = None
        self._marks: dict[str, Json] | None = None
        self.batch_size = 4 * judge_concurrency

    @property
    def card(self) -> Mapping[str, Json]:
        if self._judge is None:
            return {"judge": "none"}
        knobs: dict[str, Json] = {
            "task": f"{self._task.name}@{self._task.digest}",
            "grader" if self._judge == RULE else "judge": self._judge,
            "runs": self._runs,
        }
        if self._local is not None:
            knobs |= self._local.card
        elif self._judge != RULE:
            knobs["url"] = self._terms.address
            knobs |= {"thinking": "off"} if self._silent else {}
        if isinstance(self._task, Calibrated):
            knobs["calibration"] = set_digest(self._task.calibration())
        if self._temperature is not None:
            knobs["temperature"] = self._temperature
        if self._max_tokens is not None:
            knobs["max_tokens"] = self._max_tokens
        return knobs

    def assets(self) -> Sequence[str]:
        """Return the judge of the hub that runs on this machine."""
        return () if self._local is None else self._local.assets()

    def needs(self) -> Sequence[str]:
        """Return the names of what is not here yet: it is fetched before the pictures are drawn."""
        return [each for each in self.assets() if data.locate(each) is None]

    def lacks(self) -> Sequence[str]:
        """Return that there is no key, where the judge is asked at an address that wants one."""
        return () if self._judge in (None, RULE) else no_key(*self._key, self._terms.base_url)

    def observe(self, pairs: Sequence[tuple[Sample, Prediction]]) -> Sequence[Evidence]:
        """Judge every pair `judge_runs` times; see the class for the form of the data."""
        if self._judge is None:
            return [self._evidence(prediction, []) for _, prediction in pairs]
        speaker = self._connected()
        if self._marks is None and isinstance(self._task, Calibrated):
            fixed = self._task.calibration()
            said = speaker.gather(lambda each: self._judgement(speaker, each.sample, each.prediction), fixed)
            self._marks = marked(fixed, [each["value"] for each in said])
        units = [(sample, prediction) for sample, prediction in pairs for _ in range(self._runs)]
        runs = speaker.gather(lambda unit: self._judgement(speaker, *unit), units)
        return [
            self._evidence(prediction, runs[at * self._runs : (at + 1) * self._runs])
            for at, (_, prediction) in enumerate(pairs)
        ]

    def doubt(self, sample: Sample, prediction: Prediction, data: Json) -> str:
        """Return why kept evidence is not what this judge would make of the replies in it, "" where it is."""
        if self._judge is None:
            return ""
        why = first_doubt(self._task, sample, prediction, data, (self._temperature, self._max_tokens))
        if not why and data.get("judge") != self._judge:
            why = f"it is of the judge {data.get('judge')!r:.40}"
        if not why and len(data["runs"]) != self._runs:
            why = f"it has {len(data['runs'])} runs, {self._runs} were asked for"
        return why

    def _judgement(self, speaker: Speaker, sample: Sample, prediction: Prediction) -> dict[str, Json]:
        """Return one run; with "error" where a request failed, and the calls made until then."""
        calls: list[dict[str, Json]] = []
        while True:
            step = step_of(self._task, sample, prediction, calls)
            if isinstance(step, Verdict):
                return {"value": step.value, "reason": step.reason, "calls": calls}
            try:
                calls.append(self._call(speaker, step))
            except InvalidImage as error:
                return {"value": None, "reason": f"invalid image: {error}", "calls": calls}
            except RequestFailed as error:
                row = {"value": None, "reason": "no reply", "calls": calls, "error": str(error)}
                return {**row, "lasting": True} if error.lasting else row

    def _call(self, speaker: Speaker, ask: Ask) -> dict[str, Json]:
        temperature, max_tokens = terms_of(ask, self._temperature, self._max_tokens)
        reply = speaker.ask(ask, temperature, max_tokens)
        return {
            "reply": grade_of(
                reply, "judge", remedy="give the judge more tokens (--judge-max-tokens)", whole=not ask.text
            ),
            "model": reply.model,
            "prompt_sha256": prompt_digest(ask),
            "temperature": temperature,
            "max_tokens": max_tokens,
            "finish": reply.finish,
            "refusal": reply.refusal,
            "usage": dict(reply.usage),
        }

    def _evidence(self, prediction: Prediction, runs: Sequence[dict[str, Json]]) -> Evidence:
        errors = [str(run["error"]) for run in runs if "error" in run]
        data = {"task": self._task.name, "judge": self._judge, "runs": list(runs)}
        data |= {} if self._marks is None else {"calibration": self._marks}
        lasting = bool(errors) and all("lasting" in run for run in runs if "error" in run)
        error = errors[0] if errors else None
        return Evidence(prediction.sample_id, prediction.index, data, error, lasting, served_as(data))

    def _connected(self) -> Speaker:
        if self._speaker is None:
            self._speaker = self._local or self._endpoint()
        return self._speaker

    def _endpoint(self) -> EndpointSpeaker:
        terms, key = self._terms, "none"
        if self._judge == RULE:
            terms = Terms(self._task.stand_in(), timeout=terms.timeout, max_retries=terms.max_retries)
        else:
            key = read_key(*self._key, terms.base_url)
        more: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}} if self._silent else {}
        return EndpointSpeaker(Chat(terms, key, "judge", _REMEDIES), str(self._judge), self._concurrency, more)
