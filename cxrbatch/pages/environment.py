"""Set up the templates of pages: they escape all text, and name styles and scripts by their hash."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cxrbatch._lib.text import visible
from cxrbatch.pages.svg import SIDE
from cxrbatch.pages.wording import CAUTION


@dataclass(frozen=True, slots=True)
class Asset:
    """A style sheet or script that is embedded in the page.

    Attributes
    ----------
    text : Markup
        Its content.
    source : Markup
        Its hash as a Content-Security-Policy names it (CSP level 2, section 4.2.5).
    """

    text: Markup
    source: Markup


def load_asset(path: Path) -> Asset:
    """Read a style sheet or script of the package, UTF-8."""
    content = path.read_bytes()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
    return Asset(Markup(content.decode("utf-8")), Markup(f"'sha256-{digest}'"))  # noqa: S704  the package's own file


_SHARED = Path(__file__).parent


def make_environment(
    folder: Path, style: Path = _SHARED / "page.css", script: Path | None = None
) -> Environment:
    """Set up the templates of a folder, and the templates that pages share.

    All text is escaped, control characters are shown, and an unknown name is an error. Templates know ``style``,
    ``script``, ``caution``, and ``side``, the side of a plot in px.

    Parameters
    ----------
    folder : Path
        Folder with ``page.html``.
    style, script : Path, optional
        Files of the package; by default the style that pages share, and no script.
    """
    made = Environment(
        loader=FileSystemLoader((folder, _SHARED)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.globals.update(style=load_asset(style), caution=CAUTION, side=SIDE)
    if script:
        made.globals.update(script=load_asset(script))
    return made


def _finalize(value: object) -> object:
    # Jinja2 calls this for every value before it escapes it. Markup is a subclass of str and is not changed.
    return visible(value) if type(value) is str else value
