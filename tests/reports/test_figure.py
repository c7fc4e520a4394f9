"""Figures for a paper: what is over a part or withheld is never drawn as whole, equal runs give equal bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main
from janus_eval.evals.errors import UsageError
from janus_eval.evals.extras import pip_line
from janus_eval.evals.types import Metric, RunRecord
from janus_eval.reports import figure as figures
from janus_eval.reports import reported
from janus_eval.reports.series import MOST, axes, notes, series
from PIL import Image
from support import runs

matplotlib = pytest.importorskip("matplotlib")
KEYS = {
    "pope": "vlmevalkit-2024/random_f1",
    "mme": "vlmevalkit-2024/perception",
    "gqa": "official/accuracy",
    "mmmu": "vlmevalkit-2024/accuracy",
}
COUNTS = {"expected": 10, "predicted": 10, "scored": 10, "unparsed": 0, "unscored": 0}
NUMBERS = reported.load()


def record(bench: str, metric: Metric, *, model: str = "mine", part: Metric | None = None) -> RunRecord:
    key = KEYS[bench]
    metrics = {key: metric} | ({key + " (part)": part} if part else {})
    what = runs.spec(model, benchmark=bench, observer_card={}, benchmark_card={})
    return RunRecord(what, key, metrics, COUNTS, complete=True)


def whole(model: str = "mine") -> list[RunRecord]:
    values = {"pope": 85.0, "mme": 1400.0, "gqa": 60.0}
    return [record(bench, Metric(each, 10, each - 1, each + 2), model=model) for bench, each in values.items()]


def drawn(found: list[RunRecord], name: str = "x.png", **options: object) -> tuple[bytes, list[str]]:
    return figures.figure(found, NUMBERS, Path(name), **options)  # type: ignore[arg-type]  # a test's shorthand


def picture(found: list[RunRecord], **options: object) -> Image.Image:
    return Image.open(io.BytesIO(drawn(found, **options)[0])).convert("RGB")


def blue(image: Image.Image) -> int:
    """Return how many pixels have the first measured series' colour."""
    return sum(count for count, colour in image.getcolors(1 << 24) or () if colour == (0x00, 0x72, 0xB2))


# -- what is drawn ------------------------------------------------------------------------------------


def test_the_published_row_of_the_model_stands_beside_the_users() -> None:
    where = axes(whole("janus-pro-7b"), NUMBERS, (), tasks=False)
    mine, theirs = series(whole("janus-pro-7b"), NUMBERS, where, ())
    assert [each.label for each in where] == ["POPE", "MME-P", "GQA"] and [each.full for each in where] == [
        100,
        2000,
        100,
    ]
    assert mine.measured and not theirs.measured and theirs.name == "Janus-Pro-7B (reported)"
    assert [each.value for each in theirs.points.values()] == [87.4, 1567.1, 62.0]
    assert (mine.points["pope/pope"].low, mine.points["pope/pope"].high) == (84.0, 87.0)


def test_a_toy_run_has_no_published_row_beside_it() -> None:
    toy = [
        RunRecord(
            runs.spec("m", benchmark_card={"world": "toy"}),
            "official/overall",
            {"official/overall": Metric(0.5, 9)},
            COUNTS,
            True,
        )
    ]
    [only] = series(toy, NUMBERS, axes(toy, NUMBERS, (), tasks=False), ())
    assert only.name == "m (toy)"


def test_a_part_is_hollow_and_told() -> None:
    full, part = Metric(60.0, 10), Metric(None, 10, absent=("5 not asked",))
    solid = [record("gqa", full)]
    hollow = [record("gqa", part, part=Metric(60.0, 5, absent=("5 not asked",)))]
    options = {"kind": "bars", "suites": ["gqa"], "only": "measured"}
    assert 0 < blue(picture(hollow, **options)) < blue(picture(solid, **options)) / 4
    assert "mine, GQA: over a part" in drawn(hollow, **options)[1]


@pytest.mark.parametrize("kind", ["radar", "bars"])
def test_a_withheld_number_is_a_cross_and_told(kind: str) -> None:
    failed = Metric(None, 10, absent=("1 failed",))
    found = [*whole(), record("mmmu", failed, part=Metric(99.0, 9, absent=("1 failed",)))]
    where = axes(found, NUMBERS, (), tasks=False)
    rows = series(found, NUMBERS, where, ())
    assert rows[0].points["mmmu/mmmu"].value is None
    assert "mine, MMMU: withheld" in notes(rows, where)
    assert drawn(found, kind=kind)[0] != drawn(whole(), kind=kind)[0]


def test_a_radar_with_a_gap_is_not_filled() -> None:
    closed = [*whole(), record("mmmu", Metric(40.0, 10))]

    def colours(found: list[RunRecord]) -> list[tuple[int, tuple[int, int, int]]]:
        return picture(found, only="measured").getcolors(1 << 24) or []

    gap = [*whole(), record("mmmu", Metric(None, 10, absent=("1 failed",)))]
    pale = [sum(n for n, (r, _, b) in colours(each) if r > 200 and b - r > 5) for each in (closed, gap)]
    assert pale[0] > 10_000 and pale[1] < 1_000  # what is left are the edges of lines


def test_two_runs_of_one_model_are_two_series() -> None:
    first, second = whole()[:1], [record("pope", Metric(80.0, 10))]
    other = RunRecord(
        runs.spec("mine", benchmark="pope", seed=1, observer_card={}, benchmark_card={}), *_rest(second[0])
    )
    where = axes(first, NUMBERS, (), tasks=False)
    names = [each.name for each in series([*first, other], NUMBERS, where, ()) if each.measured]
    assert len(set(names)) == 2 and all(" #" in each for each in names)


def _rest(found: RunRecord) -> tuple[str, dict[str, Metric], dict[str, int], bool]:
    return found.headline, dict(found.metrics), dict(found.counts), found.complete


# -- the file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_equal_runs_give_equal_bytes_without_a_date(suffix: str) -> None:
    first, second = (drawn(whole(), "x" + suffix)[0] for _ in range(2))
    assert first == second and b"CreationDate" not in first and b"dc:date" not in first


def test_a_pdf_is_a_column_wide_with_embedded_true_type() -> None:
    data, _ = drawn(whole(), "x.pdf")
    assert b"/Type /Font" in data and b"/FontFile2" in data and b"/Type3" not in data
    assert b"237.6" in data  # 3.3 inches of 72 points
    assert picture(whole()).width == 990 and picture(whole(), wide=True).width == 2070


def test_the_users_own_settings_are_neither_used_nor_changed() -> None:
    plain = drawn(whole())[0]
    with matplotlib.rc_context({"font.size": 30, "savefig.bbox": "tight"}):
        before = dict(matplotlib.rcParams)
        assert drawn(whole())[0] == plain
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["$\\frac{1$", "a_b^c", "表 \U0001f600", "x" * 300, "\x1b[31m\nred", "%s {0}"])
def test_a_hostile_name_is_drawn_as_it_is(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in figures.KINDS:
            assert drawn(whole(name), "x.pdf", kind=kind, suites=["pope", "gqa"] if kind == "scatter" else [])[0]


# -- the command --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "radar", "suites": ["pope"]}, "a radar wants three suites"),
        ({"kind": "scatter"}, "name two"),
        ({"suites": ["popo"]}, "did you mean 'pope'"),
        ({"beside": ["Janus-Pro-8B"]}, "did you mean 'Janus-Pro-"),
        ({"name": "x.jpg"}, "ends in .pdf, .png, .svg"),
    ],
)
def test_what_cannot_be_drawn_is_an_error_of_usage(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        drawn(whole(), **options)


def test_more_series_than_can_be_told_apart_are_refused() -> None:
    many = [record("pope", Metric(80.0, 10), model=f"m{number}") for number in range(MOST + 1)]
    with pytest.raises(UsageError, match="cannot be told apart"):
        drawn(many)


def test_the_command_writes_the_file_and_says_what_its_caption_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write(tmp_path / "runs", runs.spec("janus-pro-7b"), runs.scores(share=4))
    out = tmp_path / "bars.pdf"
    assert main(["report", str(tmp_path / "runs"), "-f", "figure", "-o", str(out)]) == 0
    assert out.read_bytes().startswith(b"%PDF") and "Table 4" in capsys.readouterr().out
    for wrong in (["-f", "figure"], ["--figure", "bars"], ["-f", "figure", "-o", str(out), "--sort", "x"]):
        assert main(["report", str(tmp_path / "runs"), *wrong]) == 2


def test_without_matplotlib_the_line_that_installs_it_is_said(tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None\nfrom janus_eval.evals.commands.cli import entry\nentry()"
    line = [sys.executable, "-c", code, "report", "-f", "figure", "-o", str(tmp_path / "x.pdf")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 6 and pip_line("figures") in done.stderr
