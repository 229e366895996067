"""Score batches of images with the network of a bundle."""

from cxrbatch.infer.predictor import KerasPredictor, score_images
from cxrbatch.infer.runtime import Device, Precision, Runtime, start_runtime

__all__ = ["Device", "KerasPredictor", "Precision", "Runtime", "score_images", "start_runtime"]
