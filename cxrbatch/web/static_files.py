"""Styles and scripts that the pages load: name in the address, file of the package."""

from pathlib import Path

_HERE = Path(__file__).parent / "static"

STATIC_FILES = {
    "icon.svg": _HERE / "icon.svg",
    "tokens.css": Path(__file__).parents[1] / "pages" / "tokens.css",
    "site.css": _HERE / "site.css",
    "site.js": _HERE / "site.js",
    "upload.js": _HERE / "upload.js",
}
"""Nothing else of the package is served."""
