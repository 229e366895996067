"""Open a file in the viewer of this desktop. The only place of the package that starts a program of others."""

import os
import sys
import webbrowser
from pathlib import Path


def open_in_viewer(path: Path) -> bool:
    """Open a file, without a shell; False where there is no display, or nothing that opens it."""
    has_display = sys.platform in {"darwin", "win32"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return has_display and webbrowser.open(path.absolute().as_uri())
