"""Write scalars for TensorBoard as its event files: TFRecords of ``Event`` messages.

``tf.summary`` would need the package tensorboard. It is needed to view the files, but not for training.
"""

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import tensorflow as tf


class EventLog(AbstractContextManager["EventLog"]):
    """An event file in a folder; without a folder, nothing is written.

    Parameters
    ----------
    folder : Path, optional
        Folder of one TensorBoard run; made where it is missing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer = tf.io.TFRecordWriter(str(_event_file(folder))) if folder else None
        self._write(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalar(self, tag: str, value: float | tf.Tensor, step: int) -> None:
        """Write one value of a curve."""
        if self._writer:
            summary = tf.compat.v1.Summary(
                value=[tf.compat.v1.Summary.Value(tag=tag, simple_value=float(value))]
            )
            self._write(tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._writer:
            self._writer.close()

    def _write(self, event: tf.compat.v1.Event) -> None:
        if self._writer:
            self._writer.write(event.SerializeToString())


def _event_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
