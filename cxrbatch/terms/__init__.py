"""Terms: what words and codes for body parts and views mean, and what stands for no PatientID, as tables.

Input: text and codes of a header. Output: chest or not, frontal or not, placeholder or not, or that nothing is said.
"""

from cxrbatch.terms.codes import part_of_code, view_of_code
from cxrbatch.terms.header_words import HeaderWords, load_header_words
from cxrbatch.terms.match import Part, View, is_lateral, part_of, view_of, views_in
from cxrbatch.terms.placeholders import is_placeholder
from cxrbatch.terms.spelling import mend

__all__ = [
    "HeaderWords",
    "Part",
    "View",
    "is_lateral",
    "is_placeholder",
    "load_header_words",
    "mend",
    "part_of",
    "part_of_code",
    "view_of",
    "view_of_code",
    "views_in",
]
