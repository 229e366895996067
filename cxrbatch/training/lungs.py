"""Segment the lungs with a small network: radiographs with outlined lungs in, a crop to the lungs out."""

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.bundle import LUNG_LAYER
from cxrbatch.datasets import LabelledImage, LungSpec, MaskedLungs, load_masked_lungs, part_by_patient
from cxrbatch.evaluation import compute_outputs
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training import augment
from cxrbatch.training.checkpoint import Checkpoint, TrainOptions, content_key
from cxrbatch.training.lung_crop import CELL_PX, lung_crop
from cxrbatch.training.lung_network import append_mirror_images, mean_of_both
from cxrbatch.training.network import conv
from cxrbatch.training.recipe import AugmentSpec, TrainRecipe

_REDUCE = 2  # the outline of a lung needs no finer resolution
_CHANGES = AugmentSpec(
    rotate_degrees=15.0,
    log_scale=0.25,
    shift=0.1,
    shading=0.15,
    log_gamma=0.45,
    log_gain=0.3,
    offset=0.12,
    least_resolution=0.15,
    noise=0.08,
    n_erased=1,
    erased_size=0.3,
    n_markers=3,
)
_IN_PLACE = dataclasses.replace(
    _CHANGES, flip=False, rotate_degrees=0.0, log_scale=0.0, log_aspect=0.0, shift=0.0
)
"""The changes of `_CHANGES` that do not move the mask."""


def build_segmenter(preprocess: PreprocessSpec, width: int) -> keras.Model:
    """Build an untrained U-Net (Ronneberger et al. 2015, arXiv:1505.04597).

    Returns
    -------
    keras.Model
        Values 0–255, shape (batch, height, width, 1) → logits of lung, (batch, height / 4, width / 4, 1).
    """
    radiograph = layers.Input((preprocess.height, preprocess.width, 1), name="radiograph")
    return keras.Model(radiograph, _lung_logits(radiograph, width, LUNG_LAYER), name="lungs")


def _lung_logits(images: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    x = layers.AveragePooling2D(_REDUCE)(layers.Rescaling(1 / 255)(images))
    x = _conv(x, width, size=5, strides=2)
    finer = []
    for factor in (1, 2, 4):
        x = _conv(x, factor * width)
        finer.append(x)
        x = layers.MaxPooling2D()(x)
    x = _conv(_conv(x, 6 * width), 6 * width)
    for factor, skipped in zip((4, 2, 1), reversed(finer), strict=True):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = _conv(layers.Concatenate()([x, skipped]), factor * width)
    return layers.Conv2D(1, 1, name=name)(x)


def _conv(x: keras.KerasTensor, width: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
    return layers.ReLU()(conv(x, width, size, strides))


def fit_segmenter(examples: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec) -> keras.Model:
    """Train the segmentation network; the result is frozen.

    The same seed, machine and versions give the same weights.
    """
    keras.utils.set_random_seed(spec.seed)
    tf.config.experimental.enable_op_determinism()
    network = build_segmenter(preprocess, spec.width)
    step = _make_step(network, spec)
    rng = np.random.default_rng(spec.seed)
    for number in tqdm(range(spec.steps), desc="lungs", disable=None, leave=False):
        drawn = rng.choice(len(examples.images), spec.batch_size)
        step(
            examples.images[drawn, ..., None],
            examples.masks[drawn, ..., None],
            tf.constant([spec.seed, number]),
        )
    network.trainable = False
    return network


def with_mirror_image(segmenter: keras.Model, width: int) -> keras.Model:
    """Average the logits for an image and for its mirror image, so that both have the same lungs.

    Returns
    -------
    keras.Model
        Frozen; input and output as those of `segmenter`, and the last layer has the same name.
    """
    radiograph = layers.Input(segmenter.input.shape[1:], name="radiograph")
    both = _lung_logits(append_mirror_images(radiograph), width, f"{LUNG_LAYER}_one_way")
    # Layers of its own, no model within a model: what a bundle exposes is found by the names of its layers.
    mean = layers.Identity(name=LUNG_LAYER)(mean_of_both(both))
    averaged = keras.Model(radiograph, mean, name="lungs_both_ways")
    averaged.set_weights(segmenter.get_weights())
    averaged.trainable = False
    return averaged


def _make_step(network: keras.Model, spec: LungSpec) -> Any:
    schedule = keras.optimizers.schedules.CosineDecay(spec.learning_rate, spec.steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=spec.weight_decay)
    optimizer.build(network.trainable_variables)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(images: tf.Tensor, masks: tf.Tensor, seed: tf.Tensor) -> None:
        seeds = tf.unstack(tf.random.split(seed, 2))
        images, masks = (tf.cast(each, tf.float32) / 255 for each in (images, masks))
        images, masks = (
            augment.geometry(images, seeds[0], _CHANGES),
            augment.geometry(masks, seeds[0], _CHANGES),
        )
        images = augment.augment(images, seeds[1], _IN_PLACE)
        with tf.GradientTape() as tape:
            loss = _overlap_loss(network(images * 255, training=True), _cells(masks))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)

    return step


def _cells(masks: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(masks, CELL_PX, CELL_PX, "VALID")


def _overlap_loss(logits: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Compute cross-entropy plus half of one minus the soft Dice (Milletari et al. 2016, arXiv:1606.04797)."""
    found = tf.sigmoid(logits)
    both, either = tf.reduce_sum(found * masks, (1, 2, 3)), tf.reduce_sum(found + masks, (1, 2, 3))
    dice = tf.reduce_mean((2 * both + 1) / (either + 1))
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(masks, logits)) + (1 - dice) / 2


def mean_dice(segmenter: keras.Model, examples: MaskedLungs) -> float:
    """Compute twice the overlap over the sum of areas (Dice 1945), mean over radiographs; a cell is lung or not."""
    found = find_lungs(segmenter, examples.images)
    true = _cells(tf.constant(examples.masks[..., None], tf.float32)).numpy()[..., 0] >= 127.5
    both, either = (found & true).sum((1, 2)), found.sum((1, 2)) + true.sum((1, 2))
    return float(np.mean(2 * both / np.maximum(either, 1)))


def find_lungs(segmenter: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find the lungs; (n, height, width) → True for a cell that is rather lung than not, (n, rows, columns)."""
    return np.asarray(compute_outputs(segmenter, images)[..., 0] >= 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LungCrop:
    """The crop to the box around the lungs, and the quality of the segmentation behind it.

    Attributes
    ----------
    network : keras.Model
        From `lung_crop`.
    segmenter : keras.Model
        The segmentation network: values 0–255, shape (n, height, width, 1) → logits of lung per cell.
    dice : float
        Mean Dice coefficient (`mean_dice`) on held-out patients.
    n_masks, n_held_out : int
        Number of outlined radiographs on which the segmentation network was trained, and was measured.
    """

    network: keras.Model
    segmenter: keras.Model
    dice: float
    n_masks: int
    n_held_out: int


def prepare_lung_crop(
    recipe: TrainRecipe, data: Path, cases: Sequence[LabelledImage], options: TrainOptions
) -> LungCrop | None:
    """Train the segmentation network, or take it from the work folder; None where a recipe needs none.

    Parameters
    ----------
    data : Path
        Folder with the outlines.
    cases : sequence of LabelledImage
        They give the patient of each outlined radiograph.

    Raises
    ------
    RecipeError
        There are no outlines.
    """
    if not recipe.network.reads_lungs:
        return None
    examples = load_masked_lungs(recipe.lungs, data, recipe.preprocess)
    patients = {case.path.name: case.patient for case in cases}
    training_set, held_out = part_by_patient(examples, patients, recipe.lungs.hold_out_every)
    segmenter = _segmenter(training_set, recipe.preprocess, recipe.lungs, options.named("lungs"))
    if recipe.lungs.mirrored:
        segmenter = with_mirror_image(segmenter, recipe.lungs.width)
    return LungCrop(
        network=lung_crop(segmenter, recipe.lungs.margin, recipe.network.size_px),
        segmenter=segmenter,
        dice=mean_dice(segmenter, held_out),
        n_masks=len(training_set.names),
        n_held_out=len(held_out.names),
    )


def _segmenter(
    training_set: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec, options: TrainOptions
) -> keras.Model:
    checkpoint = Checkpoint(options, _key(training_set, preprocess, spec) if options.work else "")
    if weights := checkpoint.finished():
        options.report_progress(f"taken from {options.work}")
        segmenter = build_segmenter(preprocess, spec.width)
        segmenter.set_weights(weights)
        segmenter.trainable = False
        return segmenter
    options.report_progress(
        f"trained for {spec.steps} steps on {len(training_set.names)} outlined radiographs"
    )
    segmenter = fit_segmenter(training_set, preprocess, spec)
    checkpoint.save_finished(segmenter.get_weights())
    return segmenter


def _key(training_set: MaskedLungs, preprocess: PreprocessSpec, spec: LungSpec) -> str:
    parts = {
        "images": hashlib.sha256(training_set.images.tobytes()).hexdigest(),
        "masks": hashlib.sha256(training_set.masks.tobytes()).hexdigest(),
        "preprocess": dataclasses.asdict(preprocess),
        "lungs": dataclasses.asdict(spec),
    }
    return content_key(parts, (augment, sys.modules[__name__]))
