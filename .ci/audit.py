#!/usr/bin/env python3
"""Known vulnerabilities of what is pinned, the extras too, for every Python version, as OSV (osv.dev) knows them.

Exit codes: 0 none known, or nobody answered, which is said · 1 there are some · 2 nobody answered, with --required.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements-extras.lock"
"""Holds what requirements.lock holds, and the extras."""
OSV = os.environ.get("OSV_URL", "https://api.osv.dev/v1/query")
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)
PIP_AUDIT = (
    *(sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"),
    *("--vulnerability-service", "osv", "--osv-url", OSV, "--timeout", "15", "--format", "json"),
)


def layers(lock: str) -> list[dict[str, str]]:
    """Versions by package; one that is pinned to several, by version of Python, is in several layers."""
    versions: dict[str, list[str]] = defaultdict(list)
    for name, version in PIN.findall(lock):
        versions[name].append(version)
    most = max(map(len, versions.values()))
    return [{name: pinned[i] for name, pinned in versions.items() if i < len(pinned)} for i in range(most)]


def audited(pins: dict[str, str], folder: Path) -> list[str]:
    """List what is known of some packages, a line each.

    Raises
    ------
    OSError, ValueError, subprocess.SubprocessError
        Nobody answered: pip-audit writes nothing then.
    """
    requirements, found = folder / "requirements.txt", folder / "found.json"
    lines = (f"{name}=={version}\n" for name, version in pins.items())
    requirements.write_text("".join(lines), encoding="ascii")
    found.unlink(missing_ok=True)
    files = ("-r", str(requirements), "-o", str(found), "--cache-dir", str(folder / "cache"))
    subprocess.run((*PIP_AUDIT, *files), check=False, capture_output=True, timeout=300)  # noqa: S603
    packages = json.loads(found.read_text(encoding="utf-8"))["dependencies"]
    return [
        f"{package['name']} {package['version']}: {known['id']}, mended in {known['fix_versions']}"
        for package in packages
        for known in package.get("vulns", ())
    ]


def main() -> int:
    """Audit, and say what came of it."""
    known: list[str] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for pins in layers(LOCK.read_text(encoding="utf-8")):
                known += audited(pins, Path(folder))
        last, code = f"{LOCK.name}: {len(known)} known vulnerabilities", 0
    except (OSError, ValueError, subprocess.SubprocessError):
        last, code = (
            f"{LOCK.name} was not audited: no answer from {OSV}",
            2 * ("--required" in sys.argv[1:]),
        )
    sys.stderr.writelines(f"{line}\n" for line in (*known, last))
    return 1 if known else code


if __name__ == "__main__":
    import pip_audit  # noqa: F401 - else its being missing would look as if nobody answered

    sys.exit(main())
