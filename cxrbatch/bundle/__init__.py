"""Bundles: a network with everything that its scores depend on; load, write and import them."""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names
from cxrbatch.bundle.bundle import (
    DEFAULT_BUNDLE,
    Bundle,
    OperatingPoints,
    check_replaceable,
    load_bundle,
    write_bundle,
)
from cxrbatch.bundle.calibration import ScoreCalibration
from cxrbatch.bundle.converted import Agreement, ConvertedNetwork
from cxrbatch.bundle.licence import DataLicence, WeightsLicence
from cxrbatch.bundle.operating_points import choose_bundle, write_operating_points
from cxrbatch.bundle.overview import describe, find_bundles, table_row
from cxrbatch.bundle.worth import state_worth

if TYPE_CHECKING:
    from cxrbatch.bundle.convert_network import convert_bundle, convert_if_possible
    from cxrbatch.bundle.import_model import ImportSpec, Pixels, import_bundle, parse_size
    from cxrbatch.bundle.network import LUNG_LAYER, explainable, features_only, load_network, scores_only
    from cxrbatch.bundle.outputs import OutputActivation

__all__ = [
    "DEFAULT_BUNDLE",
    "LUNG_LAYER",
    "Agreement",
    "Bundle",
    "ConvertedNetwork",
    "DataLicence",
    "ImportSpec",
    "OperatingPoints",
    "OutputActivation",
    "Pixels",
    "ScoreCalibration",
    "WeightsLicence",
    "check_replaceable",
    "choose_bundle",
    "convert_bundle",
    "convert_if_possible",
    "describe",
    "explainable",
    "features_only",
    "find_bundles",
    "import_bundle",
    "load_bundle",
    "load_network",
    "parse_size",
    "scores_only",
    "state_worth",
    "table_row",
    "write_bundle",
    "write_operating_points",
]

__getattr__ = lazy_names(
    __name__,
    convert_network=("convert_bundle", "convert_if_possible"),
    import_model=("ImportSpec", "Pixels", "import_bundle", "parse_size"),
    network=("LUNG_LAYER", "explainable", "features_only", "load_network", "scores_only"),
    outputs=("OutputActivation",),
)
