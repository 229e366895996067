"""What the page of a report shows."""

import base64
import html
import re
from pathlib import Path

_THUMBNAIL = re.compile(r'<img src="data:image/jpeg;base64,([^"]+)" alt="Radiograph" title="([^"]*)"')


def thumbnails(out: Path) -> dict[str, bytes]:
    """Read the thumbnails of the page beside a CSV, by the names of the images."""
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    return {html.unescape(name): base64.b64decode(jpeg) for jpeg, name in _THUMBNAIL.findall(page)}
