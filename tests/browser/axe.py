"""Ask axe-core what is wrong with a page."""

import os
from pathlib import Path
from typing import Any

NODE_MODULES = Path(os.environ.get("CXRBATCH_NODE_MODULES", "node_modules"))


def violations(page: Any) -> list[str]:
    """List the violations that are serious or critical."""
    page.evaluate((NODE_MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    result = page.evaluate("axe.run()")
    serious = [found for found in result["violations"] if found["impact"] in ("serious", "critical")]
    return [f"{found['id']}: {found['nodes'][0]['html'][:200]}" for found in serious]
