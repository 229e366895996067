"""Estimate a share with its interval: counts in, figures out."""

import math

from cxrbatch.stats.ranking import Estimate

_Z = 1.959963984540054  # 97.5th percentile of the normal distribution


def share_interval(n_found: int, n: int) -> Estimate:
    """Compute a share with its 95 % interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209–212); NaN where `n` is 0."""
    if not n:
        return Estimate(value=math.nan, low=math.nan, high=math.nan)
    share = n_found / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Estimate(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))
