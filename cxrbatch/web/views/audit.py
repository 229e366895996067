"""The figures of the list by the results that came back, and the audit trail."""

import re
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cxrbatch.audit import audit, render_audit
from cxrbatch.bundle import load_bundle
from cxrbatch.web.foreign_pages import with_way_back
from cxrbatch.web.models import Role, TrailEntry
from cxrbatch.web.service import options
from cxrbatch.web.trail import record
from cxrbatch.web.views.rights import needs

_PAGE = 100
_STYLE = re.compile(r"style-src ('sha256-[A-Za-z0-9+/=]+')")


@require_safe
def figures(request: Any) -> Any:
    """Show the page of ``cxrbatch audit``; its own style is allowed by its hash, and nothing else."""
    if not options().state.is_file():
        raise Http404
    audited = audit(options().state, load_bundle(options().bundle), capacity=options().capacity)
    page = render_audit(audited)
    record(request, "audit page")
    response = HttpResponse(with_way_back(page), content_type="text/html; charset=utf-8")
    style = _STYLE.search(page)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {style[1] if style else chr(39) + 'none' + chr(39)}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return response


@require_safe
@needs(Role.ADMIN)
def trail(request: Any) -> Any:
    """Show who saw or changed what."""
    text = request.GET.get("text", "").strip()[:64]
    entries = TrailEntry.objects.order_by("-id")
    if text:
        entries = entries.filter(username=text) | entries.filter(action__contains=text)
    page = Paginator(entries, _PAGE).get_page(request.GET.get("page"))
    record(request, "trail")
    return render(request, "trail.html", {"page": page, "text": text})
