"""Write metrics in the text format of Prometheus: metrics in, text out.

The format is version 0.0.4 of
https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
"""Names and values of the labels of one sample."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric whose value goes up and down.

    Attributes
    ----------
    name : str
        Letters, digits and ``_``, with the unit as its end.
    help : str
        What it is, for people.
    samples : mapping of Labels to float
        Value for each set of labels; the key ``()`` is a sample without labels.
    """

    name: str
    help: str
    samples: Mapping[Labels, float] = field(default_factory=dict)


def single(name: str, meaning: str, value: float, **labels: str) -> Gauge:
    """Make a metric of one sample."""
    return Gauge(name, meaning, {tuple(labels.items()): value})


def by_label(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Gauge:
    """Make a metric with one label: a sample for each of its values."""
    return Gauge(name, meaning, {((label, key),): value for key, value in values.items()})


def exposition(gauges: Iterable[Gauge]) -> str:
    """Write metrics as text; one without a sample is left out.

    Returns
    -------
    str
        Lines, each with its line end.
    """
    return "".join(_block(gauge) for gauge in gauges if gauge.samples)


def _block(gauge: Gauge) -> str:
    lines = (
        f"# HELP {gauge.name} {_escaped(gauge.help)}",
        f"# TYPE {gauge.name} gauge",
        *(f"{gauge.name}{_labels(labels)} {value!r}" for labels, value in gauge.samples.items()),
    )
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    pairs = (f'{name}="{_escaped(value).replace(chr(34), chr(92) + chr(34))}"' for name, value in labels)
    return f"{{{','.join(pairs)}}}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
