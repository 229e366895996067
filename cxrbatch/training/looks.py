"""The looks of a recipe, made ready: the segmentation network behind ``lungs`` is trained or taken from disk."""

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras

from cxrbatch.datasets.collections import Case
from cxrbatch.datasets.lung_masks import MaskedLungs, load_masked_lungs, part_by_patient
from cxrbatch.datasets.spec import LungSpec
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training import augment, lungs
from cxrbatch.training.checkpoint import Checkpoint, TrainOptions, content_key
from cxrbatch.training.ensemble import Crops
from cxrbatch.training.recipe import TrainRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What makes the looks, and how well.

    Attributes
    ----------
    crops : mapping of str to keras.Model
    dice : float or None
        Mean overlap with the outlines of patients who were held out; None without a segmentation network.
    n_masks, n_held_out : int
        Radiographs with outlines that taught the segmentation network, and that measured it.
    """

    crops: Crops = field(default_factory=dict)
    dice: float | None = None
    n_masks: int = 0
    n_held_out: int = 0


def prepare_looks(recipe: TrainRecipe, data: Path, cases: Sequence[Case], options: TrainOptions) -> Looks:
    """Train, or take from the work folder, what the looks of a recipe need.

    Parameters
    ----------
    data : Path
        Folder that holds the outlines.
    cases : sequence of Case
        Say whose the outlined radiographs are.

    Raises
    ------
    RecipeError
        There are no outlines.
    """
    if "lungs" not in recipe.network.looks:
        return Looks()
    examples = load_masked_lungs(recipe.lungs, data, recipe.preprocess)
    patients = {case.path.name: case.patient for case in cases}
    teaching, held_out = part_by_patient(examples, patients, recipe.lungs.hold_out_every)
    segmenter = _segmenter(teaching, recipe.preprocess, recipe.lungs, options.named("lungs"))
    return Looks(
        crops={"lungs": lungs.lung_crop(segmenter, recipe.lungs.margin)},
        dice=lungs.mean_dice(segmenter, held_out),
        n_masks=len(teaching.names),
        n_held_out=len(held_out.names),
    )


def _segmenter(
    teaching: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec, options: TrainOptions
) -> keras.Model:
    checkpoint = Checkpoint(options, _key(teaching, preprocess, spec) if options.work else "")
    if weights := checkpoint.finished():
        options.tell(f"taken from {options.work}")
        segmenter = lungs.build_segmenter(preprocess, spec.width)
        segmenter.set_weights(weights)
        segmenter.trainable = False
        return segmenter
    options.tell(f"trained for {spec.steps} steps on {len(teaching.names)} outlined radiographs")
    segmenter = lungs.fit_segmenter(teaching, preprocess, spec)
    checkpoint.save_finished(segmenter.get_weights())
    return segmenter


def _key(teaching: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec) -> str:
    parts = {
        "images": hashlib.sha256(teaching.images.tobytes()).hexdigest(),
        "masks": hashlib.sha256(teaching.masks.tobytes()).hexdigest(),
        "preprocess": dataclasses.asdict(preprocess),
        "lungs": dataclasses.asdict(spec),
    }
    return content_key(parts, (lungs, augment, sys.modules[__name__]))
