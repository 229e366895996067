"""Write the report of a run: `TriageRun` in, two CSV tables and one HTML page out, together or not at all."""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names
from cxrbatch.report.annotate import Overlay, annotated, annotated_thumbnail
from cxrbatch.report.details import lungs_warning
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.pseudonym import Pseudonymiser
from cxrbatch.report.viewer import ViewerUrl
from cxrbatch.report.words import say

if TYPE_CHECKING:
    from cxrbatch.report.formats import check_formats, table_parquet
    from cxrbatch.report.latest import latest_path, replace_latest
    from cxrbatch.report.write import check_writable, page_path, write_csv, write_report

__all__ = [
    "Overlay",
    "PageExtras",
    "Pseudonymiser",
    "ViewerUrl",
    "annotated",
    "annotated_thumbnail",
    "check_formats",
    "check_writable",
    "latest_path",
    "lungs_warning",
    "page_path",
    "replace_latest",
    "say",
    "table_parquet",
    "write_csv",
    "write_report",
]

__getattr__ = lazy_names(
    __name__,
    formats=("check_formats", "table_parquet"),
    latest=("latest_path", "replace_latest"),
    write=("check_writable", "page_path", "write_csv", "write_report"),
)
