"""Make maps of where the network looked, after the scores: inputs of the network in, messages out.

Runs in the scoring process once no file has come for a second. What waits for its map is bounded: beyond that maps
come first.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.explain import Explanation, has_maps, make_explainer
from cxrbatch.records import Evidence, ImageRef, ModelInput

_LOG = logging.getLogger(__name__)
_AT_ONCE = 4
"""Images of which maps are made before the next look at the queue."""
_MOST_BYTES = 64 << 20

Pixels = NDArray[np.uint8]
Explain = Callable[[Sequence[Pixels]], Iterable[Explanation]]


@dataclass(frozen=True, slots=True)
class Maps:
    """Maps of an image: the number of the image, and what `cxrbatch.explain` found."""

    id: str
    evidence: tuple[Evidence, ...] = ()
    outside_lungs: float | None = None


class MapMaker:
    """Keeps inputs of the network until there is time for their maps.

    Parameters
    ----------
    network : callable
        Returns what explains scores; called before the first map, not earlier: it may take seconds.
    """

    def __init__(self, network: Callable[[], Any]) -> None:
        self._network = network
        self._explain: Explain | None = None
        self._inputs: dict[Path, Pixels] = {}
        self._due: deque[tuple[str, Pixels]] = deque()
        self._n_bytes = 0

    def keep(self, ref: ImageRef, image: ModelInput) -> None:
        """Keep the input of an image whose score is being computed."""
        self._inputs[ref.path] = image.pixels

    def is_due(self, ref: ImageRef, number: str) -> bool:
        """Put an image that has its outcome into the queue for maps; return False if it has no input."""
        pixels = self._inputs.pop(ref.path, None)
        if pixels is None:
            return False
        self._due.append((number, pixels))
        self._n_bytes += pixels.nbytes
        return True

    @property
    def has_work(self) -> bool:
        """True if an image waits for its map."""
        return bool(self._due)

    @property
    def is_full(self) -> bool:
        """True if so many wait that maps have to be made first."""
        return self._n_bytes > _MOST_BYTES

    def make_some(self) -> list[Maps]:
        """Make the maps of the images that wait longest."""
        some = [self._due.popleft() for _ in range(min(_AT_ONCE, len(self._due)))]
        self._n_bytes -= sum(pixels.nbytes for _, pixels in some)
        try:
            found = list(self._explained([pixels for _, pixels in some]))
        except Exception as error:  # of the network: scores are worth more than maps
            _LOG.warning("no maps (%s)", type(error).__name__)
            found = [Explanation(strengths={})] * len(some)
        return [
            Maps(number, one.evidence, one.outside_lungs)
            for (number, _), one in zip(some, found, strict=True)
        ]

    def _explained(self, pixels: Sequence[Pixels]) -> Iterable[Explanation]:
        if self._explain is None:
            network = self._network()
            self._explain = make_explainer(network) if has_maps(network) else _without_maps
        return self._explain(pixels)


def _without_maps(pixels: Sequence[Pixels]) -> list[Explanation]:
    return [Explanation(strengths={})] * len(pixels)
