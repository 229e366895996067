"""Train networks by a recipe and write them as a bundle; never imported while screening."""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names

if TYPE_CHECKING:
    from cxrbatch.training.evaluate_bundle import measure_bundle, measure_on_folder, summary_lines
    from cxrbatch.training.train import train_bundle

__all__ = ["measure_bundle", "measure_on_folder", "summary_lines", "train_bundle"]

__getattr__ = lazy_names(
    __name__,
    evaluate_bundle=("measure_bundle", "measure_on_folder", "summary_lines"),
    train=("train_bundle",),
)
