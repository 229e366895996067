"""Fit one network: images and labels in, trained network out.

The number of batches is fixed, and the result is the running average of the weights.
"""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch.datasets import LabelledImage
from cxrbatch.errors import RecipeError
from cxrbatch.training import augment, cross_entropy, matched_pairs, network
from cxrbatch.training.checkpoint import Arrays, Checkpoint, TrainOptions, dataset_digest, network_key
from cxrbatch.training.recipe import FitSpec, TrainRecipe
from cxrbatch.training.tensorboard import EventLog

Drawn = tuple[NDArray[np.int64], NDArray[Any]]
"""Indices of the images of a batch, and the target that the loss gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A training method: how batches are drawn, and the loss.

    Attributes
    ----------
    batches : callable
        Cases, spec, seed → batches without end.
    loss : callable
        Logits (n, 2) and the target of the batch → scalar.
    n_steps : callable
        Spec and number of images → number of batches of a whole training.
    """

    batches: Callable[[Sequence[LabelledImage], FitSpec, int], Iterator[Drawn]]
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    n_steps: Callable[[FitSpec, int], int]


def _matched_pairs(cases: Sequence[LabelledImage], spec: FitSpec, seed: int) -> Iterator[Drawn]:
    for batch in matched_pairs.batches(cases, (spec.abnormal_pairs, spec.covid_pairs), seed):
        yield batch.indices, batch.is_pair


def matched_loss(logits: tf.Tensor, is_pair: tf.Tensor) -> tf.Tensor:
    """Compute the conditional logistic loss: mean over the pairs of each question, summed over the questions.

    Parameters
    ----------
    logits : tensor of float32, shape (n, 2)
    is_pair : tensor of bool, shape (2, n, n)
        See `cxrbatch.training.matched_pairs.Batch`.

    Returns
    -------
    tensor of float32, scalar
    """
    columns = tf.transpose(logits)
    losses = tf.nn.softplus(columns[:, None, :] - columns[:, :, None])
    weights = tf.cast(is_pair, tf.float32)
    n_pairs = tf.reduce_sum(weights, axis=(1, 2))
    return tf.reduce_sum(tf.math.divide_no_nan(tf.reduce_sum(weights * losses, axis=(1, 2)), n_pairs))


METHODS: Mapping[str, Method] = {
    "pairs": Method(batches=_matched_pairs, loss=matched_loss, n_steps=lambda spec, _: spec.steps),
    "classes": Method(
        batches=lambda cases, spec, seed: cross_entropy.epochs(cases, spec.batch_size, seed),
        loss=cross_entropy.cross_entropy,
        n_steps=lambda spec, n_images: spec.epochs * -(-n_images // spec.batch_size),
    ),
}
"""Training methods by ``fit.method``, see `cxrbatch.training.recipe.METHODS`."""


def fit(
    images: NDArray[np.uint8],
    cases: Sequence[LabelledImage],
    recipe: TrainRecipe,
    seed: int,
    options: TrainOptions | None = None,
) -> keras.Model:
    """Train a network from scratch, or continue where an earlier run stopped.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed, in the order of `cases`.
    seed : int
        The same seed, machine and versions give the same weights, also after a kill and a resume.
    options : TrainOptions, optional

    Returns
    -------
    keras.Model
        Values 0–255 → logits, see `cxrbatch.training.network`.
    """
    options = (options or TrainOptions()).named(f"seed {seed}")
    checkpoint = Checkpoint(options, _key(images, cases, recipe, seed) if options.work else "")
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    learner = Learner(recipe)
    if weights := checkpoint.finished():
        options.report_progress(f"taken from {options.work}")
        learner.network.set_weights(weights)
        return learner.network
    _take_all_steps(learner, images, cases, seed, checkpoint)
    checkpoint.save_finished(learner.network.get_weights())
    return learner.network


def check_training_set(cases: Sequence[LabelledImage], recipe: TrainRecipe) -> None:
    """Check whether a network can be trained on the cases.

    Raises
    ------
    RecipeError
        There is nothing to learn from, or the labels do not suit the architecture.
    """
    labels = {case.label for case in cases}
    if recipe.network.architecture == "classic" and "pneumonia" in labels:
        raise RecipeError("a classic network knows covid and normal only: leave pneumonia out of teaches")
    if len(labels) < 2:
        raise RecipeError(
            f"nothing to learn: images with {' and '.join(labels) or 'no label'} only may teach"
        )
    if recipe.fit.method == "pairs" and not next(matched_pairs.batches(cases, (1, 1), 0)).indices.size:
        raise RecipeError("nothing to learn from matched pairs: no domain has both normal and ill patients")


def _key(images: NDArray[np.uint8], cases: Sequence[LabelledImage], recipe: TrainRecipe, seed: int) -> str:
    program = (augment, cross_entropy, network, matched_pairs, sys.modules[__name__])
    return network_key(dataset_digest(images, cases), recipe, seed, program)


def _take_all_steps(
    learner: "Learner",
    images: NDArray[np.uint8],
    cases: Sequence[LabelledImage],
    seed: int,
    checkpoint: Checkpoint,
) -> None:
    method, spec, options = learner.method, learner.recipe.fit, checkpoint.options
    n_steps = method.n_steps(spec, len(cases))
    done = learner.restore(checkpoint.unfinished())
    options.report_progress(f"trained from step {done} of {n_steps}")
    drawn = itertools.islice(method.batches(cases, spec, seed), done, n_steps)
    progress = tqdm(drawn, initial=done, total=n_steps, desc="fit", disable=None, leave=False)
    with EventLog(options.run_dir) as log:
        for number, (indices, target) in enumerate(progress, start=done):
            loss = learner.step(images[indices, :, :, None], target, tf.constant([seed, number]))
            log.scalar("loss", loss, number)
            if (number + 1) % options.checkpoint_steps == 0:
                checkpoint.save_unfinished(learner.state())
    learner.finish()


class Learner:
    """A network in training: its weights, their running average, the optimizer."""

    def __init__(self, recipe: TrainRecipe) -> None:
        self.recipe = recipe
        self.method = METHODS[recipe.fit.method]
        self.network = network.build(recipe.preprocess, recipe.network)
        self._average = [tf.Variable(weight.value, trainable=False) for weight in self.network.weights]
        self._optimizer = keras.optimizers.AdamW(
            recipe.fit.learning_rate, weight_decay=recipe.fit.weight_decay
        )
        self._optimizer.build(self.network.trainable_variables)
        self.step = self._compile()

    def state(self) -> Arrays:
        """Return everything that the next step depends on."""
        return [variable.numpy() for variable in self._variables()]

    def restore(self, state: Arrays | None) -> int:
        """Restore a state that `state` returned.

        Returns
        -------
        int
            Number of steps taken before that state; 0 without a state.
        """
        for variable, value in zip(self._variables(), state or [], strict=state is not None):
            variable.assign(value)
        return int(self._optimizer.iterations.numpy())

    def finish(self) -> None:
        """Set the weights of the network to their running average."""
        for weight, mean in zip(self.network.weights, self._average, strict=True):
            weight.assign(mean)

    def _variables(self) -> list[tf.Variable]:
        """List the variables of network (with the states of its random layers) and optimizer, and the averages."""
        held = [*self.network.variables, *self._optimizer.variables]
        return [*(variable.value for variable in held), *self._average]

    def _compile(self) -> Callable[[Any, Any, Any], tf.Tensor]:
        network, optimizer, recipe, ask = self.network, self._optimizer, self.recipe, self.method.loss
        values = [weight.value for weight in network.weights]

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def step(images: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            changed = augment.augment(tf.cast(images, tf.float32) / 255, seed, recipe.augment)
            with tf.GradientTape() as tape:
                loss = ask(network(changed * 255, training=True), target)
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply(gradients, network.trainable_variables)
            # In the first steps, average over these only, so that the random first weights have no share.
            keep = tf.minimum(recipe.fit.average, 1 - 1 / (tf.cast(optimizer.iterations, tf.float32) + 1))
            for mean, value in zip(self._average, values, strict=True):
                mean.assign(keep * mean + (1 - keep) * value)
            return loss

        return step
