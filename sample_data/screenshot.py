"""Screen the sample night and photograph the first screen of its page: docs/page.png.

``python sample_data/screenshot.py`` needs Chromium and ``pip install playwright pillow``.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxrbatch import screen

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "page.png"
N_SWABS = 6
WIDTH_PX, HEIGHT_PX = 1280, 800


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.csv"
        run = screen(HERE / "night", report, capacity=N_SWABS)
        picture = photograph(report.with_suffix(".html"))
    few_colours = Image.open(io.BytesIO(picture)).convert("RGB").quantize(128)
    about = PngInfo()
    about.add_text("bundle", run.provenance.bundle_id)  # a test holds it against the bundle that is shipped
    few_colours.save(PICTURE, optimize=True, pnginfo=about)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size} bytes\n")


def photograph(page: Path) -> bytes:
    """Open a page in Chromium and return its first screen as a PNG."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only here, so that mypy and tests need no browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(
            viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme="light", device_scale_factor=1
        )
        window.goto(page.as_uri())
        return window.screenshot()


if __name__ == "__main__":
    main()
