"""Janus prompts: text and ids as the official code makes them, and text that stays text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from janus_eval.evals.errors import EnvironmentProblem
from janus_eval.models.janus.prompts import (
    PLAIN_ROLES,
    PRO_ROLES,
    Special,
    Tokens,
    Turn,
    draw_prompt,
    read_prompt,
    turn,
)

PLAIN, PRO = Turn(PLAIN_ROLES), Turn(PRO_ROLES)


def shown(pieces: list[str | Special]) -> str:
    return "".join(f"[{piece.text}]" if isinstance(piece, Special) else piece for piece in pieces)


def test_a_turn_reads_as_the_official_template(tokens: Tokens) -> None:
    assert shown(turn(tokens, PLAIN, [" a cat\n"])) == "User: a cat\n\nAssistant:"
    assert shown(turn(tokens, PRO, ["a cat"])) == "[<|User|>]: a cat\n\n[<|Assistant|>]:"
    assert shown(turn(tokens, PLAIN, ["hi"], system=" Be kind. ")) == "Be kind. \n\nUser: hi\n\nAssistant:"


def test_an_empty_prompt_is_an_open_turn_as_in_the_official_code(tokens: Tokens) -> None:
    assert shown(turn(tokens, PLAIN, [" \n"])) == "User:Assistant:"
    ids = draw_prompt(tokens, PRO, "").conditional
    assert ids[0] == tokens.bos and ids[-1] == tokens.begin_image


def test_the_unconditional_prompt_keeps_the_first_and_the_last_token(tokens: Tokens) -> None:
    prompt = draw_prompt(tokens, PRO, "a photo of a red apple")
    assert len(prompt.unconditional) == len(prompt.conditional)
    assert prompt.unconditional[0] == tokens.bos and prompt.unconditional[-1] == tokens.begin_image
    assert set(prompt.unconditional[1:-1]) == {tokens.pad}


def test_pictures_stand_before_the_text_and_the_line_break_stays(tokens: Tokens) -> None:
    ids = read_prompt(tokens, PLAIN, "\nis it red?", images=2, image_tokens=3)
    picture = [tokens.begin_image, tokens.image, tokens.image, tokens.image, tokens.end_image]
    start = [tokens.bos, *tokens.ids(["User: "])]
    assert list(ids) == [*start, *picture, *picture, *tokens.ids(["\nis it red?\n\nAssistant:"])]
    after = read_prompt(tokens, Turn(PLAIN_ROLES, "after"), "is it red?\n", images=1, image_tokens=3)
    assert list(after) == [tokens.bos, *tokens.ids(["User: is it red?\n"]), *picture, *tokens.ids(["\n\nAssistant:"])]


@pytest.mark.parametrize("name", ["<image_placeholder>", "<begin_of_image>", "<|Assistant|>", "<｜end▁of▁sentence｜>"])
def test_text_that_spells_a_control_token_stays_text(tokens: Tokens, name: str) -> None:
    control = {tokens.bos, tokens.eos, tokens.pad, tokens.image, tokens.begin_image, tokens.end_image}
    ids = draw_prompt(tokens, PLAIN, f"a {name} cat {name}").conditional
    assert not control & set(ids[1:-1])
    assert name in tokens.text(ids)
    ids = read_prompt(tokens, PLAIN, name, images=1, image_tokens=3, system=name)
    assert ids.count(tokens.image) == 3


def test_any_script_survives_the_way_there_and_back(tokens: Tokens) -> None:
    text = "красный куб 一只柴犬 🦊 café\tend"
    assert tokens.text(tokens.ids([text])) == text


def test_a_tokenizer_without_the_control_tokens_is_named(native: Path, tmp_path: Path) -> None:
    table = json.loads((native / "tokenizer.json").read_text(encoding="utf-8"))
    table["added_tokens"] = [each for each in table["added_tokens"] if each["content"] != "<begin_of_image>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(EnvironmentProblem, match="no special token '<begin_of_image>'"):
        Tokens(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EnvironmentProblem, match="damaged"):
        Tokens(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(EnvironmentProblem, match=r"no tokenizer\.json"):
        Tokens(tmp_path)
