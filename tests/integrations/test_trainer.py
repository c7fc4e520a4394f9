"""A real, tiny Trainer evaluates while it trains, and trains as if it had not."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from janus_eval.evals.errors import UsageError
from janus_eval.evals.stored import find_runs, read_record
from janus_eval.evals.types import Job, Metric, Prediction, Sample, Score
from janus_eval.integrations.trainer import EvaluateCallback, weights_digest
from torch import nn
from transformers import Trainer, TrainingArguments


class Net(nn.Module):
    """Learns to double a number; drops half of what it sees while it trains. Its second part stays frozen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.frozen = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5)).eval()

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        out = self.first(x) + 0 * self.frozen(self.first(x))
        found = {"logits": out}
        return found if labels is None else {"loss": ((out - labels) ** 2).mean(), **found}


class Numbers(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        x = torch.full((4,), at / 24)
        return {"x": x, "labels": 2 * x[:1]}


class Asks:
    """Says what the network makes of a number, and spends everybody's random numbers on the way."""

    kinds = frozenset(["text"])
    card: dict[str, Any] = {"kind": "asks"}
    alive: list[weakref.ref[Any]] = []

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.alive.append(weakref.ref(self))

    def predict(self, jobs: Sequence[Job]) -> list[str]:
        assert not self.network.training and not torch.is_grad_enabled()
        random.random(), np.random.random(), torch.rand(3)
        values = torch.tensor([[float(job.sample.prompt)] * 4 for job in jobs])
        return [f"{value.item():.6f}" for value in self.network(values)["logits"]]


class Doubles:
    """Counts answers that are near the double, and one metric that nobody can know."""

    name = "doubles"
    kind = "text"
    outputs = 1
    observer = None
    headline = "official/near"
    card = {"version": "1"}

    def samples(self) -> list[Sample]:
        return [Sample(str(n), str(n / 4), target=n / 2) for n in range(4)]

    def score(self, sample: Sample, prediction: Prediction, evidence: Any) -> list[Score]:
        value = float(abs(float(prediction.text or "nan") - sample.target) < 0.5)
        return [Score(sample.id, 0, "official", value)]

    def aggregate(self, scores: Sequence[Score]) -> dict[str, Metric]:
        values = [each.value for each in scores if each.value is not None]
        return {"official/near": Metric(sum(values) / len(values), len(values)), "official/none": Metric(None, 0)}


class Fails(Doubles):
    name = "fails"

    def samples(self) -> list[Sample]:
        raise RuntimeError("no data today")


def trained(folder: Path, *callbacks: EvaluateCallback, attach: bool = True) -> tuple[Net, Trainer]:
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=4,
        max_steps=6,
        learning_rate=0.05,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=3,
        dataloader_pin_memory=False,
    )
    net = Net()
    trainer = Trainer(model=net, args=arguments, train_dataset=Numbers())
    net.frozen.eval()
    for each in callbacks:
        each.attach(trainer) if attach else trainer.add_callback(each)
    trainer.train()
    return net, trainer


def test_training_with_the_callback_gives_the_weights_of_training_without_it(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path)
    watched, _ = trained(tmp_path, EvaluateCallback(Asks, Doubles(), every=2, output=tmp_path / "runs"))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))
    assert weights_digest(plain) == weights_digest(watched) != weights_digest(Net())


@pytest.mark.parametrize("attach", [True, False])
def test_metrics_are_logged_at_their_steps_and_a_withheld_one_is_no_number(tmp_path: Path, attach: bool) -> None:
    callback = EvaluateCallback(Asks, Doubles(), every=2, output=tmp_path / "runs")
    _, trainer = trained(tmp_path, callback, attach=attach)
    logged = [row for row in trainer.state.log_history if "janus_eval/doubles/official/near" in row]
    assert [row["step"] for row in logged] == [2, 4, 6]
    assert not any("none" in key for row in logged for key in row)


def test_each_part_is_in_the_mode_that_it_was_in(tmp_path: Path) -> None:
    net = Net().train()
    net.frozen.eval()
    before = {name: each.training for name, each in net.named_modules()}
    EvaluateCallback(Asks, Doubles(), every=1, output=tmp_path)._evaluate(net, 1)
    assert {name: each.training for name, each in net.named_modules()} == before
    assert set(before.values()) == {True, False} and torch.is_grad_enabled()


def test_two_trainings_in_one_folder_never_share_a_record(tmp_path: Path) -> None:
    for start in (0.0, 1.0):
        net = Net()
        with torch.no_grad():
            net.first[0].bias += start
        EvaluateCallback(Asks, Doubles(), every=1, output=tmp_path)._evaluate(net, 10)
    runs = find_runs([tmp_path])
    assert len(runs) == 2 and all("--step-10--" in each.name for each in runs)
    assert len({read_record(each).spec.model_card["weights"] for each in runs}) == 2


def test_an_evaluation_that_fails_is_told_and_is_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callback = EvaluateCallback(Asks, [Fails(), Doubles()], every=3, output=tmp_path / "runs")
    plain, _ = trained(tmp_path)
    net, trainer = trained(tmp_path, callback)
    said = capsys.readouterr().err
    assert said.count("fails: RuntimeError: no data today") == 2
    keys = {key for row in trainer.state.log_history for key in row}
    assert "janus_eval/doubles/official/near" in keys and not any("fails" in key for key in keys)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), net.parameters(), strict=True))
    with pytest.raises(RuntimeError, match="no data today"):
        trained(tmp_path, EvaluateCallback(Asks, Fails(), every=3, output=tmp_path / "runs", strict=True))


def test_nothing_of_an_evaluation_stays_alive(tmp_path: Path) -> None:
    Asks.alive.clear()
    net = Net()
    EvaluateCallback(Asks, Doubles(), every=1, output=tmp_path)._evaluate(net, 1)
    gc.collect()
    assert [each() for each in Asks.alive] == [None]


def test_the_digest_knows_every_bit_of_every_type() -> None:
    net = Net().to(torch.bfloat16)
    first = weights_digest(net)
    with torch.no_grad():
        net.first[0].weight.view(torch.int16)[0, 0] ^= 1
    assert weights_digest(net) != first


def test_sharded_parameters_are_refused_in_one_line(tmp_path: Path) -> None:
    net = Net()
    net.first[0].weight = nn.Parameter(torch.empty(0))
    with pytest.raises(UsageError, match=r"first\.0\.weight is sharded") as caught:
        EvaluateCallback(Asks, Doubles(), every=1, output=tmp_path)._evaluate(net, 1)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="every=0"):
        EvaluateCallback(Asks, Doubles(), every=0)
