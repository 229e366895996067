"""Networks of Keras 2 itself, with random weights: a folder out, as ``.h5`` and ``.keras``, and the scores.

    PYTHONPATH=FOLDER_WITH_TF_KERAS python tests/factories/networks_of_keras_2.py images.npy FOLDER [NAME ...]

Runs in a process of its own, which must not have imported Keras 3, and imports nothing of this package.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

SPREAD = 1.0
"""Standard deviation of the logits over the images."""
layers, applications = keras.layers, keras.applications
Images = NDArray[np.float32]


def classes(x: Any, n: int) -> Any:
    return layers.Dense(n, activation="softmax")(layers.GlobalAveragePooling2D()(x))


def application(build: Callable[..., Any], n: int) -> Callable[[Images], Any]:
    return lambda pixels: build(weights=None, input_shape=pixels.shape[1:], classes=n)


def four_classes(pixels: Images) -> Any:
    """As students of the COVID-19 Radiography Database build it."""
    return keras.Sequential(
        [
            layers.Input(pixels.shape[1:]),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, activation="softmax"),
        ]
    )


def augmented(pixels: Images) -> Any:
    return keras.Sequential(
        [
            layers.InputLayer(pixels.shape[1:]),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.RandomContrast(0.1),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomBrightness(0.1),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 3, activation="relu"),
            layers.SpatialDropout2D(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def normalised(pixels: Images) -> Any:
    """Augmentation as a model within the model, layer normalisation, and names with slashes."""
    flip = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)], name="augmentation")
    image = layers.Input(pixels.shape[1:])
    x = layers.Rescaling(1 / 255)(flip(image))
    x = layers.Conv2D(8, 3, strides=2, name="block/conv")(x)
    x = layers.LeakyReLU()(layers.LayerNormalization(name="block/norm")(x))
    return keras.Model(image, classes(x, 3))


def tutorial(pixels: Images) -> Any:
    """The transfer learning of TensorFlow's tutorial: arithmetic between layers, a frozen base, logits."""
    flip = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
    base = applications.MobileNetV2(input_shape=pixels.shape[1:], include_top=False, weights=None, alpha=0.35)
    settle(base, applications.mobilenet_v2.preprocess_input(pixels.copy()))
    base.trainable = False
    image = layers.Input(pixels.shape[1:])
    x = base(applications.mobilenet_v2.preprocess_input(flip(image)), training=False)
    return keras.Model(image, layers.Dense(1)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))))


def on_a_base(pixels: Images) -> Any:
    """A network of keras.applications as the first layer of a row, half of it frozen."""
    base = applications.DenseNet121(input_shape=pixels.shape[1:], include_top=False, weights=None)
    for layer in base.layers[:200]:
        layer.trainable = False
    return keras.Sequential([base, layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")])


NETWORKS: dict[str, Callable[[Images], Any]] = {
    "densenet121": application(applications.DenseNet121, 4),
    "mobilenetv2": application(applications.MobileNetV2, 3),
    "efficientnetb0": application(applications.EfficientNetB0, 3),
    "xception": application(applications.Xception, 3),
    "four_classes": four_classes,
    "augmented": augmented,
    "normalised": normalised,
    "tutorial": tutorial,
    "on_a_base": on_a_base,
}


def main(images: Path, folder: Path, names: list[str]) -> None:
    """Save each network in both forms, and what it scores the images."""
    pixels = np.repeat(np.load(images)[..., np.newaxis], 3, axis=-1).astype(np.float32)
    for name in names or NETWORKS:
        keras.backend.clear_session()
        keras.utils.set_random_seed(3)
        model = NETWORKS[name](pixels)
        settle(model, pixels)
        spread(model, pixels)
        for suffix in (".h5", ".keras"):
            model.save(folder / f"{name}{suffix}")
        np.save(folder / f"{name}.npy", model.predict(pixels, verbose=0))


def settle(model: Any, pixels: Images) -> None:
    """Give batch normalisation the statistics of these images."""
    norms = [one for one in flat(model) if isinstance(one, layers.BatchNormalization)]
    before = [(one, one.momentum, one.trainable) for one in norms]
    for one in norms:
        one.momentum, one.trainable = 0.0, True
    model(pixels, training=True)
    for one, momentum, trainable in before:
        one.momentum, one.trainable = momentum, trainable


def spread(model: Any, pixels: Images) -> None:
    """Make the scores of a random network differ from image to image, by its last layer."""
    last = [one for one in flat(model) if isinstance(one, layers.Dense)][-1]
    kernel, bias = last.get_weights()
    logits = logits_of(model.predict(pixels, verbose=0), last.activation.__name__)
    scale = SPREAD / logits.std(axis=0).mean()
    last.set_weights([kernel * scale, bias - scale * logits.mean(axis=0)])


def logits_of(scores: NDArray[np.float32], activation: str) -> NDArray[np.float64]:
    """Take the activation off, for softmax without the mean of the classes."""
    exact = np.clip(scores.astype(np.float64), 1e-30, 1) if activation != "linear" else scores.astype(float)
    if activation == "softmax":
        return np.log(exact) - np.log(exact).mean(axis=1, keepdims=True)
    return exact if activation == "linear" else np.log(exact / (1 - exact))


def flat(model: Any) -> Iterator[Any]:
    """Yield the layers, also those of models within the model."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from flat(layer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
