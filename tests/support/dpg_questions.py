"""Rows of a questions file in the official columns, for tests."""

from __future__ import annotations

HEAD = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language\n"
)


def row(item: str, number: object, dependency: str = "0", statement: str = "entity - whole (x)") -> str:
    return f'{item},a prompt,x,{number},"{dependency}",entity,whole,"{statement}",Is there x?\n'
