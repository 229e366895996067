"""Describe the labelled data of a recipe: sources of radiographs, and outlined lungs."""

from dataclasses import dataclass

from cxrbatch._lib.toml import check_known, check_within
from cxrbatch.datasets.labelled import IMAGE_LABELS


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One collection of radiographs.

    Attributes
    ----------
    layout : str
        Layout of its folder: a key of `cxrbatch.datasets.collections.LOADERS`.
    folder : str
        Relative to ``--data``, and within it.
    teaches : tuple of str
        Labels of this source that may be in the training set, of `cxrbatch.datasets.IMAGE_LABELS`; its other images
        are used only for tests.
    """

    layout: str
    folder: str
    teaches: tuple[str, ...] = IMAGE_LABELS

    def __post_init__(self) -> None:
        check_within("folder", self.folder)
        for label in self.teaches:
            check_known("teaches", label, IMAGE_LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LungSpec:
    """Segmentation network that finds the lungs (`cxrbatch.training.lungs`), for the input region ``lungs``.

    Attributes
    ----------
    images, masks : str
        Folders of radiographs and of their ``<stem>_mask.png``, relative to ``--data``, and within it.
    width : int
        Channels of the first stage.
    margin : float
        Added on each side of the box around the lungs, as a share of it.
    mirrored : bool
        Average the lungs that are found in an image and in its mirror image, so that both have the same box.
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
    mirrored: bool = False
    hold_out_every: int = 7

    def __post_init__(self) -> None:
        check_within("images", self.images)
        check_within("masks", self.masks)
        if min(self.width, self.steps, self.batch_size) < 1 or self.hold_out_every < 2:
            raise ValueError("width, steps and batch_size must be at least 1, hold_out_every at least 2")
