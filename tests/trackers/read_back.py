"""The known trackers with their own libraries, offline, read back by them: `tox -e trackers`, apart from the suite
because it wants them installed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from janus_eval.evals.commands.cli import main

pytestmark = pytest.mark.filterwarnings("default")  # the libraries warn of their own libraries
SUITE = "janus_eval/geneval/official"
VALUE = f"{SUITE}/single_object (part)"


def command(folder: Path, log: str, *more: str) -> int:
    given = ["-m", "blank-image", "-b", "geneval", "--data", "toy", "-l", "2", "--detector", "toy", "-o", str(folder)]
    return main(["run", *given, "--log", log, *more])


def metrics_of(folder: Path) -> dict[str, dict[str, float]]:
    [record] = folder.glob("*/record.json")
    return json.loads(record.read_text())["metrics"]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> object:
    """Everything under one folder, nothing over a network; each test ends without a word of a tracker that failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    assert "warning: tracker" not in capfd.readouterr().err


def test_tensorboard_reads_numbers_intervals_tables_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.custom_scalar import layout_pb2

    for step in ("10", "20"):
        assert command(tmp_path / step, f"tensorboard:{tmp_path / 'tb'}", "--step", step) == 0
    [place] = (tmp_path / "tb").iterdir()
    found = EventAccumulator(str(place), size_guidance={"images": 0, "tensors": 0})
    found.Reload()
    stored = metrics_of(tmp_path / "10")["official/single_object (part)"]
    for name, value in ((VALUE, "value"), (f"{VALUE}/low", "low"), (f"{VALUE}/high", "high")):
        points = [(each.step, each.tensor_proto.float_val[0]) for each in found.Tensors(name)]
        assert points == [(10, pytest.approx(stored[value])), (20, pytest.approx(stored[value]))]
    assert f"{SUITE}/overall" not in found.Tags()["tensors"]  # withheld
    text = found.Tensors("janus_eval/metrics")[0].tensor_proto.string_val[0].decode()
    assert "| official/overall" in text and "withheld" in text
    assert found.Images("janus_eval/picture 0")[0].width == 64
    layout = layout_pb2.Layout.FromString(found.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    series = [each.margin.series[0] for each in layout.category[0].chart]
    assert (VALUE, f"{VALUE}/low", f"{VALUE}/high") in [(each.value, each.lower, each.upper) for each in series]


@pytest.mark.parametrize("store", ["sqlite:///{}/m.db", "file://{}/mlruns"])
def test_mlflow_reads_one_run_with_its_steps(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    if store.startswith("file"):  # MLflow opens a folder of files only where this says so
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = store.format(tmp_path)
    for step in ("10", "20"):
        assert command(tmp_path / step, f"mlflow:{uri}", "--step", step) == 0
    client = mlflow.tracking.MlflowClient(uri)
    experiment = client.get_experiment_by_name("janus-eval")
    [run] = client.search_runs([experiment.experiment_id])
    name = VALUE.replace(" (part)", " part")
    assert [each.step for each in client.get_metric_history(run.info.run_id, name)] == [10, 20]
    stored = metrics_of(tmp_path / "10")["official/single_object (part)"]
    assert run.data.metrics[f"{name}.low"] == pytest.approx(stored["low"])
    assert run.info.status == "FINISHED" and run.data.tags["janus_eval.model"] == "blank-image"
    kept = {each.path for each in client.list_artifacts(run.info.run_id, "step-20")}
    assert kept == {"step-20/metrics.csv", "step-20/metrics.json", "step-20/pictures", "step-20/samples.csv"} | {
        "step-20/samples.json"
    }


def test_trackio_reads_one_run_with_its_steps(tmp_path: Path) -> None:
    for step in ("10", "20"):
        assert command(tmp_path / step, "trackio:mine", "--step", step) == 0
    with sqlite3.connect(tmp_path / "trackio" / "mine.db") as base:
        rows = list(base.execute("select run_name, step, metrics from metrics order by step"))
    assert {name.rpartition(" ")[0] for name, _, _ in rows} == {"blank-image on geneval"}
    assert [step for _, step, _ in rows] == [10, 20]
    logged = json.loads(rows[0][2])
    stored = metrics_of(tmp_path / "10")["official/single_object (part)"]
    assert [logged[VALUE], logged[f"{VALUE}/low"]] == pytest.approx([stored["value"], stored["low"]])
    assert logged["janus_eval/picture 0"]["_type"] == "trackio.image"
    assert list((tmp_path / "trackio" / "media").rglob("*.png"))


def test_wandb_writes_a_run_offline(tmp_path: Path) -> None:
    assert command(tmp_path / "runs", "wandb:mine") == 0
    [folder] = (tmp_path / "wandb").glob("offline-run-*")
    stored = metrics_of(tmp_path / "runs")
    [log] = folder.glob("*.wandb")
    raw = log.read_bytes()
    assert VALUE.encode() in raw and f"{VALUE}/low".encode() in raw and b"blank-image on geneval" in raw
    assert str(stored["official/single_object (part)"]["high"]).encode() in raw
    kept = [each.name for each in (folder / "files").rglob("*") if each.is_file()]
    assert any(each.endswith(".png") for each in kept) and sum(each.endswith(".table.json") for each in kept) == 2


def test_wandb_without_a_key_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command(tmp_path / "runs", "wandb") == 6
    assert "WANDB_MODE=offline" in capfd.readouterr().err and not (tmp_path / "runs").exists()


def test_offline_asks_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    assert command(tmp_path / "runs", "wandb", "--offline") == 0
    assert list((tmp_path / "wandb").glob("offline-run-*"))
    assert command(tmp_path / "runs", "mlflow:http://127.0.0.1:9", "--offline") == 2
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9")
    assert command(tmp_path / "runs", "trackio", "--offline") == 2
    assert capfd.readouterr().err.count("--offline: ") == 2


@pytest.mark.parametrize("log", ["mlflow:http://127.0.0.1:9", "mlflow:nonsense://x"])
def test_a_server_that_is_not_there_costs_a_line(
    tmp_path: Path, log: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code = command(tmp_path / "runs", log)
    err = capfd.readouterr().err
    assert ("tracker mlflow: " in err) and "Traceback" not in err
    assert code == (2 if "nonsense" in log else 0)
