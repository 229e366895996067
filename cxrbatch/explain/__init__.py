"""Show where a network looked: its input in, translucent maps and the share outside the lungs out.

A map shows where the network looked, not where disease is.
"""

from cxrbatch.explain.images import Explanation, explain, has_maps, make_explainer

__all__ = ["Explanation", "explain", "has_maps", "make_explainer"]
