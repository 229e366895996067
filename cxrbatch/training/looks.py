"""The looks of a recipe, made ready: the segmentation network behind ``lungs`` is trained or taken from disk."""

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras

from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.datasets.lung_masks import MaskedLungs, load_masked_lungs, part_by_patient
from cxrbatch.datasets.spec import LungSpec
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training import augment, lungs
from cxrbatch.training.checkpoint import Checkpoint, TrainOptions, content_key
from cxrbatch.training.ensemble import Crops
from cxrbatch.training.recipe import TrainRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRegions:
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


def prepare_input_regions(
    recipe: TrainRecipe, data: Path, cases: Sequence[LabelledImage], options: TrainOptions
) -> InputRegions:
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
        return InputRegions()
    examples = load_masked_lungs(recipe.lungs, data, recipe.preprocess)
    patients = {case.path.name: case.patient for case in cases}
    training_set, held_out = part_by_patient(examples, patients, recipe.lungs.hold_out_every)
    segmenter = _segmenter(training_set, recipe.preprocess, recipe.lungs, options.named("lungs"))
    return InputRegions(
        crops={"lungs": lungs.lung_crop(segmenter, recipe.lungs.margin)},
        dice=lungs.mean_dice(segmenter, held_out),
        n_masks=len(training_set.names),
        n_held_out=len(held_out.names),
    )


def _segmenter(
    training_set: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec, options: TrainOptions
) -> keras.Model:
    checkpoint = Checkpoint(options, _key(training_set, preprocess, spec) if options.work else "")
    if weights := checkpoint.finished():
        options.report_progress(f"taken from {options.work}")
        segmenter = lungs.build_segmenter(preprocess, spec.width)
        segmenter.set_weights(weights)
        segmenter.trainable = False
        return segmenter
    options.report_progress(
        f"trained for {spec.steps} steps on {len(training_set.names)} outlined radiographs"
    )
    segmenter = lungs.fit_segmenter(training_set, preprocess, spec)
    checkpoint.save_finished(segmenter.get_weights())
    return segmenter


def _key(training_set: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec) -> str:
    parts = {
        "images": hashlib.sha256(training_set.images.tobytes()).hexdigest(),
        "masks": hashlib.sha256(training_set.masks.tobytes()).hexdigest(),
        "preprocess": dataclasses.asdict(preprocess),
        "lungs": dataclasses.asdict(spec),
    }
    return content_key(parts, (lungs, augment, sys.modules[__name__]))
