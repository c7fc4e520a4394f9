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
from janus_eval.evals import members
from janus_eval.evals.errors import Incomplete, UsageError
from janus_eval.evals.records import find_runs, read_record
from janus_eval.evals.types import Job, Metric, Prediction, Sample, Score
from janus_eval.integrations.trainer import EvaluateCallback, _Weighed, as_it_was, weights_digest
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments


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
        values = [each.value or 0.0 for each in scores]  # as the packaged suites do: a missing output is a wrong one
        near = Metric(sum(values) / len(values), len(values), 0.0, 1.0)
        return {"official/near": near, "official/other": near, "official/none": Metric(None, 0, 0.0, 1.0)}


class Fails(Doubles):
    name = "fails"

    def samples(self) -> list[Sample]:
        raise RuntimeError("no data today")


class Breaks(Asks):
    """Gives no output at all."""

    def predict(self, jobs: Sequence[Job]) -> list[str]:
        random.random(), np.random.random(), torch.rand(3)
        raise RuntimeError("the network is gone")


class Modes(TrainerCallback):
    """Notes in which mode each part of the network is when a step ends."""

    def __init__(self) -> None:
        self.seen: list[dict[str, bool]] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append({name: each.training for name, each in kwargs["model"].named_modules()})


class Freezes(Modes):
    """Freezes a part first: a Trainer puts all parts into training mode at each step."""

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        kwargs["model"].frozen.eval()
        super().on_step_end(*args, **kwargs)


class Merges(nn.Linear):
    """Does in evaluation mode what LoRA layers do: works on merged weights until it is put into training mode."""

    merged = False

    def train(self, mode: bool = True) -> Merges:
        self.merged = not mode
        return super().train(mode)


def trained(folder: Path, *callbacks: TrainerCallback, attach: bool = True, log_every: int = 0) -> tuple[Net, Trainer]:
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=4,
        max_steps=6,
        learning_rate=0.05,
        logging_strategy="steps" if log_every else "no",
        logging_steps=log_every or 500,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=3,
        dataloader_pin_memory=False,
    )
    net = Net()
    trainer = Trainer(model=net, args=arguments, train_dataset=Numbers())
    for each in callbacks:
        each.attach(trainer) if attach and isinstance(each, EvaluateCallback) else trainer.add_callback(each)
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
    lows = {
        (row["janus_eval/doubles/official/near/low"], row["janus_eval/doubles/official/near/high"]) for row in logged
    }
    assert lows == {(0.0, 1.0)} and all("epoch" in row for row in logged)


@pytest.mark.parametrize("attach", [True, False])
def test_the_trainers_own_rows_stay_in_its_history(tmp_path: Path, attach: bool) -> None:
    callback = EvaluateCallback(Asks, Doubles(), every=2, output=tmp_path / "runs")
    _, plain = trained(tmp_path, log_every=2)
    _, trainer = trained(tmp_path, callback, attach=attach, log_every=2)
    losses = [
        [(row["step"], row["loss"]) for row in each.state.log_history if "loss" in row] for each in (plain, trainer)
    ]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == [2, 4, 6]


@pytest.mark.parametrize("adapter", [Asks, Breaks])
def test_each_part_is_in_the_mode_that_it_was_in(tmp_path: Path, adapter: type[Asks]) -> None:
    before, after = Freezes(), Modes()
    trained(tmp_path, before, EvaluateCallback(adapter, Doubles(), every=2, output=tmp_path / "runs"), after)
    assert before.seen == after.seen and len(after.seen) == 6
    assert set(after.seen[1].values()) == {True, False}


def test_a_layer_that_merges_for_evaluation_and_a_frozen_network_learn_again(tmp_path: Path) -> None:
    net = Net()
    net.first[0] = Merges(4, 8)
    net.frozen.requires_grad_(False)
    wanted = [each.requires_grad for each in net.parameters()]
    EvaluateCallback(lambda n: Asks(n.requires_grad_(False)), Doubles(), every=1, output=tmp_path)._evaluate(net, 1)
    assert [each.requires_grad for each in net.parameters()] == wanted and set(wanted) == {True, False}
    assert not net.first[0].merged and net.first[0].training


def test_random_numbers_gradients_and_modes_are_as_before_also_where_an_evaluation_raises() -> None:
    def state() -> list[Any]:
        modes = [each.training for each in net.modules()]
        numbers = [random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()]
        return [modes, numbers, torch.is_grad_enabled()]

    net = Net()
    before = state()
    with pytest.raises(KeyboardInterrupt), as_it_was(net):
        random.random(), np.random.random(), torch.rand(3)
        torch.set_grad_enabled(True)
        net.first.train()
        assert state() != before
        raise KeyboardInterrupt
    assert state() == before


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


def test_outputs_that_fail_are_told_and_are_no_zeros(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, trainer = trained(tmp_path, EvaluateCallback(Breaks, Doubles(), every=3, output=tmp_path / "runs"))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("janus-eval: warning: ")]
    assert len(said) == 2 and "step 3: doubles: 4 of 4 outputs have no verdict (4 failed)" in said[0]
    assert not any("doubles" in key for row in trainer.state.log_history for key in row)
    for options in ({}, {"allow_unscored": True}):
        with pytest.raises(Incomplete, match="4 of 4 outputs"):
            trained(
                tmp_path, EvaluateCallback(Breaks, Doubles(), every=6, output=tmp_path, options=options, strict=True)
            )


@pytest.mark.parametrize("adapter", [Asks, Breaks])
def test_one_adapter_serves_a_step_and_nothing_of_it_stays_alive(tmp_path: Path, adapter: type[Asks]) -> None:
    Asks.alive.clear()
    net = Net()
    gc.disable()  # the callback itself collects what goes in circles
    try:
        EvaluateCallback(adapter, [Doubles(), Fails(), Doubles()], every=1, output=tmp_path)._evaluate(net, 1)
        assert [each() for each in Asks.alive] == [None]
    finally:
        gc.enable()


def test_memory_that_goes_in_circles_is_given_back() -> None:
    class Circle:
        def __init__(self) -> None:
            self.me = self

    gc.disable()
    try:
        with as_it_was(Net()):
            circle = weakref.ref(Circle())
            assert circle() is not None
        assert circle() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("zero", [True, False])
def test_only_process_zero_of_the_world_evaluates(tmp_path: Path, zero: bool) -> None:
    state = TrainerState(global_step=2, is_world_process_zero=zero)
    callback = EvaluateCallback(Asks, Doubles(), every=2, output=tmp_path)
    callback.on_step_end(
        TrainingArguments(str(tmp_path / "trainer"), use_cpu=True), state, TrainerControl(), model=Net()
    )
    assert len(state.log_history) == len([*tmp_path.glob("Asks--*")]) == int(zero)


def test_members_that_an_adapter_may_have_are_kept(tmp_path: Path) -> None:
    class Whole(Asks):
        name = "my-model"
        independent = True
        card: dict[str, Any] = {"weights": "mine"}
        sizes: list[int] = []

        def predict(self, jobs: Sequence[Job]) -> list[str]:
            self.sizes.append(len(jobs))
            return super().predict(jobs)

        def batch_size(self, jobs: Sequence[Job]) -> int:
            return 3

    callback = EvaluateCallback(Whole, Doubles(), every=1, output=tmp_path, strict=True)
    assert callback._evaluate(Net(), 1)["janus_eval/doubles/official/near"] > 0
    spec = read_record(find_runs([tmp_path])[0]).spec
    assert (spec.model, spec.model_card, Whole.sizes) == ("my-model", {"weights": "mine"}, [3, 1])
    weighed = _Weighed(Whole(Net()), Net())
    assert weighed.independent and all(
        members.has(weighed, each.name) or each.name in vars(weighed) for each in members.members("models")
    )


def test_the_digest_knows_every_bit_of_every_type() -> None:
    net = Net().to(torch.bfloat16)
    first = weights_digest(net)
    with torch.no_grad():
        net.first[0].weight.view(torch.int16)[0, 0] ^= 1
    assert weights_digest(net) != first


def test_the_digest_knows_names_types_and_shapes() -> None:
    def held(name: str, tensor: torch.Tensor) -> str:
        net = nn.Module()
        net.register_buffer(name, tensor)
        return weights_digest(net)

    zeros = torch.zeros(2, 3, dtype=torch.bfloat16)
    others = [
        held("b", zeros),
        held("a", zeros.view(torch.int16)),
        held("a", zeros.reshape(3, 2)),
        held("a", zeros[:0]),
    ]
    assert held("a", zeros) == held("a", zeros.t().contiguous().t()) and len({held("a", zeros), *others}) == 5


@pytest.mark.parametrize("mark", ["", "ds_id", "_fsdp_flattened"])
def test_sharded_parameters_are_refused_in_one_line_before_the_first_step(tmp_path: Path, mark: str) -> None:
    class Shards(TrainerCallback):
        steps = 0

        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            weight = nn.Parameter(torch.empty(8, 4) if mark else torch.empty(0))
            vars(weight).update({mark: 1} if mark else {})
            kwargs["model"].first[0].weight = weight

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            self.steps += 1

    shards = Shards()
    with pytest.raises(UsageError, match=r"first\.0\.weight is sharded .* cannot ask the network alone") as caught:
        trained(tmp_path, shards, EvaluateCallback(Asks, Doubles(), every=1, output=tmp_path))
    assert "\n" not in str(caught.value) and shards.steps == 0


@pytest.mark.parametrize(
    ("every", "options", "told"),
    [
        (0, {}, "every=0"),
        (2.5, {}, "every=2.5"),
        (1, {"sede": 1}, "no option 'sede'; did you mean 'seed'"),
        (1, {"step": 1}, "'step' is given by the callback"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_callback_is_made(every: Any, options: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        EvaluateCallback(Asks, Doubles(), every=every, options=options)
