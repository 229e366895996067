"""Check whether a night would run here: setup in, observations with advice out. Nothing is changed."""

from cxrbatch.doctor.check import Setup
from cxrbatch.doctor.checks import examine
from cxrbatch.doctor.output import as_json, as_text, is_healthy

__all__ = ["Setup", "as_json", "as_text", "examine", "is_healthy"]
