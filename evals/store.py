"""A run on disk: predictions and evidence grow line by line, record.json ends it.

    RUN/
      spec.json            what was asked (RunSpec); its digest names the folder
      options.json         the benchmark's options, so that its samples can be built again
      asked.json           the request, so that it can be asked again; addresses without their secrets
      plan.json            batch sizes, kept so that a resumed run forms the same batches
      predictions/0.jsonl  append-only, each line with a checksum; a shard writes a file of its own beside it, and the
                           end of a run leaves all lines in this one, in the order of what was asked
      service/             a paid service's journal, what its canary drew, pictures that are not in images/ yet
      latency.jsonl        seconds of each reply that a service gave; they differ between equal runs
      images/              pictures, where the benchmark's official scripts look for them; or, in their place,
      packs/               pictures in tars, one a process and one in the end (`packs.py`)
      evidence/0.jsonl     what the observer saw, each line tied to the bytes that it saw
      errors.jsonl         what went wrong, for the reader; never read back
      environment.json     machine, packages, who took how long for what (till then in where.jsonl): may differ
      scores.jsonl         one Score a line, sorted
      record.json          written last: its presence means that the run is whole; stage.json or interrupted.json
                           stand in its place where the run was to stop, or was stopped, before its end

Plain files, because users run on shared network filesystems where an embedded database's locking
cannot be trusted, and because they read results with jq and pandas.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from .errors import EnvironmentProblem, UsageError
from .files import (
    RECORDS,
    SERVICE,
    STREAMS,
    check_inside,
    disk,
    dump,
    lock,
    publish,
    publish_lines,
    publish_new,
    read_json,
    seal,
    seal_of,
    stream_digest,
    write_all,
)
from .keeping import Entry, Kept
from .packs import FOLDER, Line, place_of
from .pictures import Made, picture_bytes
from .records import record_to_json, score_lines
from .settle import MAIN, settle
from .stored import Key, Stored, prediction_digests, whose
from .types import Answer, Drawn, Evidence, Json, Prediction, Refusal, RunRecord, RunSpec, Score


class RunStore:
    """One run's folder, held by this process until `close`; with a `writer` of its own it is held together with others.

    Such a writer (a shard) touches no file of another one: it appends to files of its own name and publishes what all
    share by link(2); no lock is asked for, because locks do not reach other machines on many file systems.
    `packs` asks for packed pictures; a run that has some already goes on as it began (`packed` tells how).
    Raises Locked where another process holds it, UsageError where the folder belongs to another
    spec, EnvironmentProblem where it cannot be written.
    """

    def __init__(self, folder: Path, spec: RunSpec, writer: str = MAIN, *, packs: bool = False) -> None:
        self.folder = folder
        self.spec = spec
        self.writer = writer
        self._stored = Stored(folder)
        self.doubt = self._stored.doubt
        self._texts: dict[Json, Json] = {}
        self._files: dict[str, IO[bytes]] = {}
        self._marks: dict[str, str] = {}
        self._lock: IO[str] | None = None
        with disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._kept = Kept(folder, writer, packed=packs)
            if writer == MAIN:
                self._lock = lock(folder / ".lock")
        try:
            check_inside(folder, "predictions", "evidence", FOLDER, SERVICE, f"{SERVICE}/canary")
            for left in folder.glob(".part-*") if writer == MAIN else ():  # of a process that was killed
                left.unlink(missing_ok=True)
            self._check_spec()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the run; everything appended so far is already on disk."""
        self._kept.close()
        for each in self._files.values():
            each.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_spec(self) -> None:
        path = self.folder / "spec.json"
        if not path.exists():
            self.write_new("spec.json", self.spec.to_json())
        try:
            stored = RunSpec.from_json(read_json(path))
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is damaged: {error!r}; remove it to take up the run again") from error
        if stored.digest != self.spec.digest:
            raise UsageError(f"{self.folder} holds another run (#{stored.digest}, asked #{self.spec.digest})")

    @property
    def over(self) -> bool:
        """Whether the run was ended meanwhile by the process that takes its shards together: it took over our files."""
        return self.writer != MAIN and not all(
            self._path(each).exists() for each in list(self._files)
        )  # a thread adds to them

    @property
    def packed(self) -> bool:
        """Whether pictures are kept in packs."""
        return self._kept.packed

    @property
    def damage(self) -> list[str]:
        """What was found not to be whole, a line each; who finds more adds it."""
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

    def plan(self) -> dict[str, int]:
        """Return the batch sizes of the stages that are planned: the first ones ever used for this run."""
        path = self.folder / "plan.json"
        plan: Any = read_json(path) if path.exists() else {}
        if not isinstance(plan, dict) or not all(type(size) is int and size > 0 for size in plan.values()):
            raise UsageError(f"{path} is damaged: no batch sizes in {plan!r}; remove it to choose them anew")
        return plan

    def shrink_plan(self, asked: int) -> dict[str, int]:
        """Return the batch sizes, none above what the user asks for now: a run that was killed for want of memory
        shall not die of its plan again."""
        plan = self.plan()
        smaller = {stage: min(asked, size) for stage, size in plan.items()}
        if smaller != plan:
            self.write_json("plan.json", smaller)
        return smaller

    def settle_plan(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """Return the batch sizes, with those `wanted` for stages that had none; of several writers one sets them."""
        if not (self.folder / "plan.json").exists():
            self.write_new("plan.json", dict(wanted))
        plan = self.plan()
        if wanted.keys() - plan.keys():
            self.write_json("plan.json", {**wanted, **plan})
        return {**wanted, **plan}

    # -- predictions ------------------------------------------------------------------------------

    def predictions(self) -> dict[Key, Prediction]:
        """Return every whole prediction; damaged lines and pictures are named in `damage`."""
        return self._stored.predictions()

    def add_predictions(self, batch: Sequence[tuple[Prediction, Made]], pool: ThreadPoolExecutor) -> list[Prediction]:
        """Put a batch on disk, all or nothing: pictures first, then their lines, then fsync; return what lies there.

        A Prediction of a kind of `PICTURES` carries the path at which its picture shall lie, were it a file.
        """
        made = list(pool.map(self._line, *zip(*batch, strict=True))) if batch else []
        with disk(self.folder):
            lines = self._kept.keep(made, pool)
        self._append("predictions", lines)
        self._note_seconds(batch)
        for _, output in batch:  # what a paid service sent stands in the run now
            file = output.file if isinstance(output, Drawn) else output
            if isinstance(file, Path) and file.parent == self.folder / SERVICE:
                file.unlink(missing_ok=True)
        return [self._stored.prediction(line, self._texts) for line in lines]

    def _note_seconds(self, batch: Sequence[tuple[Prediction, Made]]) -> None:
        rows = [
            dump({"sample_id": each.sample_id, "index": each.index, "seconds": round(output.seconds, 3)}) + "\n"
            for each, output in batch
            if isinstance(output, Answer) and output.seconds is not None
        ]
        self._note("latency", rows)

    def _note(self, name: str, rows: Sequence[str]) -> None:
        """Append lines of modest worth: no checksum, no fsync; a shard's own file until the run's end."""
        path = self.folder / (f"{name}.jsonl" if self.writer == MAIN else f"{name}-{self.writer}.jsonl")
        if rows:
            with disk(self.folder), path.open("a", encoding="utf-8") as file:
                file.write("".join(rows))

    def _line(self, prediction: Prediction, output: Made) -> Entry:
        line: dict[str, Json] = {
            "sample_id": prediction.sample_id,
            "index": prediction.index,
            "kind": prediction.kind,
        }
        if isinstance(output, Refusal):
            line["refused"] = str(output)
        elif prediction.kind == "text":
            said = output if isinstance(output, Answer) else Answer(str(output))
            line["text"] = said.text
            told = (("finish", said.finish), ("usage", dict(said.usage)), ("served", said.served))
            line |= {key: each for key, each in told if each}
        elif prediction.kind == "likelihood":
            line["likelihoods"] = list(output) if isinstance(output, tuple) else output
        else:
            path = prediction.image
            if path is None:
                raise ValueError(f"no path for the picture of {prediction.sample_id}")
            data = picture_bytes(output)
            line["image"] = path.relative_to(self.folder).as_posix()
            line["bytes"] = len(data)
            line["sha256"] = hashlib.sha256(data).hexdigest()
            if isinstance(output, Drawn):
                line |= {key: each for key, each in (("served", output.served), ("notes", list(output.notes))) if each}
            return line, data
        return line, None

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
            row |= {"served": evidence.served} if evidence.served else {}
            lines.append(row if evidence.error is None else row | {"error": evidence.error})
        self._append("evidence", lines)

    # -- another run's ----------------------------------------------------------------------------

    def take_predictions(self, other: Stored) -> dict[Key, Prediction]:
        """Take over the whole predictions of another run, and its batch sizes; return those taken."""
        rows = other.prediction_lines()
        with disk(self.folder):
            if not (self.folder / "plan.json").exists() and (other.folder / "plan.json").is_file():
                publish(self.folder / "plan.json", (other.folder / "plan.json").read_bytes())
            with ThreadPoolExecutor(4) as pool:
                for some in self._kept.take(other.folder, list(rows.values()), pool):
                    self._append("predictions", some)
        return {key: each for key, each in self.predictions().items() if key in rows}

    def take_evidence(self, other: Stored, predictions: Mapping[Key, Prediction]) -> int:
        """Take over another run's evidence about these predictions and return how much there was."""
        rows = other.evidence_lines(predictions)
        self._append("evidence", list(rows.values()))
        return len(rows)

    # -- the end ----------------------------------------------------------------------------------

    def add_error(self, stage: str, sample_id: str, index: int, error: str) -> None:
        """Note a failure for the reader of the run."""
        self._note("errors", [dump({"stage": stage, "sample_id": sample_id, "index": index, "error": error}) + "\n"])

    def add_where(self, row: Mapping[str, Json]) -> None:
        """Note who made a batch, under this version of the harness where the row tells none."""
        told = {"version": self.spec.version, **row} | ({} if self.writer == MAIN else {"writer": self.writer})
        self._note("where", [seal(told) + "\n"])

    def settle(self, keys: Sequence[Key], predictions: Mapping[Key, Prediction], *, ended: bool = True) -> None:
        """Leave what all writers wrote as if one had written it in the order of `keys`.

        A run that is not `ended` leaves its packs as they are: copying them at each stop would take long.
        """

        def fits(key: Key, row: Line) -> bool:
            made = predictions.get(key)
            if not self._stored.stands(key, row):
                return False
            if "of" not in row:
                known = made is not None and made.packed is not None and made.packed == place_of(self.folder, row)
                return row.get("image") is None or known or self._stored.picture_is_whole(row)
            return row.get("error") is None and made is not None and row["of"] == prediction_digests({key: made})[key]

        own = self._kept.close()
        for stream in ("predictions", "evidence"):
            held = self._files.pop(stream, None)
            if held is not None:
                held.close()
            if stream == "predictions" and self.packed and not ended:
                continue
            torn = any(path.parent.name == stream for path in self._stored.torn)
            with disk(self.folder):
                settle(self.folder, stream, keys, fits, torn=torn, own=own, lost=self._stored.lost(stream))
        self._stored.torn.clear()
        with disk(self.folder):
            for name in ("errors", "latency", "where"):
                for path in sorted(self.folder.glob(f"{name}-*.jsonl")):
                    self._note(name, [path.read_text(encoding="utf-8", errors="replace")])
                    path.unlink()

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
            publish_lines(self.folder / "scores.jsonl", score_lines(scores, digest))
        row = record_to_json(record) | {"scores_sha256": digest.hexdigest()}
        row |= {f"{each}_sha256": stream_digest(self.folder, each) for each in STREAMS}
        self.write_json("environment.json", dict(record.environment))
        self.write_json(name, row | {"sum": seal_of(row)})
        with disk(self.folder):
            for other in (*RECORDS, "where.jsonl"):  # environment.json tells who made what
                if other != name:
                    (self.folder / other).unlink(missing_ok=True)
            if not record.missing:  # a kill may leave what stands in images/ already
                for left in (self.folder / SERVICE).glob("*.png"):
                    left.unlink(missing_ok=True)

    def write_json(self, name: str, value: Json) -> None:
        """Write one JSON file of the run by write, fsync, rename."""
        self.write_bytes(name, _json_bytes(value))

    def write_new(self, name: str, value: Json) -> None:
        """Write one JSON file of the run unless it is there; of several writers one does."""
        if self.writer == MAIN:
            self.write_json(name, value)
            return
        with disk(self.folder):
            publish_new(self.folder / name, _json_bytes(value))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file of the run by write, fsync, rename."""
        with disk(self.folder):
            publish(self.folder / name, data)

    def _path(self, stream: str) -> Path:
        return self.folder / stream / f"{self.writer}.jsonl"

    def _append(self, stream: str, rows: Sequence[Line]) -> None:
        with disk(self.folder):
            if stream not in self._files:
                path = self._path(stream)
                path.parent.mkdir(exist_ok=True)
                (self.folder / "stage.json").unlink(missing_ok=True)  # from here on there is more than it tells of
                self._files[stream] = os.fdopen(os.open(path, _APPEND, 0o644), "ab", buffering=0)
                torn = not _ends_a_line(path)
                if torn:  # a kill in the middle of a line: close that line, its checksum gives it away
                    self._files[stream].write(b"\n")
                self._marks[stream] = whose(self.folder, stream)  # a copy in another run's folder is not taken there
            mark = self._marks[stream]
            self._stored.note(stream, rows)
            data = "".join(seal({**row, "for": mark}) + "\n" for row in rows).encode()
            write_all(self._files[stream], data)
            os.fsync(self._files[stream].fileno())


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _json_bytes(value: Json) -> bytes:
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    # Of a lone surrogate, of a file's name that is no UTF-8, the escape is valid JSON.
    return text.encode("utf-8", "backslashreplace")


def _key(prediction: Prediction) -> Key:
    return (prediction.kind, prediction.sample_id, prediction.index)
