"""Recipes: runs described as data (TOML), read strictly into frozen dataclasses.

An unknown key, a missing key or a value of another type is an error that names the file, the key, what was
expected and what was found.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from cxrbatch.errors import RecipeError
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FINDINGS

ARCHITECTURES = ("residual", "classic")
"""What ``network.architecture`` may say; `cxrbatch.training.architectures.BUILDERS` builds them."""
LOOKS = ("whole", "lungs")
"""What ``network.looks`` may say: the whole picture, or the box around the lungs (`cxrbatch.training.lungs`)."""
METHODS = ("pairs", "classes")
"""What ``fit.method`` may say; `cxrbatch.training.fit.METHODS` are they."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One collection of radiographs.

    Attributes
    ----------
    layout : str
        How it is laid out: a key of `cxrbatch.datasets.collections.LOADERS`.
    folder : str
        Relative to ``--data``, and within it.
    teaches : tuple of str
        Labels of this source that may teach, of `cxrbatch.records.FINDINGS`; its other images only test.
    """

    layout: str
    folder: str
    teaches: tuple[str, ...] = FINDINGS

    def __post_init__(self) -> None:
        _check_within("folder", self.folder)
        for label in self.teaches:
            _check_known("teaches", label, FINDINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Architecture; what follows its name describes ``residual`` (a ``classic`` one has no settings).

    Attributes
    ----------
    architecture : str
        One of `ARCHITECTURES`: ``residual`` (`cxrbatch.training.network`) or ``classic``
        (`cxrbatch.training.classic`).
    looks : tuple of str
        What answers each of the two questions (`cxrbatch.training.network.QUESTIONS`) sees, of `LOOKS`. A network is
        trained on both for every look, and asked the questions of that look.
    widths : tuple of int
        Channels of the stem and of each stage; every stage halves the resolution.
    extra_blocks : int
        Residual blocks of a stage beyond its first.
    reduce : int
        Side of the blocks of pixels that are averaged first, in pixels: fine texture tells the scanner.
    equalise_bins : int
        Grey-value bins of the histogram equalisation that comes next; 0 for none.
    head : str
        ``flatten`` tells the last layer where in the picture a feature is; ``mean`` averages over the picture.
    dropout : float
        0–1, before the last layer.
    """

    architecture: str = "residual"
    looks: tuple[str, ...] = ("whole", "whole")
    widths: tuple[int, ...] = (24, 32, 48)
    extra_blocks: int = 0
    reduce: int = 8
    equalise_bins: int = 24
    head: str = "flatten"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        _check_known("architecture", self.architecture, ARCHITECTURES)
        for look in self.looks:
            _check_known("looks", look, LOOKS)
        if len(self.looks) != 2:
            raise ValueError(
                f"looks must name one look for each of the two questions, found {len(self.looks)}"
            )
        if not self.widths or min(self.widths) < 1 or self.reduce < 1:
            raise ValueError("widths and reduce must be at least 1")
        _check_known("head", self.head, ("flatten", "mean"))
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be within [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LungSpec:
    """The segmentation network that finds the lungs (`cxrbatch.training.lungs`), for the look ``lungs``.

    Attributes
    ----------
    images, masks : str
        Folders of radiographs and of their ``<stem>_mask.png``, relative to ``--data``, and within it.
    width : int
        Channels of the first stage.
    margin : float
        Added on each side of the box around the lungs, as a share of it.
    hold_out_every : int
        Every n-th patient is kept for measuring the overlap.
    """

    images: str = ""
    masks: str = ""
    width: int = 12
    steps: int = 1200
    batch_size: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    seed: int = 0
    margin: float = 0.08
    hold_out_every: int = 7

    def __post_init__(self) -> None:
        _check_within("images", self.images)
        _check_within("masks", self.masks)
        if min(self.width, self.steps, self.batch_size) < 1 or self.hold_out_every < 2:
            raise ValueError("width, steps and batch_size must be at least 1, hold_out_every at least 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSpec:
    """Strengths of the random changes (see `cxrbatch.training.augment`); shares of the image unless a unit is named.

    Attributes
    ----------
    log_scale, log_aspect : float
        Largest natural logarithm of the zoom and of its ratio between the axes.
    shading : float
        Standard deviation of the brightness added at the edges, grey values 0–1.
    log_gamma, log_gain, offset : float
        Standard deviations.
    least_resolution : float
        Smallest resolution, as a share of the network's, from which a blurred copy is made; 1 for none.
    sharpen : float
        Largest amount of unsharp masking.
    noise : float
        Largest standard deviation, grey values 0–1.
    """

    flip: bool = True
    rotate_degrees: float = 10.0
    log_scale: float = 0.2
    log_aspect: float = 0.12
    shift: float = 0.08
    shading: float = 0.1
    log_gamma: float = 0.3
    log_gain: float = 0.2
    offset: float = 0.08
    least_resolution: float = 0.25
    sharpen: float = 0.6
    noise: float = 0.05
    n_erased: int = 3
    erased_size: float = 0.4
    n_markers: int = 2
    marker_size: float = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """Optimisation: a fixed number of steps, because validation on a training source cannot tell when to stop.

    Attributes
    ----------
    method : str
        One of `METHODS`: ``pairs`` compares images of one domain (`cxrbatch.training.matched_pairs`); ``classes`` is
        plain cross-entropy over all images in one pool, as most networks are trained
        (`cxrbatch.training.cross_entropy`).
    steps : int
        Batches of each network, for ``pairs``.
    abnormal_pairs, covid_pairs : int
        Matched pairs of each question in a batch.
    epochs, batch_size : int
        How often every image is seen, and how many at once, for ``classes``.
    average : float
        Share of the running average of all weights that is kept at each step.
    seeds : tuple of int
        One network each; what is measured and shipped is the mean of their logits.
    """

    method: str = "pairs"
    steps: int = 150
    abnormal_pairs: int = 14
    covid_pairs: int = 4
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    average: float = 0.99
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        _check_known("method", self.method, METHODS)
        if self.steps < 1 or self.abnormal_pairs < 1 or self.covid_pairs < 0:
            raise ValueError("steps and abnormal_pairs must be at least 1, covid_pairs at least 0")
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch_size must be at least 1")
        if not 0 <= self.average < 1:
            raise ValueError("average must be within [0, 1)")
        if not self.seeds:
            raise ValueError("seeds must name at least one network")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """What ``cxrbatch train`` does; a TOML file is this, key by key.

    Attributes
    ----------
    sources : tuple of SourceSpec
    gate : str
        Parameters of the pixel check (``gate.npz``), below the folder of the recipe; empty: those of the bundle
        that is shipped.
        ``python -m cxrbatch.training.pixel_check.train`` makes them.
    folds : tuple of tuple of str
        Domains left out together, one network per entry and seed: ``nih``, ``ieee8023``,
        ``ieee8023/radiopaedia.org``, …; empty where the bundle's own network is all that is measured.
    test_share : float
        Share of the patients who may teach that is held out at random, within [0, 1): the *own split*, on which
        recognising the hospital is enough to look good.
    bootstraps : int
        Resamples of each confidence interval.
    """

    name: str
    sources: tuple[SourceSpec, ...]
    folds: tuple[tuple[str, ...], ...] = ()
    test_share: float = 0.0
    gate: str = ""
    bootstraps: int = 2000
    preprocess: PreprocessSpec = field(default_factory=PreprocessSpec)
    lungs: LungSpec = field(default_factory=LungSpec)
    network: NetworkSpec = field(default_factory=NetworkSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    fit: FitSpec = field(default_factory=FitSpec)

    def __post_init__(self) -> None:
        _check_within("gate", self.gate)
        if not 0 <= self.test_share < 1:
            raise ValueError("test_share must be within [0, 1)")
        if not all(self.folds):
            raise ValueError("folds: each one must name at least one domain")
        if self.bootstraps < 1:
            raise ValueError("bootstraps must be at least 1")
        if "lungs" in self.network.looks and not self.lungs.masks:
            raise ValueError(
                "network.looks names lungs: lungs.images and lungs.masks must say where these are outlined"
            )


def _check_known(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{key} must be {' or '.join(known)}, found {value!r}")


def _check_within(key: str, place: str) -> None:
    """Whoever wrote a recipe decides what is read below a folder, and not what is read beside it."""
    if PurePath(place).is_absolute() or ".." in PurePath(place).parts:
        raise ValueError(f"{key} must be relative and without .., found {place!r}")


def load_recipe(path: Path, kind: type[T]) -> T:
    """Read a TOML file into a dataclass.

    Parameters
    ----------
    path : Path
    kind : type
        A dataclass whose fields are str, int, float, bool, tuples of these, or further dataclasses; or one of several
        of these; or None, for what may be left out.

    Raises
    ------
    RecipeError
        The file cannot be read, or says something that `kind` does not know.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    return read_recipe(table, kind, f"{path}: ")


def read_recipe(table: Any, kind: type[T], where: str = "") -> T:
    """Read a table into a dataclass, as `load_recipe` does with a file's.

    Parameters
    ----------
    table : mapping
        From TOML or JSON.
    where : str
        Start of every message.

    Raises
    ------
    RecipeError
        The table says something that `kind` does not know.
    """
    return typing.cast(T, _dataclass(kind, table, where))


def _dataclass(kind: type, table: Any, where: str) -> Any:
    if not isinstance(table, dict):
        raise RecipeError(f"{where}expected a table, found {table!r}")
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise RecipeError(f"{where}unknown key {key!r}{_did_you_mean(key, hints)}")
    for known in dataclasses.fields(kind):
        optional = known.default is not known.default_factory  # MISSING twice: the key is required
        if not optional and known.name not in table:
            raise RecipeError(f"{where}key {known.name!r} is missing")
    values = {key: _value(hints[key], value, f"{where}{key}: ") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise RecipeError(f"{where}{error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(typing.cast(type, kind), value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{where}expected a list, found {value!r}")
        item = typing.get_args(kind)[0]
        return tuple(_value(item, entry, f"{where}[{index}]: ") for index, entry in enumerate(value))
    if typing.get_origin(kind) is types.UnionType:
        return _one_of(typing.get_args(kind), value, where)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise RecipeError(f"{where}expected {_name(kind)}, found {value!r} ({_name(type(value))})")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if type(value) in kinds:
        return value
    *others, last = (kind for kind in kinds if kind is not types.NoneType)
    if not others:
        return _value(last, value, where)
    expected = f"{', '.join(map(_name, others))} or {_name(last)}"
    raise RecipeError(f"{where}expected {expected}, found {value!r} ({_name(type(value))})")


def _name(kind: type | types.GenericAlias) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
    return names.get(typing.cast(type, kind), getattr(kind, "__name__", str(kind)))


def _did_you_mean(key: str, known: typing.Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"
