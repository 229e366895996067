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
    tensorflow : str
        Version of TensorFlow that converted the network.
    """

    largest_difference: float
    n_images: int
    tensorflow: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConvertedNetwork:
    """A network for LiteRT, and what was found when it was compared with the original.

    Attributes
    ----------
    content : bytes
        TensorFlow Lite file (a FlatBuffer): uint8 (1, height, width, 1) → float32 (1, 3).
    agreement : Agreement
    """

    content: bytes
    agreement: Agreement
