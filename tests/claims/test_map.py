"""Every claim is held by a test, and the table of them is true."""

from __future__ import annotations

from support import claims


def test_every_claim_is_held_and_the_table_says_by_what() -> None:
    held = claims.held()
    assert held.keys() == claims.CLAIMS.keys()
    told = claims.README.read_text(encoding="utf-8")
    wanted = f"{claims.BEGIN}\n{claims.table(held)}\n{claims.END}"
    assert wanted in told, "write it anew: python tests/support/claims.py"
