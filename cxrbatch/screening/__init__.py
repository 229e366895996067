"""Screen a folder: compose all stages, from discovery to the report."""

from cxrbatch.screening.options import ScreenOptions
from cxrbatch.screening.run import screen

__all__ = ["ScreenOptions", "screen"]
