"""Define the recipe of a training: TOML in, frozen dataclasses out, read strictly."""

import dataclasses
from dataclasses import dataclass, field

from cxrbatch._lib.toml import check_known, check_within
from cxrbatch.datasets import LungSpec, SourceSpec
from cxrbatch.preprocess import PreprocessSpec

ARCHITECTURES = ("lung", "residual", "classic")
"""Values of ``network.architecture``; `cxrbatch.training.network.BUILDERS` builds them."""
SCHEDULES = ("constant", "cosine")
"""Values of ``fit.schedule``: the learning rate stays, or rises for `warmup_steps` and falls along a cosine."""
METHODS = ("pairs", "classes")
"""Values of ``fit.method``; `cxrbatch.training.fit.METHODS` implements them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Architecture of the network.

    Attributes
    ----------
    architecture : str
        One of `ARCHITECTURES`. ``lung``: features of a pretrained backbone, averaged inside the lungs
        (`cxrbatch.training.lung_network`). ``residual``: a small network on the whole image
        (`cxrbatch.training.network.build_logits`). ``classic``: that of the tutorials
        (`cxrbatch.training.network.build_classic`); it has no settings.
    dropout : float
        0–1, before the last layer.
    size_px : int
        Side of the box around the lungs as the network gets it, a multiple of 32; for ``lung``.
    taps : tuple of int
        Blocks of the backbone whose features are used (`cxrbatch.training.efficientnet.BLOCKS`); for ``lung``.
    first_trainable : int
        First block of the backbone that is trained; 16 for none; for ``lung``.
    weights : str
        State dict of the backbone, below the folder of the recipe; empty: that of the package which
        ``cxrbatch[train]`` installs; for ``lung``.
    ridge : float
        Strength of the ridge of the logistic regression with which the heads start; for ``lung``.
    widths : tuple of int
        Channels of the stem and of each stage; every stage halves the resolution; for ``residual``.
    extra_blocks : int
        Residual blocks of a stage beyond its first; for ``residual``.
    reduce : int
        Side of the blocks of pixels that are averaged first, in pixels: fine texture reveals the scanner; for
        ``residual``.
    equalise_bins : int
        Grey-value bins of the histogram equalisation that comes next; 0 for none; for ``residual``.
    head : str
        ``flatten`` keeps the position of a feature in the image for the last layer; ``mean`` averages over the image;
        for ``residual``.
    """

    architecture: str = "residual"
    dropout: float = 0.5
    size_px: int = 192
    taps: tuple[int, ...] = (7, 10, 15)
    first_trainable: int = 3
    weights: str = ""
    ridge: float = 1000.0
    widths: tuple[int, ...] = (24, 32, 48)
    extra_blocks: int = 0
    reduce: int = 8
    equalise_bins: int = 24
    head: str = "flatten"

    def __post_init__(self) -> None:
        check_known("architecture", self.architecture, ARCHITECTURES)
        check_within("weights", self.weights)
        if self.size_px < 32 or self.size_px % 32:
            raise ValueError("size_px must be a multiple of 32")
        if not self.taps or list(self.taps) != sorted(set(self.taps) & set(range(5, 16))):
            raise ValueError("taps must name blocks of 5 to 15, ascending")
        if not self.widths or min(self.widths) < 1 or self.reduce < 1:
            raise ValueError("widths and reduce must be at least 1")
        check_known("head", self.head, ("flatten", "mean"))
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be within [0, 1)")
        if self.ridge <= 0:
            raise ValueError("ridge must be above 0")

    @property
    def reads_lungs(self) -> bool:
        """Whether the network gets the box around the lungs, and so needs a segmentation network."""
        return self.architecture == "lung"


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
    """Optimisation: a fixed number of steps, because validation on a training source does not show when to stop.

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
        Passes over all images, and images per batch, for ``classes``.
    person_pairs : int
        Pairs of the first question in a batch that are two images of one patient, with and without pneumonia; for
        ``pairs``.
    schedule : str
        One of `SCHEDULES`.
    warmup_steps : int
        Steps over which the learning rate of ``cosine`` rises.
    average : float
        Share of the running average of all weights that is kept at each step.
    seeds : tuple of int
        One network each; the mean of their logits is measured and is used in the bundle.
    image_px : int
        Side of the images from which the boxes around the lungs of the training set are cut, in pixels, for the
        architecture ``lung``; 0: that of `PreprocessSpec`. So a network can be trained on finer images than the
        bundle reads (Touvron et al. 2019, arXiv:1906.06423).
    """

    method: str = "pairs"
    steps: int = 150
    abnormal_pairs: int = 14
    person_pairs: int = 0
    covid_pairs: int = 4
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    schedule: str = "constant"
    warmup_steps: int = 30
    average: float = 0.99
    seeds: tuple[int, ...] = (0,)
    image_px: int = 0

    def __post_init__(self) -> None:
        check_known("method", self.method, METHODS)
        check_known("schedule", self.schedule, SCHEDULES)
        if self.steps < 1 or self.abnormal_pairs < 1 or min(self.covid_pairs, self.person_pairs) < 0:
            raise ValueError(
                "steps and abnormal_pairs must be at least 1, covid_pairs and person_pairs at least 0"
            )
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch_size must be at least 1")
        if not 0 <= self.average < 1:
            raise ValueError("average must be within [0, 1)")
        if not self.seeds:
            raise ValueError("seeds must name at least one network")
        if self.image_px < 0 or self.image_px % 32:
            raise ValueError("image_px must be 0 or a multiple of 32")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSpec:
    """Sites that are left out together, by networks that are trained only to measure.

    Attributes
    ----------
    leave_out : tuple of str
        Sources (``nih``) or publishers of one (``ieee8023/radiopaedia.org``).
    trains : tuple of str
        Sources that are trained on in this fold, in addition to the training set of the bundle.
    """

    leave_out: tuple[str, ...]
    trains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.leave_out:
            raise ValueError("leave_out must name at least one site")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRecipe:
    """Recipe of ``cxrbatch train``; a TOML file has the same keys.

    Attributes
    ----------
    sources : tuple of SourceSpec
    gate : str
        Parameters of the pixel check (``gate.npz``), below the folder of the recipe; empty: those of the default
        bundle.
        ``python -m cxrbatch.training.pixel_check.train`` makes them.
    folds : tuple of FoldSpec
        Empty where only the network of the bundle is measured.
    patient_folds : int
        Parts into which the patients of the training set are divided at random; each is scored by networks trained
        without it. 0 for none, else at least 2. Recognising the hospital helps these figures; within a patient it
        does not.
    test_share : float
        Share of the patients otherwise in the training set that is held out at random, within [0, 1): the *own
        split*. On it, recognising the hospital is enough for good figures.
    mirrored : bool
        Average the answers for an image and for its mirror image, so that both get the same score. The weights are
        the same; the network of the bundle takes twice the time.
    bootstraps : int
        Resamples of each confidence interval.
    """

    name: str
    sources: tuple[SourceSpec, ...]
    folds: tuple[FoldSpec, ...] = ()
    patient_folds: int = 0
    test_share: float = 0.0
    gate: str = ""
    mirrored: bool = False
    bootstraps: int = 2000
    preprocess: PreprocessSpec = field(default_factory=PreprocessSpec)
    lungs: LungSpec = field(default_factory=LungSpec)
    network: NetworkSpec = field(default_factory=NetworkSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    fit: FitSpec = field(default_factory=FitSpec)

    def __post_init__(self) -> None:
        check_within("gate", self.gate)
        if not 0 <= self.test_share < 1:
            raise ValueError("test_share must be within [0, 1)")
        if self.patient_folds == 1 or self.patient_folds < 0:
            raise ValueError("patient_folds must be 0, or at least 2")
        if self.bootstraps < 1:
            raise ValueError("bootstraps must be at least 1")
        if self.network.reads_lungs and not self.lungs.masks:
            raise ValueError(
                "network.architecture is lung: lungs.images and lungs.masks must say where lungs are outlined"
            )
        if self.fit.image_px and not self.network.reads_lungs:
            raise ValueError("fit.image_px is for network.architecture lung: other networks get whole images")

    @property
    def finer(self) -> "TrainRecipe":
        """The recipe with the larger images of `FitSpec.image_px`, and lungs found in each image alone.

        Training mirrors boxes at random, so that lungs found both ways would add nothing.
        """
        side = self.fit.image_px
        return dataclasses.replace(
            self,
            preprocess=dataclasses.replace(self.preprocess, height=side, width=side),
            lungs=dataclasses.replace(self.lungs, mirrored=False),
        )
