"""Rank patients: scored images in, ranked patients out."""

from cxrbatch.triage.aggregate import RULES, aggregate_patients
from cxrbatch.triage.capacity import ListCurve, capacity_note, capacity_yield, max_wait_warning, sums_note
from cxrbatch.triage.duplicates import DuplicateFinder
from cxrbatch.triage.probability import parse_prevalence, prevalence_note, state_percent, with_probabilities
from cxrbatch.triage.waiting_list import ListRules, make_waiting_list

__all__ = [
    "RULES",
    "DuplicateFinder",
    "ListCurve",
    "ListRules",
    "aggregate_patients",
    "capacity_note",
    "capacity_yield",
    "make_waiting_list",
    "max_wait_warning",
    "parse_prevalence",
    "prevalence_note",
    "state_percent",
    "sums_note",
    "with_probabilities",
]
