"""Read and write operating points measured elsewhere, such as at the user's own hospital.

They belong to the bundle with one hash.
"""

import dataclasses
import json
from pathlib import Path

from cxrbatch.bundle.bundle import Bundle, OperatingPoints, load_bundle
from cxrbatch.errors import OutputError, UsageProblem


def write_operating_points(path: Path, bundle: Bundle, points: OperatingPoints) -> None:
    """Write operating points of a bundle as ``--operating-points`` reads them.

    Parameters
    ----------
    points : OperatingPoints
        ``measured_on`` should describe the patients.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    content = {"bundle_sha256": bundle.sha256, **dataclasses.asdict(points)}
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from error


def choose_bundle(path: Path, points: Path | None, prevalence: float | None) -> Bundle:
    """Load a bundle, and check that it can do what the options ask for.

    Parameters
    ----------
    path : Path
        Folder of the bundle.
    points : Path or None
        File with operating points that replace its own.
    prevalence : float or None
        None where no probability is asked for.

    Raises
    ------
    BundleError
        See `cxrbatch.bundle.load_bundle`.
    UsageProblem
        See `with_operating_points`; or the bundle has no calibration, which probabilities need.
    """
    bundle = load_bundle(path)
    if prevalence is not None:
        bundle.require_calibration()
    return with_operating_points(bundle, points) if points else bundle


def with_operating_points(bundle: Bundle, path: Path) -> Bundle:
    """Return the bundle with the operating points of a file.

    Raises
    ------
    UsageProblem
        The file cannot be read or parsed, or it belongs to another bundle.
    """
    where = f"--operating-points {path}"
    try:
        content = json.loads(path.read_bytes())
        sha256 = str(content.pop("bundle_sha256"))
        points = OperatingPoints(**content)
    except OSError as error:
        raise UsageProblem(f"{where}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageProblem(f"{where}: not understood: {error}") from error
    if sha256 != bundle.sha256:
        raise UsageProblem(
            f"{where}: measured for the bundle with the SHA-256 {sha256[:12]}…, and this is {bundle.id}; "
            "a threshold of one bundle means nothing for another"
        )
    return dataclasses.replace(bundle, operating_points=points)
