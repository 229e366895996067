"""Record the losses of a training: a line of the log now and then, and all of them for TensorBoard.

TensorBoard reads event files: TFRecords of ``Event`` messages. ``tf.summary`` would need the package tensorboard,
which is needed to view the files, but not for training.
"""

import logging
import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import tensorflow as tf

REPORTED_STEPS = 250
"""Steps for which one line is logged, with their mean."""

_LOGGER = logging.getLogger(__name__)


class EventLog(AbstractContextManager["EventLog"]):
    """The losses of one network: means of `REPORTED_STEPS` steps in the log, and each in an event file of a folder.

    Parameters
    ----------
    folder : Path, optional
        Folder of one TensorBoard run; made where it is missing. Without one there is no event file.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer = tf.io.TFRecordWriter(str(_event_file(folder))) if folder else None
        self._write(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._means: dict[str, _Mean] = {}

    def scalar(self, tag: str, value: float | tf.Tensor, step: int) -> None:
        """Add one value of a curve; steps count from 0."""
        mean = self._means.setdefault(tag, _Mean(tag))
        mean.add(value, step)
        if mean.n_steps == REPORTED_STEPS:
            mean.report()
        if self._writer:
            summary = tf.compat.v1.Summary(
                value=[tf.compat.v1.Summary.Value(tag=tag, simple_value=float(value))]
            )
            self._write(tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report the steps since the last line, and close the file."""
        for mean in self._means.values():
            mean.report()
        if self._writer:
            self._writer.close()

    def _write(self, event: tf.compat.v1.Event) -> None:
        if self._writer:
            self._writer.write(event.SerializeToString())


class _Mean:
    """Mean of a curve since the last line. Nothing waits for the device before the mean is reported."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.n_steps = 0
        self._last_step = 0
        self._sum: float | tf.Tensor = 0.0

    def add(self, value: float | tf.Tensor, step: int) -> None:
        self._sum += value
        self._last_step = step
        self.n_steps += 1

    def report(self) -> None:
        """Log the mean, and begin anew."""
        if self.n_steps:
            mean = float(self._sum) / self.n_steps
            _LOGGER.info("step %d: %s %.4f (mean of %d)", self._last_step + 1, self.tag, mean, self.n_steps)
        self.n_steps, self._sum = 0, 0.0


def _event_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
