"""Check the bundle, and the network on this machine."""

from collections.abc import Iterator

import numpy as np

from cxrbatch.bundle import choose_bundle, load_bundle
from cxrbatch.doctor.check import Observation, Setup, from_error, ok, problem
from cxrbatch.errors import CxrbatchError
from cxrbatch.gate import ChestCheck
from cxrbatch.infer import start_network

_INSTALL = "install cxrbatch again, or name another bundle with --bundle"


def bundle(setup: Setup) -> Iterator[Observation]:
    """Check whether the bundle is complete and supports the options of the recipe."""
    options = setup.options
    try:
        chosen = choose_bundle(options.bundle, options.operating_points, options.prevalence)
        ChestCheck.load(chosen.gate_path)
    except CxrbatchError as error:
        yield from_error(error, "bundle", _INSTALL)
    else:
        yield ok("bundle", f"{chosen.id}, all files as their hashes say")


def network(setup: Setup) -> Iterator[Observation]:
    """Check whether the network runs on the chosen device, by scoring black images."""
    options = setup.options
    try:
        chosen = load_bundle(options.bundle)
    except CxrbatchError as error:
        yield from_error(error, "network", _INSTALL)
        return
    network = start_network(
        chosen,
        runtime=options.engine.runtime,
        device=options.engine.device,
        precision=options.engine.precision,
        batch_size=options.engine.batch_size,
    )
    black = np.zeros((network.batch_size, chosen.preprocess.height, chosen.preprocess.width), np.uint8)
    scores = network.predictor({"pixels": black})["scores"]
    where = f"{network.runtime}, {network.device}, {network.precision}, batches of {network.batch_size}"
    if np.isfinite(scores).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        yield ok("network", f"scores on {where}")
    else:
        yield problem(
            "network",
            f"gives no scores on {where}",
            "try --runtime tensorflow, --precision float32, then --device cpu",
        )
