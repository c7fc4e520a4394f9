"""`report --since` goes by the month of the paper that prints a number, and names what has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.reports import dates, reported
from janus_eval.reports.report import compose, report
from support import runs

HEAD = "suite,column,model,value,source\n"


@pytest.mark.parametrize(
    ("source", "month"),
    [
        ("Janus-Pro technical report, arXiv 2501.17811, Table 3", "2025-01"),
        ("https://arxiv.org/abs/2512.16853v2", "2025-12"),
        ("arXiv:2604.10784", "2026-04"),
        ("their issue 7 (2025-09), read 2026-11-27", "2025-09"),
        ("their issue 7 (2025-09-30)", "2025-09"),
        ("README (arXiv 2503.07265), table of (2026-04)", "2025-03"),
        ("README.md (read 2026-11-27)", ""),
        ("arXiv 2513.12345", ""),
        ("arXiv 2503.123456", ""),
        ("their report, Table 2", ""),
    ],
)
def test_the_month_of_a_source(source: str, month: str) -> None:
    assert dates.month(source) == month


def test_since_keeps_what_was_printed_then_or_later() -> None:
    numbers = reported.load()
    kept = dates.recent(numbers, "2025-06")
    assert {dates.month(each.citation) >= "2025-06" for each in kept} == {True}
    assert 0 < len(kept) < len(dates.recent(numbers, "2025")) < len(numbers)
    assert not {"janus-pro-table-4", "vlmevalkit-541"} & {each.source for each in kept}
    assert {each.source for each in numbers if not dates.month(each.citation)} == {"janus-210", "blip3o-46"}


def test_what_has_no_month_is_left_out_and_named() -> None:
    (table,) = [each for each in compose([], reported.load(), since="2025") if each.key == "geneval"]
    assert "Left out, their month not known: janus-210" in table.notes[0]
    assert "janus-210" not in "".join(row.cells[0].text for _, row in table.rows())


def test_a_source_of_ones_own_counts_where_it_tells_its_month(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    lines = ["geneval,overall,mine,0.5,my paper (2026-01)", "geneval,overall,old,0.4,my first paper (2024-01)"]
    own.write_text(HEAD + "\n".join([*lines, "geneval,overall,dateless,0.3,my notes"]) + "\n")
    text = report(only="reported", own=[own], since="2026-01", which=["geneval"])
    assert "mine" in text and "my first paper" not in text and "Left out, their month not known: janus-210" in text
    assert "my notes" in text.split("Left out", 1)[1].splitlines()[0]


def test_a_measured_row_stays_and_keeps_its_group(tmp_path: Path) -> None:
    folder = runs.write(tmp_path / "a", runs.spec("janus-pro-7b"), runs.scores(share=50))
    text = report([folder], since="2026")
    assert "janus-pro-7b" in text and "janus-pro-table-4" not in text


@pytest.mark.parametrize("since", ["25", "2025-13", "2025-6", "June", "", "2025-06-01", "9999", "1899"])
def test_what_is_no_month_is_refused(since: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        report(since=since)


def test_nothing_since_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--since", "2099"]) == 2
    assert "no published number here is of 2099-01 or later" in capsys.readouterr().err
    assert cli.main(["report", "--since", "2025", "--only", "measured"]) == 2
