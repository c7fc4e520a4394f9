"""Rows as an .xlsx workbook of one sheet: texts and whole numbers, no formulas, the same bytes for the same rows.

By zipfile rather than a spreadsheet library: a library's writer takes a text that begins with "=" for a formula and
dates its file. ECMA-376 part 1, 18.3 (worksheets).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

MOST_CHARACTERS: Final = 32_767
"""No cell of a spreadsheet holds more."""
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
    f'ContentType="{_TYPE}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" '
    f'ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="Sheet1" sheetId="1" '
    'r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def workbook(rows: Sequence[Sequence[str | int]]) -> bytes:
    """Return the workbook of some rows, at most 26 columns wide; an empty text is an empty cell.

    Characters that XML cannot hold are written as spreadsheets escape them (_x0007_); what is longer than a cell
    may be is cut.
    """
    lines = "".join(f'<row r="{at}">{_cells(at, row)}</row>' for at, row in enumerate(rows, 1))
    sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            part = zipfile.ZipInfo(name)  # of a fixed date
            part.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(part, (_HEAD + content).encode())
    return file.getvalue()


def _cells(at: int, row: Sequence[str | int]) -> str:
    return "".join(_cell(f"{chr(65 + place)}{at}", value) for place, value in enumerate(row) if value != "")


def _cell(name: str, value: str | int) -> str:
    if isinstance(value, int):
        return f'<c r="{name}"><v>{value}</v></c>'
    text = _NO_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", value[:MOST_CHARACTERS])
    text = escape(text, {"\r": "_x000D_"})
    return f'<c r="{name}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
