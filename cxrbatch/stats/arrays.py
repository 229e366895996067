"""Types of the arrays in statistics."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

Floats = NDArray[np.float64]
