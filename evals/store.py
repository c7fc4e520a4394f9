"""A run on disk: predictions and evidence grow line by line, record.json ends it.

    RUN/
      spec.json            what was asked (RunSpec); its digest names the folder
      options.json         the benchmark's options, so that its samples can be built again
      asked.json           the request, so that it can be asked again; addresses without their secrets
      plan.json            batch sizes, kept so that a resumed run forms the same batches
      predictions/0.jsonl  append-only, one file a worker, each line with a checksum
      latency.jsonl        seconds of each reply that a service gave; they differ between equal runs
      images/              pictures, where the benchmark's official scripts look for them
      evidence/0.jsonl     what the observer saw, each line tied to the bytes that it saw
      errors.jsonl         what went wrong, for the reader; never read back
      environment.json     machine, packages, times: what may differ between equal runs
      scores.jsonl         one Score a line, sorted
      record.json          written last: its presence means that the run is whole; stage.json or interrupted.json
                           stand in its place where the run was to stop, or was stopped, before its end

Plain files, because users run on shared network filesystems where an embedded database's locking
cannot be trusted, and because they read results with jq and pandas.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import EnvironmentProblem, UsageError
from .files import (
    RECORDS,
    check_inside,
    disk,
    dump,
    lock,
    publish,
    publish_lines,
    read_json,
    seal,
    seal_of,
    unseal,
    write_all,
)
from .stored import Key, Line, Stored, prediction_digests, record_to_json
from .types import Answer, Evidence, Json, Output, Prediction, RunRecord, RunSpec, Score

if TYPE_CHECKING:
    from PIL.Image import Image


class RunStore:
    """One run's folder, held by this process until `close`.

    Raises Locked where another process holds it, UsageError where the folder belongs to another
    spec, EnvironmentProblem where it cannot be written.
    """

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        self.folder = folder
        self.spec = spec
        self._stored = Stored(folder)
        self._files: dict[str, IO[bytes]] = {}
        with disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock(folder / ".lock")
        try:
            check_inside(folder, "predictions", "evidence")
            for left in folder.glob(".part-*"):  # of a process that was killed: the run is ours now
                left.unlink(missing_ok=True)
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
            except (KeyError, TypeError, AttributeError) as error:
                raise UsageError(f"{path} is damaged: {error!r}; remove it to take up the run again") from error
            if stored.digest != self.spec.digest:
                raise UsageError(f"{self.folder} holds another run (#{stored.digest}, asked #{self.spec.digest})")
        else:
            self.write_json("spec.json", self.spec.to_json())

    @property
    def damage(self) -> Sequence[str]:
        """What was found not to be whole, a line each."""
        return self._stored.damage

    def check_room(self, need: int) -> None:
        """Raise EnvironmentProblem where the disk has less than `need` bytes free: now, not after hours of drawing."""
        free = shutil.disk_usage(self.folder).free
        if free < need:
            raise EnvironmentProblem(
                f"cannot write to {self.folder}: about {need / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free: "
                "free some space, or choose another folder with -o"
            )

    # -- batch sizes ------------------------------------------------------------------------------

    def batch_size(self, stage: str, wanted: int, *, asked: int | None = None) -> int:
        """Return the batch size of a stage: the first one ever used for this run, else `wanted`.

        A smaller one that the user has `asked` for is obeyed from now on: a run that was killed for want of
        memory shall not die of it again.
        """
        path = self.folder / "plan.json"
        plan: Any = read_json(path) if path.exists() else {}
        if not isinstance(plan, dict) or not all(type(size) is int and size > 0 for size in plan.values()):
            raise UsageError(f"{path} is damaged: no batch sizes in {plan!r}; remove it to choose them anew")
        if stage not in plan or (asked is not None and asked < plan[stage]):
            plan[stage] = wanted
            self.write_json("plan.json", plan)
        return plan[stage]

    # -- predictions ------------------------------------------------------------------------------

    def predictions(self) -> dict[Key, Prediction]:
        """Return every whole prediction; damaged lines and pictures are named in `damage`."""
        return self._stored.predictions()

    def add_predictions(self, batch: Sequence[tuple[Prediction, Output]], pool: ThreadPoolExecutor) -> None:
        """Put a batch on disk, all or nothing: pictures first, then their lines, then fsync.

        A Prediction of kind image carries the path at which its picture shall lie.
        """
        lines = list(pool.map(self._store_output, *zip(*batch, strict=True))) if batch else []
        self._append("predictions", lines)
        self._note_seconds(batch)

    def _note_seconds(self, batch: Sequence[tuple[Prediction, Output]]) -> None:
        rows = [
            dump({"sample_id": each.sample_id, "index": each.index, "seconds": round(output.seconds, 3)}) + "\n"
            for each, output in batch
            if isinstance(output, Answer) and output.seconds is not None
        ]
        if rows:
            with disk(self.folder), (self.folder / "latency.jsonl").open("a", encoding="utf-8") as file:
                file.write("".join(rows))

    def _store_output(self, prediction: Prediction, output: Output) -> dict[str, Json]:
        line: dict[str, Json] = {
            "sample_id": prediction.sample_id,
            "index": prediction.index,
            "kind": prediction.kind,
        }
        if prediction.kind == "text":
            said = output if isinstance(output, Answer) else Answer(str(output))
            line["text"] = said.text
            line |= {key: each for key, each in (("finish", said.finish), ("usage", dict(said.usage))) if each}
        elif prediction.kind == "likelihood":
            line["likelihoods"] = list(output) if isinstance(output, tuple) else output
        else:
            path = prediction.image
            if path is None:
                raise ValueError(f"no path for the picture of {prediction.sample_id}")
            data = _picture_bytes(output)
            with disk(self.folder):
                self._place(path)
                publish(path, data)
            line["image"] = path.relative_to(self.folder).as_posix()
            line["bytes"] = len(data)
            line["sha256"] = hashlib.sha256(data).hexdigest()
        return line

    def _place(self, path: Path) -> None:
        """Make a picture's folder. Raises UsageError where it leads out of the run."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(f"{path.parent} leads out of the run: remove the link, or choose another folder with -o")

    # -- evidence ---------------------------------------------------------------------------------

    def evidence(self, predictions: Mapping[Key, Prediction]) -> dict[Key, Evidence]:
        """Return the evidence that still fits the predictions; failed observations are left out."""
        return self._stored.evidence(predictions)

    def add_evidence(self, batch: Sequence[tuple[Prediction, Evidence]]) -> None:
        """Append a batch of evidence, each tied to the prediction that it is about."""
        digests = prediction_digests({_key(each): each for each, _ in batch})
        lines: list[dict[str, Json]] = []
        for prediction, evidence in batch:
            row = {"sample_id": prediction.sample_id, "index": prediction.index, "kind": prediction.kind}
            row |= {"of": digests[_key(prediction)], "data": evidence.data}
            lines.append(row if evidence.error is None else row | {"error": evidence.error})
        self._append("evidence", lines)

    # -- another run's ----------------------------------------------------------------------------

    def take_predictions(self, other: Stored) -> dict[Key, Prediction]:
        """Take over the whole predictions of another run, and its batch sizes; return those taken.

        Pictures become further names of the same bytes where the filesystem allows it, else copies.
        """
        rows = other.prediction_lines()
        with disk(self.folder):
            if not (self.folder / "plan.json").exists() and (other.folder / "plan.json").is_file():
                publish(self.folder / "plan.json", (other.folder / "plan.json").read_bytes())
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(partial(self._take_picture, other.folder), rows.values()))
        self._append("predictions", list(rows.values()))
        return {key: each for key, each in self.predictions().items() if key in rows}

    def _take_picture(self, folder: Path, row: Line) -> None:
        name = row.get("image")
        if name is None:
            return
        target = self.folder / name
        self._place(target)
        with suppress(OSError):
            os.link(folder / name, target)
            return
        shutil.copyfile(folder / name, target)

    def take_evidence(self, other: Stored, predictions: Mapping[Key, Prediction]) -> int:
        """Take over another run's evidence about these predictions and return how much there was."""
        rows = other.evidence_lines(predictions)
        self._append("evidence", list(rows.values()))
        return len(rows)

    # -- the end ----------------------------------------------------------------------------------

    def add_error(self, stage: str, sample_id: str, index: int, error: str) -> None:
        """Note a failure for the reader of the run."""
        with disk(self.folder), (self.folder / "errors.jsonl").open("a", encoding="utf-8") as file:
            file.write(dump({"stage": stage, "sample_id": sample_id, "index": index, "error": error}) + "\n")

    def finish(self, scores: Iterable[Score], record: RunRecord) -> None:
        """Write scores.jsonl, environment.json and, last, record.json; stage.json of a run that was to stop behind an
        earlier stage, interrupted.json of one that was stopped.

        The record is sealed, and names the digest of the scores that it was made of.
        """
        name = {"finished": "record.json", "interrupted": "interrupted.json"}.get(record.state, "stage.json")
        with disk(self.folder):
            (self.folder / "record.json").unlink(missing_ok=True)
        digest = hashlib.sha256()
        with disk(self.folder):
            publish_lines(self.folder / "scores.jsonl", _score_lines(scores, digest))
        row = record_to_json(record) | {"scores_sha256": digest.hexdigest()}
        self.write_json("environment.json", dict(record.environment))
        self.write_json(name, row | {"sum": seal_of(row)})
        with disk(self.folder):
            for other in RECORDS:
                if other != name:
                    (self.folder / other).unlink(missing_ok=True)
            if record.state == "finished":
                self._heal()

    def _heal(self) -> None:
        """Leave torn lines out of their files: what they held was made again, and need not be told again."""
        for path in self._stored.torn:
            held = self._files.pop(path.parent.name, None)
            if held is not None:
                held.close()
            with path.open("rb") as file:
                publish_lines(path, (line for line in file if unseal(line) is not None))
        self._stored.torn.clear()

    def write_json(self, name: str, value: Json) -> None:
        """Write one JSON file of the run by write, fsync, rename."""
        text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        # Of a lone surrogate, of a file's name that is no UTF-8, the escape is valid JSON.
        self.write_bytes(name, text.encode("utf-8", "backslashreplace"))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file of the run by write, fsync, rename."""
        with disk(self.folder):
            publish(self.folder / name, data)

    def _append(self, stream: str, rows: Sequence[Line]) -> None:
        data = "".join(seal(row) + "\n" for row in rows).encode()
        with disk(self.folder):
            if stream not in self._files:
                path = self.folder / stream / "0.jsonl"
                path.parent.mkdir(exist_ok=True)
                self._files[stream] = os.fdopen(os.open(path, _APPEND, 0o644), "ab", buffering=0)
                torn = not _ends_a_line(path)
                if torn:  # a kill in the middle of a line: close that line, its checksum gives it away
                    self._files[stream].write(b"\n")
            write_all(self._files[stream], data)
            os.fsync(self._files[stream].fileno())


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _key(prediction: Prediction) -> Key:
    return (prediction.kind, prediction.sample_id, prediction.index)


def _score_lines(scores: Iterable[Score], digest: Any) -> Iterator[bytes]:
    for each in sorted(scores, key=lambda s: (s.sample_id, s.index, s.protocol)):
        line = (dump(_flat(each)) + "\n").encode()
        digest.update(line)
        yield line


def _flat(score: Score) -> dict[str, Json]:
    """Return a score's fields; `asdict` would copy its details deeply, at a third of a rescoring's time."""
    return {each.name: getattr(score, each.name) for each in fields(score)}


def _picture_bytes(output: Output) -> bytes:
    """Return the bytes to store: a finished file's as they are, a picture's as PNG."""
    if isinstance(output, Path):
        try:
            return output.read_bytes()
        except OSError as error:
            raise EnvironmentProblem(f"{output} cannot be read: {error.strerror}") from error
    picture: Image | Any = output() if callable(output) else output
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
