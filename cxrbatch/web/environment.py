"""Set up the templates of the pages: names that they know, and what every page shows."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.urls import reverse
from jinja2 import Environment

from cxrbatch._lib.version import __version__
from cxrbatch.pages import make_environment
from cxrbatch.reasons import FLAG_MEANING, REASON_MEANING
from cxrbatch.records import FINDINGS
from cxrbatch.report import lungs_warning, say
from cxrbatch.web.models import ROLE_MEANING, Role

QUESTIONS = ("abnormal", "covid", "attention")
"""Maps that there may be, see `cxrbatch.records.Evidence`."""
TEMPLATES = Path(__file__).parent / "templates"


def make_pages(**_options: Any) -> Environment:
    """Make the environment; it escapes all text and refuses unknown names."""
    made = make_environment(TEMPLATES)
    made.globals.update(
        url=_url,
        static=_static,
        flag_meaning=FLAG_MEANING,
        reason_meaning=REASON_MEANING,
        findings=FINDINGS,
        role_meaning=ROLE_MEANING,
        roles=tuple(Role),
        version=__version__,
        say=say,
        questions=QUESTIONS,
        lungs_warning=lungs_warning,
    )
    made.filters.update(words=_words, json=json.dumps, score=_score, clock=_clock)
    return made


@cache
def pages() -> Environment:
    """Return the environment, for parts of pages."""
    return make_pages()


def on_every_page(request: Any) -> dict[str, Any]:
    """Give templates the user and the section of the page."""
    user = getattr(request, "user", None)
    return {
        "user": user if user is not None and user.is_authenticated else None,
        "demo": settings.CXRBATCH.demo is not None,
        "here": request.path,
    }


def _url(name: str, *values: Any) -> str:
    return reverse(name, args=values)


def _static(name: str) -> str:
    return f"/static/{name}?v={__version__}"


def _words(code: str) -> str:
    return str(code).replace("_", " ")


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _clock(moment: Any) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""
