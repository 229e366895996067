"""Check whether a night would run here: setup in, observations with advice out. Nothing is changed."""

from cxrbatch.doctor.check import Level, Observation, Setup
from cxrbatch.doctor.checks import CHECKS, examine
from cxrbatch.doctor.output import as_json, as_text, is_healthy

__all__ = ["CHECKS", "Level", "Observation", "Setup", "as_json", "as_text", "examine", "is_healthy"]
