"""Measure what the list was worth at this hospital, by the PCR results that came back."""

from cxrbatch.audit.figures import audit
from cxrbatch.audit.summary import summarise
from cxrbatch.audit.write import check_out, write_audit, write_recommended

__all__ = ["audit", "check_out", "summarise", "write_audit", "write_recommended"]
