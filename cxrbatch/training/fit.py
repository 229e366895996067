"""Fit one network: images and labels in, trained network out.

The number of batches is fixed, and the result is the running average of the weights.
"""

import hashlib
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
from cxrbatch.training import (
    augment,
    cross_entropy,
    efficientnet,
    lung_network,
    matched_pairs,
    network,
    start,
)
from cxrbatch.training.checkpoint import Arrays, Checkpoint, TrainOptions, dataset_digest, network_key
from cxrbatch.training.efficientnet import set_backbone
from cxrbatch.training.recipe import FitSpec, TrainRecipe
from cxrbatch.training.start import start_heads
from cxrbatch.training.state_dict import StateDict
from cxrbatch.training.tensorboard import EventLog

_PROGRAM = (augment, cross_entropy, efficientnet, lung_network, matched_pairs, network, start)
"""Modules that decide the weights of a network, with this one."""

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
    counts = matched_pairs.PairCounts(
        abnormal=spec.abnormal_pairs, covid=spec.covid_pairs, person=spec.person_pairs
    )
    for batch in matched_pairs.batches(cases, counts, seed):
        yield batch.indices, batch.weights


def matched_loss(logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Compute the conditional logistic loss: weighted mean over the pairs, summed over the questions.

    Parameters
    ----------
    logits : tensor of float32, shape (n, 2)
    weights : tensor of float32, shape (2, n, n)
        See `cxrbatch.training.matched_pairs.Batch`.

    Returns
    -------
    tensor of float32, scalar
    """
    columns = tf.transpose(logits)
    return tf.reduce_sum(weights * tf.nn.softplus(columns[:, None, :] - columns[:, :, None]))


def _learning_rate(spec: FitSpec) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if spec.schedule == "constant":
        return spec.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        spec.learning_rate / 100,
        max(spec.steps - spec.warmup_steps, 1),
        warmup_target=spec.learning_rate,
        warmup_steps=spec.warmup_steps,
    )


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
    backbone: StateDict | None = None,
) -> keras.Model:
    """Train a network, or continue where an earlier run stopped.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width, channels)
        What the network gets, in the order of `cases`.
    seed : int
        The same seed, machine and versions give the same weights, also after a kill and a resume.
    options : TrainOptions, optional
    backbone : mapping of str to ndarray, optional
        Pretrained weights, for a network that has a backbone.

    Returns
    -------
    keras.Model
        Values 0–255 → logits, see `cxrbatch.training.network`.
    """
    options = (options or TrainOptions()).named(f"seed {seed}")
    key = _key(images, cases, recipe, seed, backbone or {}) if options.work else ""
    checkpoint = Checkpoint(options, key)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    learner = Learner(recipe)
    if weights := checkpoint.finished():
        options.report_progress(f"taken from {options.work}")
        learner.network.set_weights(weights)
        return learner.network
    if backbone:
        learner.start(backbone, images, cases)
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
    if recipe.fit.method == "pairs" and not next(_matched_pairs(cases, recipe.fit, 0))[0].size:
        raise RecipeError("nothing to learn from matched pairs: no domain has both normal and ill patients")


def _key(
    images: NDArray[np.uint8],
    cases: Sequence[LabelledImage],
    recipe: TrainRecipe,
    seed: int,
    backbone: StateDict,
) -> str:
    digest = hashlib.sha256(dataset_digest(images, cases).encode())
    for name in sorted(backbone):
        digest.update(name.encode() + np.ascontiguousarray(backbone[name]).tobytes())
    return network_key(digest.hexdigest(), recipe, seed, (*_PROGRAM, sys.modules[__name__]))


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
            loss = learner.step(images[indices], target, tf.constant([seed, number]))
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
            _learning_rate(recipe.fit), weight_decay=recipe.fit.weight_decay
        )
        self._optimizer.build(self.network.trainable_variables)
        self.step = self._compile()

    def start(self, backbone: StateDict, images: NDArray[np.uint8], cases: Sequence[LabelledImage]) -> None:
        """Give the network the weights of a pretrained backbone, and heads fitted on its features."""
        set_backbone(self.network, backbone)
        start_heads(self.network, images, cases, self.recipe.network)
        for mean, weight in zip(self._average, self.network.weights, strict=True):
            mean.assign(weight.value)

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
                mean.assign_add((1 - keep) * (value - mean))
            return loss

        return step
