"""Segment the lungs with a small network, and crop images so that the lungs have one place and size.

Input: radiographs with outlined lungs. Output: a network that crops a radiograph.

Children and adults, deep and shallow breaths, wide and narrow collimation: after the crop the same pixel lies in the
same part of the lung. The crop is part of the exported network, from standard operations of Keras.
"""

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.datasets import LabelledImage, LungSpec, MaskedLungs, load_masked_lungs, part_by_patient
from cxrbatch.evaluation import compute_outputs
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training import augment
from cxrbatch.training.checkpoint import Checkpoint, TrainOptions, content_key
from cxrbatch.training.ensemble import Crops
from cxrbatch.training.network import conv
from cxrbatch.training.recipe import AugmentSpec, TrainRecipe

_REDUCE = 2  # the outline of a lung needs no finer resolution
_CELL_PX = 2 * _REDUCE
"""Side of a cell of the mask, in pixels of the radiograph."""
_SHARPNESS = 4.0
_FLOOR = 2e-4  # share of lung added to every cell: where no lung is found, the crop is almost the whole image
_EDGE_SHARE = 0.01
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
    x = layers.AveragePooling2D(_REDUCE)(layers.Rescaling(1 / 255)(radiograph))
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
    return keras.Model(radiograph, layers.Conv2D(1, 1, name="is_lung")(x), name="lungs")


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
    return tf.nn.avg_pool2d(masks, _CELL_PX, _CELL_PX, "VALID")


def _overlap_loss(logits: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Compute cross-entropy plus half of one minus the soft Dice (Milletari et al. 2016, arXiv:1606.04797)."""
    found = tf.sigmoid(logits)
    both, either = tf.reduce_sum(found * masks, (1, 2, 3)), tf.reduce_sum(found + masks, (1, 2, 3))
    dice = tf.reduce_mean((2 * both + 1) / (either + 1))
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(masks, logits)) + (1 - dice) / 2


def mean_dice(segmenter: keras.Model, examples: MaskedLungs) -> float:
    """Compute twice the overlap over the sum of areas (Dice 1945), mean over radiographs; a cell is lung or not."""
    found = _is_lung(segmenter, examples.images)
    true = _cells(tf.constant(examples.masks[..., None], tf.float32)).numpy()[..., 0] >= 127.5
    both, either = (found & true).sum((1, 2)), found.sum((1, 2)) + true.sum((1, 2))
    return float(np.mean(2 * both / np.maximum(either, 1)))


def _is_lung(segmenter: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(compute_outputs(segmenter, images)[..., 0] >= 0)


def lung_crop(segmenter: keras.Model, margin: float) -> keras.Model:
    """Build a network that crops an image to the box around both lungs, enlarged to the whole frame.

    Parameters
    ----------
    segmenter : keras.Model
        From `fit_segmenter`.
    margin : float
        Added on each side, as a share of the box.

    Returns
    -------
    keras.Model
        Values 0–255 → values 0–255, both of shape (batch, height, width, 1).
    """
    radiograph = segmenter.input
    # Half precision, where the network runs in it, would move the box by more than a cell.
    mask = ops.sigmoid(_SHARPNESS * ops.cast(segmenter.output, "float32")) + _FLOOR
    _, height, width, _ = radiograph.shape
    upper, rows = _extent(ops.sum(mask, axis=(2, 3)), margin, height)
    left, columns = _extent(ops.sum(mask, axis=(1, 3)), margin, width)
    none = ops.zeros_like(rows)
    # Output pixel (x, y) is read at (columns·x + left, rows·y + upper).
    transform = ops.stack([columns, none, left, none, rows, upper, none, none], axis=1)
    crop = ops.image.affine_transform(
        radiograph, transform, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )
    return keras.Model(radiograph, crop, name="lung_crop")


def _extent(area: keras.KerasTensor, margin: float, size: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Compute start and scale of the stretch that contains the lungs along one axis, for pixel centres.

    Parameters
    ----------
    area : tensor, shape (batch, cells)
        Lung per cell.
    size : int
        Pixels.
    """
    share = area / ops.sum(area, axis=1, keepdims=True)
    before = ops.cumsum(share, axis=1) - share
    low, high = (
        _CELL_PX * ops.sum(ops.clip((edge - before) / share, 0.0, 1.0), axis=1)
        for edge in (_EDGE_SHARE, 1 - _EDGE_SHARE)
    )
    start, length = low - margin * (high - low), (1 + 2 * margin) * (high - low)
    scale = length / size
    return start + scale / 2 - 0.5, scale


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRegions:
    """Crops of the input regions, and the quality of the segmentation.

    Attributes
    ----------
    crops : mapping of str to keras.Model
    dice : float or None
        Mean Dice coefficient (`mean_dice`) on held-out patients; None without a segmentation network.
    n_masks, n_held_out : int
        Number of outlined radiographs on which the segmentation network was trained, and was measured.
    """

    crops: Crops = field(default_factory=dict)
    dice: float | None = None
    n_masks: int = 0
    n_held_out: int = 0


def prepare_input_regions(
    recipe: TrainRecipe, data: Path, cases: Sequence[LabelledImage], options: TrainOptions
) -> InputRegions:
    """Train, or take from the work folder, the networks that the input regions of a recipe need.

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
    if "lungs" not in recipe.network.looks:
        return InputRegions()
    examples = load_masked_lungs(recipe.lungs, data, recipe.preprocess)
    patients = {case.path.name: case.patient for case in cases}
    training_set, held_out = part_by_patient(examples, patients, recipe.lungs.hold_out_every)
    segmenter = _segmenter(training_set, recipe.preprocess, recipe.lungs, options.named("lungs"))
    return InputRegions(
        crops={"lungs": lung_crop(segmenter, recipe.lungs.margin)},
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
