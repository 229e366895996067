"""Licence of the weights of a bundle: an optional entry of ``bundle.json``, which `cxrbatch train` writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLicence:
    """Licence of one collection of images from which weights were learnt.

    Attributes
    ----------
    name : str
        The collection, with who publishes it.
    licence : str
        Its terms, in words.
    cite : tuple of str
        Publications that its terms, or good manners, ask to cite.
    """

    name: str
    licence: str
    cite: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsLicence:
    """What the weights of a bundle may be used for, and why.

    Attributes
    ----------
    terms : str
        In one or two sentences.
    data : tuple of DataLicence
        Every collection that took part in training.
    """

    terms: str
    data: tuple[DataLicence, ...]


def read_licence(content: Mapping[str, Any]) -> WeightsLicence:
    """Read the entry ``licence`` of a ``bundle.json``.

    Raises
    ------
    TypeError, KeyError
        It is something else.
    """
    return WeightsLicence(terms=_text(content["terms"]), data=tuple(map(_read_data, content["data"])))


def _read_data(content: Mapping[str, Any]) -> DataLicence:
    cite = tuple(map(_text, content["cite"]))
    return DataLicence(name=_text(content["name"]), licence=_text(content["licence"]), cite=cite)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("licence: a text was expected")
    return value
