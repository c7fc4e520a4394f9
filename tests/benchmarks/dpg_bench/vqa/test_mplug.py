"""The network and its beam search, held against the reference's one-question-at-a-time way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from janus_eval.benchmarks.dpg_bench.vqa.beam import END, START, beam_search
from janus_eval.benchmarks.dpg_bench.vqa.observer import MPlugVqa, to_pixels
from janus_eval.benchmarks.dpg_bench.vqa.tokens import Tokens
from PIL import Image
from support import mplug_folder, plain_mplug

QUESTIONS = [
    "Is there an apple?",
    "Is the bowl white?",
    "yes no yes no",
    "Does the cat that watches the child with the yellow balloon sit on the soft grey couch near the door of the room?",
    "a",
    "Are the dogs asleep?",
    "Is it sunset?",
]


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def vqa(stride: int, dtype: torch.dtype = torch.float64, **changes: float) -> MPlugVqa:
    return MPlugVqa(mplug_folder.network(mplug_folder.sizes(stride), **changes), mplug_folder.tokens(), "cpu", dtype)


def plain(model: MPlugVqa, image: Image.Image, question: str) -> list[tuple[float, list[int]]]:
    pixels = to_pixels(image, model.network.sizes.image_size).to(model.dtype)
    with torch.inference_mode():
        state = model.network.state_dict()
        return plain_mplug.answer(state, model.network.sizes, pixels, model.tokens.encode(question)[0])


@pytest.mark.parametrize(("stride", "seed", "end"), [(1, 1, 4.0), (2, 2, 5.0), (3, 2, 2.5), (6, 1, 5.0)])
def test_many_pictures_with_many_questions_give_the_reference_ways_hypotheses(
    stride: int, seed: int, end: float
) -> None:
    model = vqa(stride, seed=seed, end=end)
    pictures = [picture(7), picture(8, 20, 60), picture(9)]
    questions = [QUESTIONS[:2], QUESTIONS, []]
    found, cuts = model.search(pictures, questions)
    assert [len(each) for each in found] == [2, 7, 0]
    assert cuts[1] == [False, False, False, True, False, False, False]
    lengths: set[int] = set()
    for image, asked, answers in zip(pictures, questions, found, strict=True):
        for question, hypotheses in zip(asked, answers, strict=True):
            expected = plain(model, image, question)
            assert [list(each.ids) for each in hypotheses] == [ids for _, ids in expected]
            assert [each.score for each in hypotheses] == pytest.approx([score for score, _ in expected], abs=1e-9)
            lengths.add(len(hypotheses[0].ids))
    assert len(lengths) > 1, "answers of one length only would test little"


def test_the_stride_moves_the_answers() -> None:
    first, second = (vqa(stride).search([picture(1)], [QUESTIONS])[0][0] for stride in (2, 6))
    assert [each[0].score for each in first] != pytest.approx([each[0].score for each in second], abs=1e-6)


def test_the_questions_mask_is_heeded() -> None:
    model = vqa(2)
    alone = model.search([picture(1)], [["a"]])[0][0][0]
    beside = model.search([picture(1)], [["a", QUESTIONS[3]]])[0][0][0]
    assert [each.ids for each in alone] == [each.ids for each in beside]
    assert [each.score for each in alone] == pytest.approx([each.score for each in beside], abs=1e-12)


@pytest.mark.parametrize("stride", [2, 6])
def test_asking_leaves_a_pictures_tokens_as_they_were(stride: int) -> None:
    network = vqa(stride).network
    with torch.inference_mode():
        tokens = network.encode_pictures(torch.randn(1, 3, 28, 28, dtype=torch.float64))
        before = tokens.clone()
        mask = torch.ones(1, 2, 4, dtype=torch.long)
        network.fuse(tokens, torch.randn(1, 2, 4, 32, dtype=torch.float64), mask)
    assert torch.equal(tokens, before)


def test_half_precision_answers_too() -> None:
    exact, half = vqa(2), vqa(2, torch.bfloat16)
    first, second = (each.search([picture(3)], [QUESTIONS])[0][0] for each in (exact, half))
    scores = [[each[0].score for each in one] for one in (first, second)]
    assert scores[0] != scores[1]
    assert scores[1] == pytest.approx(scores[0], abs=0.3)


def test_pixels_are_stretched_to_the_square_and_normalised_as_clip_wants() -> None:
    white = to_pixels(Image.new("RGB", (10, 33), "white"), 28)
    expected = [(1 - m) / d for m, d in ((0.48145466, 0.26862954), (0.4578275, 0.26130258), (0.40821073, 0.27577711))]
    assert white.shape == (3, 28, 28)
    assert white.amax((1, 2)).tolist() == pytest.approx(expected, abs=1e-6)
    assert white.amin((1, 2)).tolist() == pytest.approx(expected, abs=1e-6)
    assert to_pixels(Image.new("LA", (5, 5)), 28).shape == (3, 28, 28)


# -- beam search by a table ---------------------------------------------------------------------------


Table = dict[tuple[int, ...], dict[int, float]]


def search(table: Table, beams: int, max_length: int = 10) -> list[tuple[list[int], float]]:
    """Run one question on chances by prefix; the words that a prefix does not name share the rest evenly."""
    prefixes: list[tuple[int, ...]] = [()]

    def step(ids: torch.Tensor, parents: torch.Tensor | None) -> torch.Tensor:
        nonlocal prefixes
        origins = parents[0].tolist() if parents is not None else [0]
        prefixes = [(*prefixes[o], i) for o, i in zip(origins, ids[0].tolist(), strict=True)]
        logits = torch.empty(1, len(prefixes), 110, dtype=torch.float64)
        for row, prefix in enumerate(prefixes):
            named = table.get(prefix[1:], {})
            logits[0, row] = math.log(max(1e-12, 1 - sum(named.values())) / (110 - len(named)))
            for word, chance in named.items():
                logits[0, row, word] = math.log(chance)
        return logits

    device = torch.device("cpu")
    found = beam_search(step, 1, beams=beams, min_length=1, max_length=max_length, device=device)
    return [(list(each.ids), each.score) for each in found[0]]


def penalty(length: int) -> float:
    return ((5 + length) / 6) ** 0.6


def test_the_end_is_forbidden_at_the_first_step() -> None:
    best = search({(): {END: 0.9, 1: 0.1}, (1,): {END: 1.0}}, beams=2)[0]
    assert best[0] == [START, 1, END]
    assert best[1] == pytest.approx(math.log(0.1) / penalty(2), abs=1e-6)


def test_a_beam_that_ended_goes_on_and_all_beams_are_stored_at_the_end() -> None:
    # After 1 the best goes on with 3 and the second beam ends; it is stored, kept and extended.
    table = {(): {1: 1.0}, (1,): {3: 0.6, END: 0.4}, (1, 3): {END: 0.9}, (1, END): {4: 0.9}}
    found = search(table, beams=2)
    assert [ids for ids, _ in found] == [[START, 1, 3, END], [START, 1, END]]
    assert found[1][1] == pytest.approx(math.log(0.4) / penalty(2), abs=1e-6)
    assert len(search({**table, (1, 3): {5: 0.9}, (1, 3, 5): {END: 1.0}}, beams=2)) == 2


def test_a_shorter_hypothesis_can_win_after_all() -> None:
    table = {(): {1: 1.0}, (1,): {3: 0.51, END: 0.49}, (1, 3): {5: 0.3}, (1, 3, 5): {END: 1.0}, (1, END): {7: 0.1}}
    assert search(table, beams=2)[0][0] == [START, 1, END]


def test_the_last_step_stores_what_there_is() -> None:
    found = search({(): {1: 1.0}, (1,): {2: 1.0}, (1, 2): {3: 1.0}}, beams=1, max_length=3)
    assert found[0][0] == [START, 1, 2, 3]


# -- tokens -------------------------------------------------------------------------------------------


def test_a_question_is_cut_at_25_tokens_and_says_so() -> None:
    tokens = mplug_folder.tokens()
    ids, cut = tokens.encode("apple " * 23)
    assert (len(ids), cut) == (25, False)
    longer, cut = tokens.encode("apple " * 24 + "?")
    assert (longer, cut) == (ids, True)


@pytest.mark.parametrize(
    "text",
    [
        "Is there an apple?",
        "Is the café's sign “blue”, naïve Zoë?",
        "  Two\tspaces  and 漢字 and\nlines ",
        "hyphen-ated, co.uk; it's #1!",
        "x" * 101,
        "[SEP] yes [MASK]",
        "",
    ],
)
def test_ids_are_those_of_transformers_bert_tokenizer(text: str, tmp_path) -> None:
    from transformers import BertTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join(mplug_folder.WORDS) + "\n", encoding="utf-8")
    reference = BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=True)
    ids, _ = Tokens.read(tmp_path / "vocab.txt").encode(text)
    assert ids == reference(text.lower(), truncation=True, max_length=25)["input_ids"]


def test_answers_are_closed_up_and_lose_special_tokens() -> None:
    tokens = Tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "it", "'", "s", "##ing", ",", "."])
    assert tokens.decode([2, 5, 3]) == "yes"
    assert tokens.decode([2, 6, 7, 8, 9, 10, 5, 11, 1, 3, 5]) == "it'sing, yes. yes"
    assert tokens.decode([2, 3]) == ""
