"""A run on disk: predictions and evidence grow line by line, record.json ends it.

    RUN/
      spec.json            what was asked (RunSpec); its digest names the folder
      options.json         the benchmark's options, so that its samples can be built again
      plan.json            batch sizes, kept so that a resumed run forms the same batches
      predictions/0.jsonl  append-only, one file a worker, each line with a checksum
      images/              pictures, where the benchmark's official scripts look for them
      evidence/0.jsonl     what the observer saw, each line tied to the bytes that it saw
      errors.jsonl         what went wrong, for the reader; never read back
      environment.json     machine, packages, times: what may differ between equal runs
      scores.jsonl         one Score a line, sorted
      record.json          written last: its presence means that the run is whole

Plain files, because users run on shared network filesystems where an embedded database's locking
cannot be trusted, and because they read results with jq and pandas.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import EnvironmentProblem, Locked, UsageError
from .types import Evidence, Json, Metric, Output, Prediction, RunRecord, RunSpec, Score

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = 1
Key = tuple[str, str, int]
"""(kind, sample id, index): what names one output within a run."""


class RunStore:
    """One run's folder, held by this process until `close`.

    Raises Locked where another process holds it, UsageError where the folder belongs to another
    spec, EnvironmentProblem where it cannot be written.
    """

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        self.folder = folder
        self.spec = spec
        self.damage: list[str] = []
        self._files: dict[str, IO[bytes]] = {}
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / ".lock")
        try:
            self._check_spec()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the run; everything appended so far is already on disk."""
        for each in self._files.values():
            each.close()
        self._lock.close()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_spec(self) -> None:
        path = self.folder / "spec.json"
        if path.exists():
            try:
                stored = RunSpec.from_json(read_json(path))
            except (KeyError, TypeError) as error:
                raise UsageError(f"{path} is damaged: {error!r}; remove it to take up the run again") from error
            if stored.digest != self.spec.digest:
                raise UsageError(f"{self.folder} holds another run (#{stored.digest}, asked #{self.spec.digest})")
        else:
            self.write_json("spec.json", self.spec.to_json())

    # -- batch sizes ------------------------------------------------------------------------------

    def batch_size(self, stage: str, wanted: int) -> int:
        """Return the batch size of a stage: the first one ever used for this run, else `wanted`."""
        path = self.folder / "plan.json"
        plan: Any = read_json(path) if path.exists() else {}
        if not isinstance(plan, dict) or not all(type(size) is int and size > 0 for size in plan.values()):
            raise UsageError(f"{path} is damaged: no batch sizes in {plan!r}; remove it to choose them anew")
        if stage not in plan:
            plan[stage] = wanted
            self.write_json("plan.json", plan)
        return plan[stage]

    # -- predictions ------------------------------------------------------------------------------

    def predictions(self) -> dict[Key, Prediction]:
        """Return every whole prediction; damaged lines and pictures are named in `damage`."""
        rows = {(row["kind"], row["sample_id"], row["index"]): row for row in self._lines("predictions")}
        with ThreadPoolExecutor(8) as pool:
            pictures = {key: row for key, row in rows.items() if row.get("image") is not None}
            whole = dict(zip(pictures, pool.map(self._picture_is_whole, pictures.values()), strict=True))
        found: dict[Key, Prediction] = {}
        for key, row in rows.items():
            if not whole.get(key, True):
                self.damage.append(f"{row['image']} of {self.folder} is damaged or missing: it is made again")
                continue
            likelihoods = row.get("likelihoods")
            found[key] = Prediction(
                sample_id=row["sample_id"],
                index=row["index"],
                kind=row["kind"],
                text=row.get("text"),
                image=self.folder / row["image"] if row.get("image") is not None else None,
                likelihoods=None if likelihoods is None else tuple(likelihoods),
            )
        return found

    def _picture_is_whole(self, row: Mapping[str, Json]) -> bool:
        path = self.folder / row["image"]
        try:
            return path.stat().st_size == row["bytes"] and _sha256(path) == row["sha256"]
        except OSError:
            return False

    def add_predictions(self, batch: Sequence[tuple[Prediction, Output]], pool: ThreadPoolExecutor) -> None:
        """Put a batch on disk, all or nothing: pictures first, then their lines, then fsync.

        A Prediction of kind image carries the path at which its picture shall lie.
        """
        lines = list(pool.map(self._store_output, *zip(*batch, strict=True))) if batch else []
        self._append("predictions", lines)

    def _store_output(self, prediction: Prediction, output: Output) -> dict[str, Json]:
        line: dict[str, Json] = {
            "sample_id": prediction.sample_id,
            "index": prediction.index,
            "kind": prediction.kind,
        }
        if prediction.kind == "text":
            line["text"] = output
        elif prediction.kind == "likelihood":
            line["likelihoods"] = list(output) if isinstance(output, tuple) else output
        else:
            path = prediction.image
            if path is None:
                raise ValueError(f"no path for the picture of {prediction.sample_id}")
            data = _picture_bytes(output)
            with _disk(self.folder):
                _publish(path, data)
            line["image"] = path.relative_to(self.folder).as_posix()
            line["bytes"] = len(data)
            line["sha256"] = hashlib.sha256(data).hexdigest()
        return line

    # -- evidence ---------------------------------------------------------------------------------

    def evidence(self, predictions: Mapping[Key, Prediction]) -> dict[Key, Evidence]:
        """Return the evidence that still fits the predictions; failed observations are left out."""
        digests = self._digests(predictions)
        found: dict[Key, Evidence] = {}
        for row in self._lines("evidence"):
            key = (row["kind"], row["sample_id"], row["index"])
            if row["of"] == digests.get(key) and row.get("error") is None:
                found[key] = Evidence(row["sample_id"], row["index"], row["data"])
        return found

    def add_evidence(self, batch: Sequence[tuple[Prediction, Evidence]]) -> None:
        """Append a batch of evidence, each tied to the prediction that it is about."""
        digests = self._digests({_key(each): each for each, _ in batch})
        lines: list[dict[str, Json]] = []
        for prediction, evidence in batch:
            row = {"sample_id": prediction.sample_id, "index": prediction.index, "kind": prediction.kind}
            row |= {"of": digests[_key(prediction)], "data": evidence.data}
            lines.append(row if evidence.error is None else row | {"error": evidence.error})
        self._append("evidence", lines)

    def _digests(self, predictions: Mapping[Key, Prediction]) -> dict[Key, str]:
        with ThreadPoolExecutor(8) as pool:
            return dict(zip(predictions, pool.map(_digest, predictions.values()), strict=True))

    # -- the end ----------------------------------------------------------------------------------

    def add_error(self, stage: str, sample_id: str, index: int, error: str) -> None:
        """Note a failure for the reader of the run."""
        with _disk(self.folder), (self.folder / "errors.jsonl").open("a", encoding="utf-8") as file:
            file.write(_dump({"stage": stage, "sample_id": sample_id, "index": index, "error": error}) + "\n")

    def finish(self, scores: Iterable[Score], record: RunRecord) -> None:
        """Write scores.jsonl, environment.json and, last, record.json."""
        with _disk(self.folder):
            (self.folder / "record.json").unlink(missing_ok=True)
        lines = [_dump(_flat(each)) for each in sorted(scores, key=lambda s: (s.sample_id, s.index, s.protocol))]
        self.write_bytes("scores.jsonl", "".join(line + "\n" for line in lines).encode())
        self.write_json("environment.json", dict(record.environment))
        self.write_json("record.json", record_to_json(record))

    def write_json(self, name: str, value: Json) -> None:
        """Write one JSON file of the run by write, fsync, rename."""
        self.write_bytes(name, (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file of the run by write, fsync, rename."""
        with _disk(self.folder):
            _publish(self.folder / name, data)

    # -- lines ------------------------------------------------------------------------------------

    def _append(self, stream: str, rows: Sequence[Mapping[str, Json]]) -> None:
        data = "".join(_seal(row) + "\n" for row in rows).encode()
        with _disk(self.folder):
            if stream not in self._files:
                path = self.folder / stream / "0.jsonl"
                path.parent.mkdir(exist_ok=True)
                torn = path.exists() and path.stat().st_size > 0 and path.read_bytes()[-1:] != b"\n"
                self._files[stream] = path.open("ab", buffering=0)
                if torn:  # a kill in the middle of a line: close that line, its checksum gives it away
                    self._files[stream].write(b"\n")
            _write_all(self._files[stream], data)
            os.fsync(self._files[stream].fileno())

    def _lines(self, stream: str) -> Iterator[dict[str, Json]]:
        for path in sorted((self.folder / stream).glob("*.jsonl")):
            with _disk(self.folder), path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    row = _unseal(line)
                    if row is None:
                        self.damage.append(f"{path} line {number} is damaged: its sample is computed again")
                    else:
                        yield row


# -- reading whole runs -------------------------------------------------------------------------------


def read_record(folder: Path) -> RunRecord:
    """Return the record of a finished run. Raises UsageError where it is missing, foreign or damaged."""
    path = folder / "record.json"
    if not path.exists():
        raise UsageError(f"{folder} is no finished run: it has no record.json")
    environment = folder / "environment.json"
    return record_from_json(read_json(path), str(path), read_json(environment) if environment.exists() else {})


def record_from_json(row: Json, where: str, environment: Mapping[str, Json] | None = None) -> RunRecord:
    """Return the record that `record_to_json` wrote; `where` names the file in a UsageError."""
    try:
        if row["format"] != FORMAT:
            raise UsageError(f"{where} has format {row['format']}; this version reads format {FORMAT}")
        return RunRecord(
            spec=RunSpec.from_json(row["spec"]),
            headline=row["headline"],
            metrics={key: _metric(value) for key, value in row["metrics"].items()},
            counts={key: int(value) for key, value in row["counts"].items()},
            complete=row["complete"],
            missing=tuple(row["missing"]),
            environment=environment or {},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{where} is damaged: {error!r}; run the same command again") from error


def _metric(row: Json) -> Metric:
    metric = Metric(**row)
    numbers: tuple[Json, ...] = (metric.value, metric.low, metric.high)
    if not all(value is None or isinstance(value, int | float) for value in numbers):
        raise TypeError(f"no number in {row}")
    return replace(metric, n=int(metric.n))


def read_scores(folder: Path) -> list[Score]:
    """Return the scores of a finished run, sorted by sample id, index, protocol."""
    path = folder / "scores.jsonl"
    scores: list[Score] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    scores.append(_whole(Score(**json.loads(line))))
                except (ValueError, TypeError, RecursionError) as error:
                    raise UsageError(f"{path} line {number} is damaged: {error}; run the same command again") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return scores


def _whole(score: Score) -> Score:
    """Return a score read from JSON whose fields have their types. Raises TypeError."""
    value, index, sample, protocol = map(type, (score.value, score.index, score.sample_id, score.protocol))
    if value not in (int, float, type(None)) or index is not int:
        raise TypeError(f"value {score.value!r} of output {score.index!r}")
    if sample is not str or protocol is not str:
        raise TypeError(f"sample {score.sample_id!r} under {score.protocol!r}")
    return score


def read_lines(folder: Path, stream: str) -> Iterator[dict[str, Json]]:
    """Yield the whole lines of a run's `predictions` or `evidence`; damaged ones are passed over."""
    for path in sorted((folder / stream).glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                row = _unseal(line)
                if row is not None:
                    yield row


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return the finished runs among `paths` and, where one is an output folder, those inside it."""
    found: list[Path] = []
    for path in paths:
        if (path / "record.json").exists():
            found.append(path)
            continue
        inside = sorted(each.parent for each in path.glob("*/record.json"))
        if not inside:
            raise UsageError(f"{path}: no finished run here (no record.json in it or one level below)")
        found += inside
    return found


def record_to_json(record: RunRecord) -> dict[str, Json]:
    """Return what record.json holds; times and environment live apart."""
    return {
        "format": FORMAT,
        "spec": record.spec.to_json(),
        "signature": record.spec.signature,
        "headline": record.headline,
        "metrics": {key: asdict(value) for key, value in record.metrics.items()},
        "counts": dict(record.counts),
        "complete": record.complete,
        "missing": list(record.missing),
    }


def read_json(path: Path) -> Any:
    """Return the JSON of a file of ours. Raises UsageError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


# -- bytes --------------------------------------------------------------------------------------------


def _key(prediction: Prediction) -> Key:
    return (prediction.kind, prediction.sample_id, prediction.index)


def _digest(prediction: Prediction) -> str:
    if prediction.image is not None:
        return _sha256(prediction.image)
    return hashlib.sha256(_dump([prediction.text, prediction.likelihoods]).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _flat(score: Score) -> dict[str, Json]:
    """Return a score's fields; `asdict` would copy its details deeply, at a third of a rescoring's time."""
    return {each.name: getattr(score, each.name) for each in fields(score)}


def _dump(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate in a model's answer
        return json.dumps(value, separators=(",", ":"))
    return text


def _seal(row: Mapping[str, Json]) -> str:
    body = _dump(row)
    return f'{{"sum":"{hashlib.sha256(body.encode()).hexdigest()[:8]}",{body[1:]}'


def _unseal(line: bytes) -> dict[str, Json] | None:
    try:
        row = json.loads(line)
        total = row.pop("sum")
        body = _dump(row).encode()
    except (ValueError, AttributeError, KeyError, RecursionError):
        return None
    return row if hashlib.sha256(body).hexdigest()[:8] == total else None


def _picture_bytes(output: Output) -> bytes:
    """Return the bytes to store: a finished file's as they are, a picture's as PNG."""
    if isinstance(output, Path):
        try:
            return output.read_bytes()
        except OSError as error:
            raise EnvironmentProblem(f"{output} cannot be read: {error.strerror}") from error
    picture: Image | Any = output() if callable(output) else output
    import io

    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _publish(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_all(file: IO[bytes], data: bytes) -> None:
    start = file.seek(0, os.SEEK_END)
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(start)  # a full disk must not leave half a batch behind
        raise


class _disk:
    """Turn a full disk or a missing permission into one clear line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        reasons = {
            errno.ENOSPC: "the disk is full: free some space and run the same command again",
            errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
            errno.EFBIG: "a file-size limit was hit: raise it (ulimit -f) and run the same command again",
            errno.EACCES: "permission denied: choose another folder with -o",
            errno.EPERM: "permission denied: choose another folder with -o",
            errno.EROFS: "the filesystem is read-only: choose another folder with -o",
            errno.ENOTDIR: "a file stands where the folder should be: choose another folder with -o",
            errno.ENOENT: "no folder can be made there: choose another folder with -o",
            errno.ENAMETOOLONG: "the name is too long: choose another folder with -o",
            errno.EISDIR: "a folder stands where a file should be: remove it, or choose another folder with -o",
            errno.EEXIST: "a file stands where the folder should be: choose another folder with -o",
        }
        if error.errno in reasons:
            raise EnvironmentProblem(f"cannot write to {self.folder}: {reasons[error.errno]}") from error


def _lock(path: Path) -> IO[str]:
    """Hold an advisory lock on `path`; the kernel lets go of it however this process ends."""
    import fcntl

    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK):
            raise Locked(
                f"{path.parent} is locked by {holder}: wait for it, or choose another folder with -o"
            ) from None
        raise
    file.truncate(0)
    file.write(f"pid {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file
