"""Export trained networks as the one network of the bundle: radiograph in, scores out, standard operations only."""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from cxrbatch.training.calibration import Calibration
from cxrbatch.training.ensemble import Ensemble
from cxrbatch.training.network import CERTAIN


def export_scores(ensemble: Ensemble, calibration: Calibration) -> keras.Model:
    """Average the logits of an ensemble and turn them into scores, with standard layers only.

    With p and q the logistic functions of the calibrated logits: covid = p·q, pneumonia = p·(1 − q), normal = 1 − p.

    Returns
    -------
    keras.Model
        Values 0–255 → scores (batch, 3), 0–1, in the order of `cxrbatch.records.FINDINGS`.
    """
    radiograph = _radiograph(ensemble)
    mean = {
        region: _mean_logits(ensemble, region, radiograph) for region in dict.fromkeys(ensemble.input_regions)
    }
    abnormal, covid = (mean[region] for region in ensemble.input_regions)
    a, b = calibration.abnormal, calibration.covid_given_abnormal
    is_abnormal = layers.Dense(3, "sigmoid", name="abnormal_abnormal_normal", trainable=False)
    is_covid = layers.Dense(3, "sigmoid", name="covid_other_any", trainable=False)
    scores = layers.Multiply(name="scores")([is_abnormal(abnormal), is_covid(covid)])
    is_abnormal.set_weights(
        _arrays([[a.slope, a.slope, -a.slope], [0, 0, 0]], [a.intercept, a.intercept, -a.intercept])
    )
    is_covid.set_weights(_arrays([[0, 0, 0], [b.slope, -b.slope, 0]], [b.intercept, -b.intercept, CERTAIN]))
    return keras.Model(radiograph, scores, name="cxrbatch")


def _radiograph(ensemble: Ensemble) -> keras.KerasTensor:
    """Return the input of the crop, if there is one: its operations, unlike layers, cannot be called again."""
    for crop in ensemble.crops.values():
        return crop.input
    network = ensemble.members[0][ensemble.input_regions[0]]
    return layers.Input(network.input.shape[1:], name="radiograph")


def _mean_logits(ensemble: Ensemble, region: str, radiograph: keras.KerasTensor) -> keras.KerasTensor:
    seen = ensemble.crops[region].output if region in ensemble.crops else radiograph
    logits = [_on(seen, member[region]) for member in ensemble.members]
    return layers.Average()(logits) if len(logits) > 1 else logits[0]


def _on(radiograph: keras.KerasTensor, network: keras.Model) -> keras.KerasTensor:
    """Call the layers of a network on another input and return the output."""
    called = {id(network.input): radiograph}
    for layer in network.layers[1:]:
        given = layer.input
        called[id(layer.output)] = layer(
            [called[id(tensor)] for tensor in given] if isinstance(given, list) else called[id(given)]
        )
    return called[id(network.output)]


def _arrays(kernel: list[list[float]], bias: list[float]) -> list[NDArray[np.float32]]:
    return [np.array(kernel, np.float32), np.array(bias, np.float32)]
