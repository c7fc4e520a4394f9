"""An .xlsx is read as its texts, and what is no plain cell is named: formulas, dates, merged cells, bombs."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from janus_eval.benchmarks.gqa import Gqa
from janus_eval.benchmarks.reading.importers import take
from janus_eval.benchmarks.reading.tables import read_rows
from janus_eval.evals.errors import UsageError

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def text(value: str) -> str:
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>'


def book(path: Path, *rows: str, after: str = "", **parts: str) -> Path:
    """Write a workbook of one sheet; `parts` are further files of it by the last part of their names."""
    cells = "".join(f"<row>{row}</row>" for row in rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", f"<workbook {MAIN}><sheets><sheet name='a'/></sheets></workbook>")
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {MAIN}><sheetData>{cells}</sheetData>{after}</worksheet>"
        )
        for name, content in parts.items():
            archive.writestr(f"xl/{name}.xml", content)
    return path


HEAD = "".join(map(text, ("index", "answer", "prediction")))


def test_shared_texts_numbers_and_truths_are_what_a_tsv_would_hold(tmp_path: Path) -> None:
    second = "<r><t>b</t></r><r><t xml:space='preserve'> c</t></r><rPh><t>x</t></rPh>"
    shared = f"<sst {MAIN}><si><t>a</t></si><si>{second}</si></sst>"
    row = '<c r="A2"><v>241</v></c><c r="B2" t="s"><v>1</v></c><c r="D2" t="b"><v>1</v></c>'
    head = "".join(map(text, ("index", "answer", "prediction", "kept")))
    (found,) = read_rows(book(tmp_path / "a.xlsx", head, row, sharedStrings=shared))
    assert found.fields == {"index": "241", "answer": "b c", "prediction": "", "kept": "True"}
    assert found.line == 2


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    assert len(read_rows(book(tmp_path / "a.tsv", HEAD, text("1")))) == 1


STYLES = f'<styleSheet {MAIN}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("<c><f>HYPERLINK(1)</f><v>2</v></c>", "a formula"),
        ('<c s="1"><v>44563</v></c>', "a date"),
        ('<c t="e"><v>#N/A</v></c>', "the spreadsheet's error #N/A"),
        ('<c t="s"><v>7</v></c>', "no text of this file"),
    ],
)
def test_a_cell_that_is_no_plain_one_makes_its_row_odd_and_no_other(tmp_path: Path, cell: str, why: str) -> None:
    rows = [text(str(at)) + text("yes") + (cell if at == 2 else text("yes")) for at in range(4)]
    scored = Gqa().rescore(predictions=book(tmp_path / "a.xlsx", HEAD, *rows, styles=STYLES))
    (told,) = scored.extra["odd_rows"]
    assert re.search(rf"a\.xlsx line 4: column 'prediction' holds {why}", told)
    assert (scored.n, scored.unscored) == (4, 1)
    assert scored.metrics["official/accuracy"].value is None
    assert scored.metrics["official/accuracy (part)"].value == 100


def test_merged_cells_are_odd_but_for_the_first(tmp_path: Path) -> None:
    rows = [text(str(at)) + text("yes") + (text("yes") if at < 2 else "") for at in range(5)]
    merged = '<mergeCells count="1"><mergeCell ref="C3:C4"/></mergeCells>'
    found = read_rows(book(tmp_path / "a.xlsx", HEAD, *rows, after=merged))
    assert [dict(row.odd) for row in found] == [
        {},
        {},
        {"prediction": "a part of merged cells: split them"},
        {},
        {},
    ]


@pytest.mark.parametrize(
    ("after", "told"),
    [('<mergeCells><mergeCell ref="A1:B1"/></mergeCells>', "a column's name is a part of merged cells")],
)
def test_a_header_of_merged_cells_is_refused(tmp_path: Path, after: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_rows(book(tmp_path / "a.xlsx", HEAD, text("1"), after=after))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"sheet1\.xml unpacks from [\d,]+ to [\d,]+ bytes: not read \(a zip bomb\?\)"):
        read_rows(book(tmp_path / "a.xlsx", HEAD, text("x" * 30_000_000)))


def test_entities_that_grow_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", '<!DOCTYPE w [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><w>&b;</w>')
    with pytest.raises(UsageError, match="declares a document type"):
        read_rows(path)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("header.json",), "inspect log convert --to json"),
        (("content.xml",), r"another kind \(\.ods\)"),
        (("xl/workbook.bin",), r"a binary spreadsheet \(\.xlsb\)"),
        (("a.json",), r"a zip archive, no \.xlsx"),
    ],
)
def test_another_archive_is_named_with_what_to_do(tmp_path: Path, names: tuple[str, ...], told: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    with pytest.raises(UsageError, match=told):
        take(tmp_path / "a.eval")


@pytest.mark.parametrize("content", [b"\x80\x04\x95pickle", b"\x80\x02}q\x00."])
def test_a_pickle_is_never_loaded(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(UsageError, match=r"a pickle, .* it never is; .*PRED_FORMAT=tsv"):
        take(tmp_path / "a.xlsx")
