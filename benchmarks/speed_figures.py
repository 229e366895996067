"""What `speed.py` computes from its measurements, and how it writes it down."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.command import Run
from benchmarks.decoders import Alone


def limit(decode_s: float, network_s: float, cores: int) -> float:
    """Images per second, if all processors did nothing but decode and multiply.

    Parameters
    ----------
    decode_s, network_s : float
        Processor seconds per image.
    """
    return cores / (decode_s + network_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """What the images cost by which a long run is longer than a short one; seconds are per image."""

    wall: float
    processor: float

    @classmethod
    def between(cls, short: Run, long: Run, n_further: int) -> "Further":
        """Subtract a run from one that had `n_further` more files.

        Raises
        ------
        RuntimeError
            The longer run was not longer.
        """
        wall, processor = long.wall - short.wall, long.processor - short.processor
        if wall <= 0:
            raise RuntimeError(
                f"{n_further} more files took {wall:.1f} s: is the machine busy? Wait, or try more --seconds"
            )
        return cls(wall=wall / n_further, processor=processor / n_further)

    @property
    def images_per_s(self) -> float:
        """Without start and end."""
        return 1 / self.wall


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median of repeated measurements, and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Of at least one value."""
        values = list(values)
        return cls(median=statistics.median(values), low=min(values), high=max(values))

    def text(self, digits: int, scale: float = 1) -> str:
        """Write ``median (low–high)``."""
        low, middle, high = (f"{value * scale:.{digits}f}" for value in (self.low, self.median, self.high))
        return f"{middle} ({low}–{high})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one group.

    Attributes
    ----------
    n_files, n_different : int
        Of the long run.
    long : Spread
        Wall seconds of the long run, start and report included.
    others : float
        Largest share of the processors that something else took during a run.
    further : tuple of Further
        One for each repeat.
    cheapest, cheapest_busy, codec, codec_busy : Alone
        In one process; ``busy``: in one process for each processor.
    libraries_busy : Alone
        The same of what libraries offer, see `benchmarks.decoders.by_libraries`.
    reading_busy : Alone
        The same of what the program itself does to read a file.
    network_s : float
        Processor seconds per image.
    naive_s : float
        Wall seconds per image.
    """

    n_files: int
    n_different: int
    cores: int
    long: Spread
    others: float
    further: tuple[Further, ...]
    cheapest: Alone
    cheapest_busy: Alone
    libraries_busy: Alone
    codec: Alone
    codec_busy: Alone
    reading_busy: Alone
    network_s: float
    naive_s: float
    naive_mark: str
    peak_mib: float

    @property
    def images_per_s(self) -> Spread:
        """Of the command."""
        return Spread.of(one.images_per_s for one in self.further)

    @property
    def processor_s(self) -> Spread:
        """Of a further image."""
        return Spread.of(one.processor for one in self.further)

    @property
    def limit(self) -> float:
        """See `limit`."""
        return limit(self.cheapest_busy.processor_s, self.network_s, self.cores)

    @property
    def efficiency(self) -> Spread:
        """Share of the limit that is reached."""
        return Spread.of(one.images_per_s / self.limit for one in self.further)

    @property
    def processor_efficiency(self) -> Spread:
        """Share of the processor time of a further image that is the cheapest decode and the network."""
        return self._share(self.cheapest_busy)

    @property
    def library_efficiency(self) -> Spread:
        """The same of decoding by libraries and the network; above 1 where the program decodes cheaper than they."""
        return self._share(self.libraries_busy)

    def _share(self, decode: Alone) -> Spread:
        useful = decode.processor_s + self.network_s
        return Spread.of(useful / one.processor for one in self.further)

    @property
    def beside_reading(self) -> Spread:
        """Share reached of the limit with the program's own reading in place of the cheapest decode."""
        own = limit(self.reading_busy.processor_s, self.network_s, self.cores)
        return Spread.of(one.images_per_s / own for one in self.further)

    @property
    def overhead_s(self) -> Spread:
        """Processor seconds of a further image that are neither the cheapest decode nor the network."""
        neither = self.cheapest_busy.processor_s + self.network_s
        return Spread.of(one.processor - neither for one in self.further)

    @property
    def over_naive(self) -> float:
        """How many times as fast as the naive program."""
        return self.images_per_s.median * self.naive_s

    @property
    def over_codec(self) -> float:
        """How many times as fast as decoding at full size on all processors and doing nothing else."""
        return self.images_per_s.median / self.codec_busy.images_per_s


# --- the tables


def ratios(group: str, found: Figures) -> dict[str, str]:
    """Give the row of a group in the table of results."""
    return {
        "group": group,
        "images/s": found.images_per_s.text(1),
        "limit": f"{found.limit:.1f}",
        "efficiency": found.efficiency.text(2),
        "in processor time": found.processor_efficiency.text(2),
        "the same, by libraries": found.library_efficiency.text(2),
        "of reading + network": found.beside_reading.text(2),
        "overhead, CPU ms": found.overhead_s.text(1, 1000),
        "naive, images/s": f"{1 / found.naive_s:.2f}{found.naive_mark}",
        "× naive": f"{found.over_naive:.1f}",
        "codec, images/s": f"{found.codec_busy.images_per_s:.1f}",
        "× codec": f"{found.over_codec:.2f}",
        "peak MiB": f"{found.peak_mib:.0f}",
    }


def costs(group: str, found: Figures) -> dict[str, str]:
    """Give its row in the table of what went into them; CPU ms per image."""
    decoders = (found.cheapest, found.cheapest_busy, found.codec, found.codec_busy)
    cheap, cheap_busy, codec, codec_busy = (f"{one.processor_s * 1000:.2f}" for one in decoders)
    return {
        "group": group,
        "command": found.processor_s.text(1, 1000),
        "cheapest decode": cheap,
        "the same, all processors busy": cheap_busy,
        "by libraries, all processors busy": f"{found.libraries_busy.processor_s * 1000:.2f}",
        "reading": f"{found.reading_busy.processor_s * 1000:.2f}",
        "network": f"{found.network_s * 1000:.2f}",
        "full-size codec": codec,
        "the same, all processors busy ": codec_busy,
        "files (different)": f"{found.n_files} ({found.n_different})",
        "seconds with the start": found.long.text(1),
        "images/s with the start": f"{found.n_files / found.long.median:.1f}",
        "taken by others": f"{found.others:.0%}",
    }


def table(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Write rows as Markdown, the first column to the left."""
    yield f"| {' | '.join(key.strip() for key in rows[0])} |"
    yield "|---|" + "---:|" * (len(rows[0]) - 1)
    for row in rows:
        yield f"| {' | '.join(row.values())} |"
