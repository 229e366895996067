"""The network of the tutorials of 2020, in their nine steps; kept to show what `cxrbatch evaluate` says of it.

Steps 1 to 6 are `build_classic`. Step 7, compile with Adam and cross-entropy, and step 8, train for ten epochs on all
images in one pool, are ``fit.method = "classes"`` (`cxrbatch.training.fit`). Step 9, save, is the bundle.
``pipelines/classic.toml`` names their numbers.
"""

import keras
import numpy as np
from keras import layers

from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.training.network import CERTAIN, QUESTIONS
from cxrbatch.training.recipe import NetworkSpec


def build_classic(preprocess: PreprocessSpec, _spec: NetworkSpec) -> keras.Model:
    """Untrained network: values 0–255, shape (batch, height, width, 1) → logits (batch, 2).

    Its two classes are COVID-19 and normal: the second logit says that whatever is abnormal is COVID-19.
    """
    radiograph = layers.Input((preprocess.height, preprocess.width, 1), name="radiograph")  # 1. initialise
    x = layers.Rescaling(1 / 255)(radiograph)
    x = layers.Conv2D(32, 3, activation="relu")(x)  # 2. convolution
    x = layers.MaxPooling2D(2)(x)  # 3. pooling
    x = layers.Conv2D(32, 3, activation="relu")(x)  # 4. both again
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)  # 5. flatten
    x = layers.Dense(128, activation="relu")(x)  # 6. dense; the last one's sigmoid is in loss and export
    x = layers.Dense(1, name="covid_against_normal")(x)
    return keras.Model(radiograph, _with_second_logit(x), name="classic")


def _with_second_logit(logit: keras.KerasTensor) -> keras.KerasTensor:
    """From the logit of COVID-19 against normal to one for each of `QUESTIONS`."""
    copy = layers.Dense(len(QUESTIONS), trainable=False)
    both = copy(logit)
    copy.set_weights([np.array([[1.0, 0.0]], np.float32), np.array([0.0, CERTAIN], np.float32)])
    return both
