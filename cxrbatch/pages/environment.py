"""Set up the templates of pages: they escape all text, and name styles and scripts by their hash."""

import base64
import hashlib
from collections.abc import Sequence
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


def load_asset(*paths: Path) -> Asset:
    """Read style sheets or scripts of the package, UTF-8, as one."""
    content = b"".join(path.read_bytes() for path in paths)
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
    return Asset(Markup(content.decode("utf-8")), Markup(f"'sha256-{digest}'"))  # noqa: S704  the package's own file


_SHARED = Path(__file__).parent

TOKENS = _SHARED / "tokens.css"
"""Colours, type scale and controls of every page, to embed or to serve."""


def make_environment(
    folder: Path, style: Path = _SHARED / "page.css", scripts: Sequence[Path] = ()
) -> Environment:
    """Set up the templates of a folder, and the templates that pages share.

    All text is escaped, control characters are shown, and an unknown name is an error. Templates know ``style``,
    ``script``, ``caution``, and ``side``, the side of a plot in px.

    Parameters
    ----------
    folder : Path
        Folder with ``page.html``.
    style : Path, optional
        Style sheet of the package that follows `TOKENS`; by default that of pages of figures.
    scripts : sequence of Path
        Scripts of the package, embedded as one.
    """
    made = Environment(
        loader=FileSystemLoader((folder, _SHARED)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.globals.update(style=load_asset(TOKENS, style), caution=CAUTION, side=SIDE)
    if scripts:
        made.globals.update(script=load_asset(*scripts))
    return made


def _finalize(value: object) -> object:
    # Jinja2 calls this for every value before it escapes it. Markup is a subclass of str and is not changed.
    return visible(value) if type(value) is str else value
