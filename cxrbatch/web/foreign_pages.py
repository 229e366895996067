"""Pages that other rooms wrote: they get a way back to the list, and stay as they are otherwise."""

import re

_BODY = re.compile(r"<body[^>]*>")
_BACK = '<p><a href="/">Back to the swab list</a></p>'


def with_way_back(page: str) -> str:
    """Add a link to the top of a page; the hashes in its policy, of styles and scripts, are not touched by it."""
    return _BODY.sub(lambda found: f"{found[0]}\n{_BACK}", page, count=1)
