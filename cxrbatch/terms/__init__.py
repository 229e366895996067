"""Terms: what words and codes for body parts and views mean, as tables.

Input: text and codes of a header. Output: chest or not, frontal or not, or that nothing is said.
"""

from cxrbatch.terms.codes import part_of_code, view_of_code
from cxrbatch.terms.match import Part, View, mend, part_of, view_of, views_in

__all__ = ["Part", "View", "mend", "part_of", "part_of_code", "view_of", "view_of_code", "views_in"]
