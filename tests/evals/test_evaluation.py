"""Carrying plans out: objects as well as names, one load for all suites, failures that stay their own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from janus_eval.evals import Request, evaluate, registry
from janus_eval.evals.errors import UsageError
from janus_eval.evals.evaluation import Outcome, carry_out, settings_of
from janus_eval.evals.plan import pairs
from janus_eval.evals.records import read_record, read_scores
from support.site import install, visible
from support.worlds import Eye, Painter, Redness

CODE = """
import sys
from support.worlds import Painter

LIVE = []

class Net:
    def __init__(self, log):
        self.log = log
        LIVE.append(log)
        log.append(len(LIVE))
    def __del__(self):
        LIVE.remove(self.log)

class Counting:
    kinds = frozenset(["text"])
    card = {"weights": "w"}
    made, loaded, closed = 0, [], 0

    def __init__(self, *, a: str = "no", workers: int = 1):
        self.a = a
        self.inert = ("workers",)
        self.net = None
        type(self).made += 1
    def predict(self, jobs):
        self.net = self.net or Net(self.loaded)
        return [self.a for job in jobs]
    def close(self):
        type(self).closed += 1

class Leaves(Counting):
    def predict(self, jobs):
        sys.exit(0)

class Breaks(Counting):
    def batch_size(self, jobs):
        raise ValueError("no batch at all")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    names = {"counting": "Counting", "counting-2": "Counting", "leaves": "Leaves", "breaks": "Breaks"}
    visible(install(tmp_path / "site", "counting", CODE, models=names), monkeypatch)
    import counting_plugin

    yield counting_plugin
    registry.forget()


def outcomes(*models: str, benchmarks: tuple[str, ...] = ("pope", "mme", "gqa"), **more: Any) -> list[Outcome]:
    request = Request(models, benchmarks, data="toy", limit="2", **more)
    return list(carry_out(pairs(request), settings_of(request)))


def test_a_model_is_built_and_loaded_once_for_all_its_suites(plugin: Any, tmp_path: Path) -> None:
    assert all(each.record for each in outcomes("counting", output=tmp_path))
    assert (plugin.Counting.made, len(plugin.Counting.loaded), plugin.Counting.closed) == (1, 1, 1)


def test_a_model_is_freed_before_the_next_one_loads(plugin: Any, tmp_path: Path) -> None:
    assert all(each.record for each in outcomes("counting", "counting-2", output=tmp_path))
    assert plugin.Counting.loaded == [1, 1]  # how many networks lived when each was loaded
    gc.collect()
    assert plugin.LIVE == []


def test_drawings_come_before_answers(tmp_path: Path) -> None:
    request = Request(("janus-toy",), ("pope", "geneval", "gqa", "dpg_bench"), output=tmp_path)
    planned = pairs(request)
    assert [each.spec.benchmark for each in planned] == ["geneval", "dpg_bench", "pope", "gqa"]
    assert len({id(each.model.here) for each in planned}) == 1


def test_a_suite_is_read_once_for_several_models(tmp_path: Path) -> None:
    first, second = pairs(Request(("always-yes", "first-option"), ("pope",), data="toy", output=tmp_path))
    assert first.suite is second.suite and first.samples is not None


@pytest.mark.parametrize(
    ("name", "told", "where"),
    [
        ("leaves", "the plugin ended the process: SystemExit(0)", "sys.exit(0)"),
        ("breaks", "no batch at all", "in batch_size"),
    ],
)
def test_a_pair_that_fails_takes_no_other_with_it(
    plugin: Any, tmp_path: Path, name: str, told: str, where: str
) -> None:
    found = outcomes(name, "counting", benchmarks=("pope", "gqa"), output=tmp_path)
    assert [each.record is None for each in found] == [True, True, False, False]
    assert [str(each.error) for each in found[:2]] == [told, told] and where in found[0].bug


def test_a_plugin_that_ends_the_process_gives_exit_code_1_and_no_record(
    plugin: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from janus_eval.evals.commands.cli import main

    arguments = ["run", "-m", "leaves,counting", "-b", "pope", "--data", "toy", "-l", "1", "-o", str(tmp_path / "r")]
    assert main(arguments) == 1
    assert "leaves on pope: RuntimeError: the plugin ended the process: SystemExit(0)" in capsys.readouterr().err
    assert [read_record(each.parent).spec.model for each in (tmp_path / "r").glob("*/record.json")] == ["counting"]


# -- objects ------------------------------------------------------------------------------------------


@dataclass
class Net:
    """Answers what it was taught: a model that lives in memory."""

    word: str = "yes"
    asked: list[str] = field(default_factory=list)
    kinds = frozenset(["text"])
    card = {"kind": "net"}

    def predict(self, jobs: Any) -> list[str]:
        self.asked += [job.sample.id for job in jobs]
        return [self.word for _ in jobs]


def test_an_object_is_evaluated_on_a_named_suite(tmp_path: Path) -> None:
    record = evaluate(Net(), "pope", data="toy", limit=4, output=tmp_path)
    assert record.spec.model == "Net" and record.counts["scored"] == 4


def test_an_object_of_a_suite_brings_its_observer_along(tmp_path: Path) -> None:
    class Mine(Redness):
        observer = Eye()

    record = evaluate(Painter(), Mine(), output=tmp_path)
    assert record.complete and record.spec.benchmark == "redness" and record.counts["scored"] == 10


def test_several_of_each_give_a_list_in_the_order_of_the_plan(tmp_path: Path) -> None:
    records = evaluate([Net(), "always-yes"], ["pope", "gqa"], data="toy", limit=1, output=tmp_path)
    told = [(each.spec.model, each.spec.benchmark) for each in records]
    assert told == [("Net", "pope"), ("Net", "gqa"), ("always-yes", "pope"), ("always-yes", "gqa")]


def test_the_first_error_of_several_is_raised_after_all_were_carried_out(plugin: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="SystemExit"):
        evaluate(["leaves", "counting"], "pope", data="toy", limit=1, output=tmp_path)
    assert len(list(tmp_path.glob("counting--*/record.json"))) == 1


def test_a_nameless_object_is_refused_a_stored_run(tmp_path: Path) -> None:
    evaluate(Net("yes"), "pope", data="toy", limit=4, output=tmp_path)
    with pytest.raises(UsageError, match=r"cannot be told from this one: give tag= or step=") as caught:
        evaluate(Net("no"), "pope", data="toy", limit=4, output=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("told", [{"step": 100}, {"tag": "after"}])
def test_step_and_tag_enter_the_signature_and_the_folder(tmp_path: Path, told: dict[str, Any]) -> None:
    evaluate(Net("yes"), "pope", data="toy", limit=4, output=tmp_path)
    record = evaluate(Net("no"), "pope", data="toy", limit=4, output=tmp_path, **told)
    (key, value) = next(iter(told.items()))
    assert f"|{key}:{value}|" in record.spec.signature
    (folder,) = [each for each in tmp_path.iterdir() if str(value) in each.name]
    assert {each.answer for each in read_scores(folder) if each.protocol == "official"} == {"no"}
    again = Net("no")
    evaluate(again, "pope", data="toy", limit=4, output=tmp_path, **told)
    assert again.asked == []  # what the caller names is taken up again


def test_an_object_with_a_fingerprint_of_its_weights_is_taken_up_again(tmp_path: Path) -> None:
    first, second = Net(), Net()
    for net in (first, second):
        net.card = {"weights": "abc"}
        evaluate(net, "pope", data="toy", limit=4, output=tmp_path)
    assert len(first.asked) == 4 and second.asked == []


def test_nothing_of_an_evaluated_object_stays_alive(tmp_path: Path) -> None:
    net = Net()
    gone = weakref.ref(net)
    evaluate(net, "pope", data="toy", limit=1, output=tmp_path)
    del net
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_options": {"a": 1}}, "Net is made already"),
        ({"device": "cpu,cpu"}, "Net lives in this process"),
        ({"step": -1}, "step -1"),
        ({"step": "3"}, "step '3'"),
        ({"benchmark_options": {"presets": "x"}}, "no option 'presets'; did you mean 'preset'"),
    ],
)
def test_what_an_object_cannot_be_asked_is_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(Net(), "pope", data="toy", limit=1, output=tmp_path, **options)


def test_a_request_that_names_nothing_is_refused() -> None:
    for models, benchmarks in (((), ("pope",)), (("always-yes",), ()), (("",), ("pope",))):
        with pytest.raises(UsageError, match="names nothing"):
            Request(models, benchmarks)


def test_several_devices_are_not_for_the_local_executor() -> None:
    with pytest.raises(UsageError, match="the executor local computes on one device"):
        evaluate("always-yes", "pope", data="toy", device="cpu,cuda:3", executor="local")
