"""TensorBoard: event files of a run in DIR/NAME--KEY, intervals as margin charts in its custom scalars."""
# protobuf's classes are made when they are imported
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from ...evals.errors import UsageError
from ...reports.render import render
from .told import Told


class TensorBoard:
    """Writes a run's numbers, tables and pictures under `folder`."""

    def __init__(self, folder: str = "") -> None:
        if not folder:
            raise UsageError("it wants a folder: --log tensorboard:DIR")
        self._folder = Path(folder)

    def tell(self, told: Told) -> None:
        place = self._folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', told.name)[:100]}--{told.key}"
        writer = EventFileWriter(str(place))
        for name, value in told.numbers.items():
            _add(writer, told.step, scalar_pb(name, value))
        for name, table in told.tables.items():
            _add(writer, told.step, text_pb(f"janus_eval/{name}", render([table], "markdown")))
        asked = json.dumps(dict(told.config), indent=1, default=str)
        _add(writer, told.step, text_pb("janus_eval/asked", "\n".join("    " + each for each in asked.splitlines())))
        for number, (caption, path) in enumerate(told.pictures):
            _add(writer, told.step, _picture(f"janus_eval/picture {number}", caption, path))
        _add(writer, told.step, _intervals(told))
        writer.close()


def _add(writer: Any, step: int, summary: Any) -> None:
    writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))


def _picture(tag: str, caption: str, path: Path) -> Any:
    with Image.open(path) as picture:
        width, height = picture.size
    image = summary_pb2.Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes())
    about = summary_pb2.SummaryMetadata(display_name=caption, summary_description=caption)
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, image=image, metadata=about)])


def _intervals(told: Told) -> Any:
    """Return the layout of margin charts: each number that has an interval, with it."""
    names = [each.removesuffix("/low") for each in told.numbers if each.endswith("/low")]
    charts = [
        layout_pb2.Chart(
            title=name,
            margin=layout_pb2.MarginChartContent(
                series=[layout_pb2.MarginChartContent.Series(value=name, lower=f"{name}/low", upper=f"{name}/high")]
            ),
        )
        for name in names
        if name in told.numbers
    ]
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="janus-eval", chart=charts)])
    summary = text_pb(metadata.CONFIG_SUMMARY_TAG, "")
    summary.value[0].metadata.CopyFrom(metadata.create_summary_metadata())
    summary.value[0].tensor.string_val[:] = [layout.SerializeToString()]
    return summary
