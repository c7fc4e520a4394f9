"""Claims are checked over any table of numbers; each verdict comes with its numbers and their source."""

from __future__ import annotations

from pathlib import Path

import pytest
from janus_eval.evals.commands import cli
from janus_eval.evals.errors import UsageError
from janus_eval.reports import reported
from janus_eval.reports.claims import Board, Claim, Entry, check, claims, measured_board, read, reported_board
from support import runs

BOARD: Board = {
    "geneval.overall": {name: Entry(v, f"{v:.2f}", "a source") for name, v in [("A", 0.8), ("B", 0.7), ("C", 0.7)]},
    "dpg_bench.overall": {name: Entry(v, f"{v:.1f}", "a source") for name, v in [("A", 80.0), ("B", 90.0)]},
}


def claim(kind: str, model: str, columns: str = "geneval.overall", **settings: object) -> Claim:
    return Claim("c", "text", "source", kind, model, tuple(columns.split()), settings)


@pytest.mark.parametrize(
    ("what", "verdict", "said"),
    [
        (claim("first", "A"), "holds", "1st of 3"),
        (claim("first", "B"), "does not hold", "2nd of 3, tied with C, behind A 0.80"),
        (claim("first", "B", rank=2), "holds", "tied with C"),
        (claim("first", "D"), "not enough data", "no number for D in geneval.overall"),
        (claim("ranks", "A", "geneval.overall dpg_bench.overall", first=1), "holds", "first in 1, second in 1 of 2"),
        (claim("ranks", "A", "geneval.overall dpg_bench.overall", first=2), "does not hold", "first in 1"),
        (claim("beats", "A", others=["B", "C"]), "holds", "0.80 > 0.70 (B)"),
        (claim("beats", "B", others=["C"]), "does not hold", "0.70 = 0.70 (C)"),
        (claim("beats", "A", "geneval.overall dpg_bench.overall", others=["B"]), "does not hold", "80.0 < 90.0"),
        (
            claim(
                "beats",
                "A",
                "geneval.overall dpg_bench.overall",
                others=["B"],
                **{"except": ["dpg_bench.overall"]},
            ),
            "holds",
            "80.0 < 90.0",
        ),
        (claim("beats", "A", "dpg_bench.overall", others=["C"]), "not enough data", "C in dpg_bench.overall"),
        (claim("gain", "A", base="B", low=0.1, high=0.2), "holds", "+14.3%"),
        (claim("gain", "A", base="B", low=0.2, high=0.3), "does not hold", "only in 0 of 1: none"),
        (claim("up_to", "A", base="B", high=0.14, about=0.01), "holds", "largest in geneval.overall, +14.3%"),
        (claim("up_to", "A", base="B", high=0.45, about=0.01), "does not hold", "+14.3%"),
        (
            claim("average", "A", "geneval.overall dpg_bench.overall", divide={"dpg_bench.overall": 50}),
            "does not hold",
            "of 2 models with all 2: B 1.25, A 1.20",
        ),
    ],
)
def test_a_predicate_by_hand(what: Claim, verdict: str, said: str) -> None:
    found = check(what, BOARD)
    assert found.verdict == verdict
    assert said in "; ".join(found.numbers)


def test_the_published_numbers_bear_out_all_claims_but_the_one_about_1b() -> None:
    text, found = claims()
    assert {each.claim.id: each.verdict for each in found} == {
        "first-generation": "holds",
        "beats-dalle3-sd3": "holds",
        "four-firsts": "holds",
        "pro-1b-gains": "does not hold",
        "pro-7b-gains": "holds",
        "beats-tokenflow": "holds",
        "average": "holds",
    }
    assert "only in 3 of 9: understanding.mmmu, understanding.mm_vet, geneval.overall" in text
    assert "tied with LLaVA-v1.5" in text  # 62.0 on GQA, both
    assert "Janus-Pro-7B 67.19" in text and "Janus 60.88" in text  # Figure 1 (a)
    assert all(each.sources for each in found)
    assert "single pass" in text  # MMB mixes protocols: the reader is told


def test_models_of_one_name_and_two_sizes_stay_apart() -> None:
    place = reported_board(reported.load())["understanding.gqa"]
    assert {"InstructBLIP 7B", "InstructBLIP 13B", "Janus-Pro-7B"} <= set(place)
    assert "InstructBLIP" not in place


def test_measured_runs_are_read_when_given(tmp_path: Path) -> None:
    for model, drop in [("janus-pro-7b", 0.0), ("sd3-medium", 0.1)]:
        runs.write(tmp_path, runs.spec(model), runs.scores(share=5, drop=drop))
    runs.write(tmp_path, runs.spec("janus-toy", model_card={"world": "toy"}), runs.scores(share=5))
    runs.write(tmp_path, runs.spec("janus-1.3b", limit="3"), runs.scores(share=5))
    text, found = claims([tmp_path])
    assert {each.verdict for each in found} == {"not enough data"}
    assert "left out: janus-toy on geneval (toy)" in text
    assert "left out: janus-1.3b on geneval (limit 3)" in text
    own = tmp_path / "own.toml"
    own.write_text(
        '[[claim]]\nid = "x"\ntext = "7B is first"\nsource = "me"\ncheck = "first"\n'
        'model = "Janus-Pro-7B"\ncolumns = ["geneval.overall"]\n'
    )
    last = claims([tmp_path], more=[own])[1][-1]
    assert last.verdict == "holds"
    assert last.sources[0].startswith("run #")


def test_two_runs_of_one_model_are_not_mixed(tmp_path: Path) -> None:
    from janus_eval.evals.records import read_record

    for seed in (1, 2):
        runs.write(tmp_path, runs.spec("sd3-medium", seed=seed), runs.scores(seed, share=20))
    with pytest.raises(UsageError, match="two runs of sd3-medium on geneval"):
        measured_board(read_record(each) for each in sorted(tmp_path.iterdir()))


GOOD = 'id = "x"\ntext = "t"\nsource = "s"\nmodel = "m"\ncolumns = ["geneval.overall"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim]\n", "cannot be read as TOML"),
        ("[claim]\n" + GOOD, "claims are written"),
        ("[[claim]]\n" + GOOD, "claim 1: check is missing"),
        ("[[claim]]\n" + GOOD + 'check = "frist"\n', "did you mean 'first'"),
        ("[[claim]]\n" + GOOD + 'check = "gain"\nlow = 0.1\nhigh = 0.2\n', "needs 'base'"),
        ("[[claim]]\n" + GOOD + 'check = "first"\nrnk = 2\n', "knows no 'rnk'"),
        ("[[claim]]\n" + GOOD.replace("geneval.overall", "geneval.overal") + 'check = "first"\n', "did you mean"),
        ("[[claim]]\n" + GOOD.replace('source = "s"\n', "") + 'check = "first"\n', "source is missing"),
    ],
)
def test_a_claim_that_cannot_be_meant_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read(path)


def test_the_command_exits_0_unless_strict(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["claims"]) == 0
    assert "6 holds, 1 does not hold" in capsys.readouterr().out
    assert cli.main(["claims", "--strict", "--format", "markdown"]) == 3
    assert "| does not hold" in capsys.readouterr().out
