"""Score batches of images with the network of a bundle."""

from cxrbatch.infer.choice import RuntimeChoice, choose_runtime
from cxrbatch.infer.litert import LitePredictor
from cxrbatch.infer.network import Network, start_network
from cxrbatch.infer.predictor import KerasPredictor
from cxrbatch.infer.runtime import Device, Precision, start_runtime

__all__ = [
    "Device",
    "KerasPredictor",
    "LitePredictor",
    "Network",
    "Precision",
    "RuntimeChoice",
    "choose_runtime",
    "start_network",
    "start_runtime",
]
