"""Untrained networks by the name that a recipe gives them."""

from collections.abc import Callable, Mapping

import keras

from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.classic import build_classic
from cxrbatch.training.network import build_logits
from cxrbatch.training.recipe import NetworkSpec

Builder = Callable[[PreprocessSpec, NetworkSpec], keras.Model]
"""→ values 0–255, shape (batch, height, width, 1) → logits (batch, 2), see `cxrbatch.training.network.QUESTIONS`."""

BUILDERS: Mapping[str, Builder] = {"residual": build_logits, "classic": build_classic}
"""By ``network.architecture``, see `cxrbatch.training.recipe.ARCHITECTURES`."""


def build(preprocess: PreprocessSpec, spec: NetworkSpec) -> keras.Model:
    """The untrained network of a recipe, from Keras' global seed."""
    return BUILDERS[spec.architecture](preprocess, spec)
