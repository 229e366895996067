"""Records of a network that was converted for LiteRT."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the scores of the converted network are from those of the original; part of ``bundle.json``.

    Attributes
    ----------
    largest_difference : float
        Of any score of any of the test images of `cxrbatch.bundle.convert_network`.
    n_images : int
        Number of these images.
    outputs : tuple of str
        Names of the outputs of the converted network, in their order: ``scores`` first; ``evidence`` and ``lungs``
        where the network has them (`cxrbatch.bundle.explainable`).
    tensorflow : str
        Version of TensorFlow that converted the network.
    """

    largest_difference: float
    n_images: int
    tensorflow: str
    outputs: tuple[str, ...] = ("scores",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", tuple(self.outputs))
        if self.outputs[:1] != ("scores",):
            raise ValueError(f"outputs {self.outputs} must begin with scores")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConvertedNetwork:
    """A network for LiteRT, and what was found when it was compared with the original.

    Attributes
    ----------
    content : bytes
        TensorFlow Lite file (a FlatBuffer): float32 (1, height, width, 1), 0–255 → scores (1, 3) and other outputs.
    agreement : Agreement
    """

    content: bytes
    agreement: Agreement
