"""Measure how useful the list was at this hospital: state with PCR results in, CSV table and HTML page out."""

from cxrbatch.audit.figures import audit
from cxrbatch.audit.summary import summarise
from cxrbatch.audit.write import check_out, render_audit, write_audit, write_recommended

__all__ = ["audit", "check_out", "render_audit", "summarise", "write_audit", "write_recommended"]
