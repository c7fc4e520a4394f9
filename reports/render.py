"""Tables into markdown, LaTeX, HTML, CSV, JSON or the terminal's text: the one place that picks a writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..evals.errors import UsageError
from . import latex, page, plain, text
from .table import FORMATS, Format, Table, cleaned


def render(tables: Sequence[Table], form: Format, *, color: bool = False, width: int | None = None) -> str:
    """Return the tables in one format.

    In the terminal's format `color` shows ranks as bold and underline, and tables are laid out for `width`.
    """
    writers: dict[str, Callable[[Sequence[Table]], str]] = {
        "text": lambda all_: text.text(all_, color=color, width=width),
        "markdown": plain.markdown,
        "csv": plain.comma_separated,
        "json": plain.as_json,
        "latex": latex.document,
        "html": page.page,
    }
    if form not in writers:
        raise UsageError(f"--format {form!r}: expected one of {', '.join(FORMATS)}")
    return writers[form]([cleaned(table) for table in tables])
