"""Name the arrays that statistics take and give."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

Floats = NDArray[np.float64]
