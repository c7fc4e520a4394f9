"""A picture's prefix read once: the bits of questions asked whole, whatever shares a batch and whatever was kept."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from janus_eval.evals import registry
from janus_eval.evals.errors import OutOfMemory
from janus_eval.evals.types import Job, Kind, Picture, Sample
from janus_eval.models.janus.adapter import Janus
from janus_eval.models.janus.engine import answer, weigh
from janus_eval.models.janus.network import PORTION, Network
from janus_eval.models.janus.prompts import PRO_ROLES, Tokens, Turn, read_prompt
from janus_eval.models.janus.reading import Kept, Question
from PIL import Image

TEXTS = (
    "\nis there a cat?",
    "\nis there a very long purple chair to the left of four yellow cups in it?",
    "\nhow many?",
)


@pytest.fixture(scope="module")
def asked(network: Network, tokens: Tokens) -> list[Question]:
    """Return questions about three subjects, one of them of two pictures, and one without any; not side by side."""
    generator = torch.Generator().manual_seed(3)
    subjects: dict[bytes, torch.Tensor] = {}
    for name, count in ((b"one", 1), (b"other", 1), (b"two", 2)):
        pixels = torch.rand((count, 3, network.image_size, network.image_size), generator=generator) * 2 - 1
        with torch.inference_mode():
            subjects[name] = network.see(pixels)
    order = [(b"one", 0), (b"two", 0), (b"", 1), (b"other", 0), (b"one", 1), (b"two", 2), (b"one", 2), (b"other", 1)]
    made: list[Question] = []
    for name, text in order:
        seen = subjects.get(name)
        images = 0 if seen is None else len(seen)
        ids = read_prompt(
            tokens, Turn(PRO_ROLES), TEXTS[text], images=images, image_tokens=network.image_tokens, system="Look."
        )
        made.append(Question(ids, seen, name))
    return made


def read(
    network: Network, tokens: Tokens, questions: Sequence[Question], kept: Kept | None = None
) -> tuple[list[list[int]], list[torch.Tensor]]:
    seen: list[torch.Tensor] = []
    said = answer(network, questions, image=tokens.image, eos=-1, limit=5, kept=kept, watch=seen.append)
    return said, [torch.stack([step[row] for step in seen]) for row in range(len(questions))]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several threads the sums of one new token depend on how many rows it stands beside, shared prefix or not."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def whole(network: Network, tokens: Tokens, questions: Sequence[Question]) -> tuple[list[list[int]], list[Any]]:
    each = [read(network, tokens, [replace(question, subject=b"")]) for question in questions]
    return [said[0] for said, _ in each], [logits[0] for _, logits in each]


@pytest.mark.usefixtures("one_thread")
def test_a_shared_prefix_gives_the_bits_of_each_question_asked_whole(
    network: Network, tokens: Tokens, asked: list[Question]
) -> None:
    wanted, logits = whole(network, tokens, asked)
    said, found = read(network, tokens, asked)
    assert said == wanted and len({*map(tuple, said)}) > 3
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, logits, strict=True))


@pytest.mark.usefixtures("one_thread")
def test_a_kept_prefix_gives_the_same_bits_one_by_one_and_across_batches(
    network: Network, tokens: Tokens, asked: list[Question]
) -> None:
    order = sorted(asked, key=lambda each: each.subject)
    wanted, logits = whole(network, tokens, order)
    for size in (1, 2, 3):
        kept = Kept()
        for start in range(0, len(order), size):
            said, found = read(network, tokens, order[start : start + size], kept)
            assert said == wanted[start : start + size]
            assert all(map(torch.equal, found, logits[start : start + size]))


def test_a_prompt_gives_the_same_bits_with_any_threads_whether_its_prefix_is_shared_or_read_whole(
    network: Network, tokens: Tokens, asked: list[Question], one_thread: None
) -> None:
    torch.set_num_threads(2)
    for size in (1, 2, 3, len(asked)):
        kept = Kept()
        for start in range(0, len(asked), size):
            batch = asked[start : start + size]
            said, found = read(network, tokens, batch, kept)
            wanted, logits = read(network, tokens, [replace(each, subject=b"") for each in batch])
            assert said == wanted
            assert all(torch.equal(mine[0], theirs[0]) for mine, theirs in zip(found, logits, strict=True))


def test_options_weigh_the_same_over_a_shared_prefix(network: Network, tokens: Tokens, asked: list[Question]) -> None:
    options = [[tokens.ids([text]) for text in (" yes", " a very dark cat")] for _ in asked]
    alone = [
        weigh(network, [replace(each, subject=b"")], ways[:], image=tokens.image)[0]
        for each, ways in zip(asked, ([row] for row in options), strict=True)
    ]
    assert weigh(network, asked, options, image=tokens.image, kept=Kept()) == alone


def test_only_what_follows_the_prefix_is_run_for_a_second_question(
    network: Network, tokens: Tokens, asked: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[tuple[int, int, int]] = []
    begin = network.begin

    def watched(x: torch.Tensor, cache: Any, start: int = 0) -> torch.Tensor:
        run.append((len(x), start, x.shape[1]))
        return begin(x, cache, start)

    monkeypatch.setattr(network, "begin", watched)
    kept = Kept()
    first, second, third = (each for each in asked if each.subject == b"one")
    read(network, tokens, [first, second], kept)
    start = run[0][2]
    assert start % PORTION == 0 and start >= network.image_tokens
    assert [row[:2] for row in run] == [(1, 0), (2, start)]
    run.clear()
    read(network, tokens, [third], kept)
    assert [row[:2] for row in run] == [(1, start)]


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 33), colour).save(buffer, "PNG")
    return buffer.getvalue()


def jobs(kind: Kind = "text") -> list[Job]:
    pictures = {name: Picture(name, lambda colour=name: png(colour)) for name in ("red", "green")}
    return [
        Job(Sample(f"{name}/{place}", text, (pictures[name],), options=("yes", "no")), kind, 0, place)
        for name in pictures
        for place, text in enumerate(TEXTS)
    ]


def made(native: Path) -> Janus:
    return registry.create("models", "janus-pro-1b", path=str(native), device="cpu", max_new_tokens="4")


@pytest.mark.parametrize("kind", ["text", "likelihood"])
def test_a_pictures_questions_see_it_once_and_answer_as_alone(
    native: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [made(native).predict([job])[0] for job in jobs(kind)]
    model, seen = made(native), 0
    see = Network.see

    def counted(self: Network, pixels: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(pixels)
        return see(self, pixels)

    monkeypatch.setattr(Network, "see", counted)
    asked = jobs(kind)
    assert [*model.predict(asked[:2]), *model.predict(asked[2:4]), *model.predict(asked[4:])] == alone
    assert seen == 2


def test_what_is_kept_goes_where_memory_is_short_and_where_pictures_are_drawn(
    native: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from janus_eval.models.janus import engine

    model, asked = made(native), jobs()
    wanted = model.predict(asked)
    kept = model._loaded.kept
    assert kept.cache is not None
    with monkeypatch.context() as patch:
        patch.setattr(engine.Cache, "empty", lambda *_: torch.empty(1 << 60, dtype=torch.uint8))
        with pytest.raises(OutOfMemory):
            model.predict(asked)
    assert kept.cache is None
    assert model.predict(asked) == wanted and kept.cache is not None
    model.predict([replace(asked[0], kind="image")])
    assert kept.cache is None
