"""Fit one network: a fixed number of batches of matched pairs, and the running average of its weights."""

import itertools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.learn.augment import augment
from cxrbatch.learn.network import build_logits
from cxrbatch.learn.pairs import batches
from cxrbatch.learn.sources import Case
from cxrbatch.recipe import TrainRecipe

_SCORING_BATCH = 256


def fit(images: NDArray[np.uint8], cases: Sequence[Case], recipe: TrainRecipe, seed: int) -> keras.Model:
    """Train a network from nothing.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed, in the order of `cases`.
    seed : int
        Same seed, machine and versions: the same weights.

    Returns
    -------
    keras.Model
        Values 0–255 → logits, see `cxrbatch.learn.network`.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = build_logits(recipe.preprocess, recipe.network)
    average = [tf.Variable(weight.value, trainable=False) for weight in network.weights]
    step = _make_step(network, average, recipe)
    pairs = (recipe.fit.abnormal_pairs, recipe.fit.covid_pairs)
    drawn = itertools.islice(batches(cases, pairs, seed), recipe.fit.steps)
    for number, batch in enumerate(
        tqdm(drawn, total=recipe.fit.steps, desc="fit", disable=None, leave=False)
    ):
        step(images[batch.indices, :, :, None], batch.is_pair, tf.constant([seed, number]))
    for weight, mean in zip(network.weights, average, strict=True):
        weight.assign(mean)
    return network


def _make_step(
    network: keras.Model, average: list[tf.Variable], recipe: TrainRecipe
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], None]:
    spec = recipe.fit
    optimizer = keras.optimizers.AdamW(spec.learning_rate, weight_decay=spec.weight_decay)
    optimizer.build(network.trainable_variables)
    values = [weight.value for weight in network.weights]

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(images: tf.Tensor, is_pair: tf.Tensor, seed: tf.Tensor) -> None:
        changed = augment(tf.cast(images, tf.float32) / 255, seed, recipe.augment)
        with tf.GradientTape() as tape:
            loss = matched_loss(network(changed * 255, training=True), is_pair)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        # A start at the average of few steps instead of at the random weights.
        keep = tf.minimum(spec.average, 1 - 1 / (tf.cast(optimizer.iterations, tf.float32) + 1))
        for mean, value in zip(average, values, strict=True):
            mean.assign(keep * mean + (1 - keep) * value)

    return step


def matched_loss(logits: tf.Tensor, is_pair: tf.Tensor) -> tf.Tensor:
    """Sum over the questions of the conditional logistic loss of their pairs.

    Parameters
    ----------
    logits : tensor of float32, shape (n, 2)
    is_pair : tensor of bool, shape (2, n, n)
        See `cxrbatch.learn.pairs.Batch`.
    """
    columns = tf.transpose(logits)
    losses = tf.nn.softplus(columns[:, None, :] - columns[:, :, None])
    weights = tf.cast(is_pair, tf.float32)
    n_pairs = tf.reduce_sum(weights, axis=(1, 2))
    return tf.reduce_sum(tf.math.divide_no_nan(tf.reduce_sum(weights * losses, axis=(1, 2)), n_pairs))


def score(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Outputs of a network for preprocessed images (n, height, width), shape (n, outputs)."""
    parts = np.array_split(images[..., None], -(-len(images) // _SCORING_BATCH))
    return np.concatenate([model(part, training=False).numpy() for part in parts])
