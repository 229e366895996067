"""Make the titled tables of the page of an audit: `Audit` in, sections out."""

from collections.abc import Iterator

from cxrbatch.audit.drift import ENOUGH_IMAGES, OWN_WEEKS, SHIFTED, STABLE, bundle_reference
from cxrbatch.audit.episodes import FIGURES, GROUPS, RESULT_DAYS
from cxrbatch.audit.estimate import ALL, FEWEST, AuditEstimate
from cxrbatch.audit.figures import Audit
from cxrbatch.audit.gain import ORDERS
from cxrbatch.audit.summary import between
from cxrbatch.audit.threshold import ENOUGH_NEGATIVE, ENOUGH_POSITIVE, bands
from cxrbatch.pages import Cell, Section, figure, percent, section, table
from cxrbatch.reasons import Reason
from cxrbatch.stats import SHARES_TESTED

_GROUP = {
    "all": "all waits",
    "pcr_positive": "with a PCR-positive result",
    "pcr_negative": "with a PCR-negative result",
    "left_without_result": "left the list without a result",
    "still_waiting": "still waiting: nights so far",
    "not_scored": "not scored on the first night",
}
_ORDER = {"list": "the list", "arrival": "arrival"}


def all_sections(audit: Audit) -> list[Section]:
    """Make all sections, in the order of the page; sections without content are left out."""
    parts = (
        _at_k(audit),
        _verification(audit),
        _gain(audit),
        _waiting(audit),
        _calibration(audit),
        _quintiles(audit),
        _threshold(audit),
        _drift(audit),
        _definitions(),
    )
    return [part for part in parts if part is not None]


def _at_k(audit: Audit) -> Section | None:
    k = audit.capacity
    title = "The first K of the list" if k is None else f"The first {k} of the list"
    if k is None:
        return Section("at-k", title, "Not asked for: --capacity K says how many are swabbed a night.")
    return section(
        "at-k",
        title,
        f"By the week of the first night. PPV: of the waits with a result among the first {k} ranked ones of their "
        "first night, the share that is PCR-positive; in random order it would be the share of all tested. "
        f"Sensitivity: of the PCR-positive waits, the share among the first {k}; who was not scored was not. 95 % "
        "intervals after Wilson.",
        table(
            (
                "week",
                "waits",
                "with a result",
                "PCR-positive",
                "PPV",
                "sensitivity",
                "PCR-positive of all tested",
            ),
            1,
            (_at_k_row(audit, week) for week in audit.weeks("at_k")),
        ),
    )


def _at_k_row(audit: Audit, week: str) -> Iterator[Cell]:
    yield _week(week)
    for name in ("n_waits", "n_with_result", "n_positive"):
        yield Cell(str(audit.get("at_k", name, week).n))
    for name in ("ppv", "sensitivity", "prevalence"):
        yield _share(audit.get("at_k", name, week))


def _verification(audit: Audit) -> Section | None:
    names = ["with_result"]
    header = ["week", "all waits"]
    if audit.capacity is not None:
        names += ["with_result_first_k", "with_result_others", "first_k_minus_others"]
        header += [f"first {audit.capacity}", "the others", "difference"]
    return section(
        "verification",
        "Who has a result",
        "Share of the waits with a PCR result. Where it differs between the first of the list and the others, every "
        "figure above and below is that of the tested, and not of all (verification bias). Waits of the last nights "
        "may still get one.",
        table(
            header,
            1,
            (
                [_week(week), *(_share(audit.get("verification", name, week)) for name in names)]
                for week in audit.weeks("verification")
            ),
        ),
    )


def _gain(audit: Audit) -> Section | None:
    shares = [f"first {share:.0%}" for share in SHARES_TESTED]
    random = [Cell("random"), *(Cell(percent(share)) for share in SHARES_TESTED), Cell(figure(0.0))]
    rows = [[Cell(_ORDER[order]), *_gain_row(audit, order)] for order in ORDERS]
    return section(
        "gain",
        "The order of the list against others",
        "Share of the PCR-positive patients of a night among the first of its patients, in three orders; ranked "
        "patients with a result on their first night, mean of the nights weighted by their PCR-positive patients. "
        "Gain: 0 for random order, 1 for a perfect one, below 0 for worse than random. A patient arrived when the "
        "first file was written into the folder; those who did so at the same time are in no order. Intervals from a "
        "bootstrap over patients.",
        table(("order", *shares, "gain"), 1, [*rows, random]),
    )


def _gain_row(audit: Audit, order: str) -> Iterator[Cell]:
    for share in SHARES_TESTED:
        yield _share(audit.get("gain", f"found_{order}_{share * 100:.0f}"))
    yield _figure(audit.get("gain", f"gain_{order}"))


def _waiting(audit: Audit) -> Section | None:
    return section(
        "waiting",
        "How long they waited",
        "Nights from the first image to the swab; without a result, to the last list on which the patient stood.",
        table(
            ("", "waits", "mean", "95th percentile", "maximum"),
            1,
            (_waiting_row(audit, group) for group in GROUPS),
        ),
    )


def _waiting_row(audit: Audit, group: str) -> Iterator[Cell]:
    yield Cell(_GROUP[group])
    yield Cell(str(audit.get("waiting", f"n_{group}").n))
    for name in FIGURES:
        found = audit.get("waiting", f"{name}_{group}")
        yield Cell("too few" if found.value is None else figure(found.value, 1 if name == "mean" else 0))


def _calibration(audit: Audit) -> Section | None:
    n_positive, n_negative = (audit.get("calibration", f"n_{side}").n for side in ("positive", "negative"))
    rows = (
        ("AUROC", "auroc", "0.5 is no order at all"),
        ("slope", "slope", "1: as strong as the score says; below 1: too extreme; 0: says nothing"),
        ("intercept", "intercept", "log-odds of PCR-positive at a score of one half"),
    )
    return section(
        "calibration",
        "What the score meant here",
        f"{n_positive} waits with a PCR-positive and {n_negative} with a PCR-negative result, ranked by "
        f"{audit.bundle.id}, all nights together. Log-odds of a positive result = slope × logit(score) + intercept; "
        "it holds for patients chosen for the test as these were.",
        table(
            ("", "estimate (95 % interval)", "how to read it"),
            3,
            (
                [Cell(title), _figure(audit.get("calibration", name)), Cell(meaning)]
                for title, name, meaning in rows
            ),
        ),
    )


def _quintiles(audit: Audit) -> Section | None:
    names = [one.name for one in audit.estimates if one.name.endswith("_score") and "quintile" in one.name]
    return section(
        "quintiles",
        "By score",
        "The waits of the table above in five parts of equal size, fewer where scores are equal.",
        table(
            ("part", "mean score", "PCR-positive"),
            1,
            (
                [
                    Cell(name.split("_")[1]),
                    Cell(figure(audit.get("calibration", name).value)),
                    _share(audit.get("calibration", name.replace("_score", "_positive"))),
                ]
                for name in names
            ),
        ),
    )


def _threshold(audit: Audit) -> Section:
    text = (
        f"Score from which a share of the PCR-positive patients of this hospital is found, once there are "
        f"{ENOUGH_POSITIVE} PCR-positive and {ENOUGH_NEGATIVE} PCR-negative waits ranked by {audit.bundle.id}. "
    )
    if audit.recommended is None:
        positive, negative = (
            audit.get("threshold", f"missing_{side}").n for side in ("positive", "negative")
        )
        text += f"Nothing is recommended: {positive} PCR-positive and {negative} PCR-negative results are missing."
        return Section("threshold", "Threshold for this hospital", text)
    return Section(
        "threshold",
        "Threshold for this hospital",
        text + "It was chosen on the patients on whom it is measured here: the next ones may fare worse. "
        "--write-operating-points FILE writes it for screen --operating-points.",
        table(
            ("band", "sensitivity", "score from", "specificity there"),
            1,
            (_threshold_row(audit, band, wanted) for band, wanted in bands(audit.sensitivity).items()),
        ),
    )


def _threshold_row(audit: Audit, band: str, wanted: float) -> Iterator[Cell]:
    yield Cell(band)
    yield Cell(percent(wanted))
    yield _figure(audit.get("threshold", band))
    yield _share(audit.get("threshold", f"{band}_specificity"))


def _drift(audit: Audit) -> Section | None:
    reference = bundle_reference(audit.bundle)
    held = f"Bundle's reference: {reference.measured_on}." if reference else "The bundle has no reference."
    return section(
        "drift",
        "What came in",
        "By the week in which images came in; second copies and unfinished files are not counted. Urgent: share of "
        f"the images scored by {audit.bundle.id} at or above its own operating point. Stability index (PSI) of "
        f"their scores, from {ENOUGH_IMAGES} images on; a rule of thumb calls less than {STABLE} no change and "
        f"more than {SHIFTED} a large one. {held} This hospital's: its first {OWN_WEEKS} weeks with as many "
        "images. By chance: what the index is on average if nothing changed.",
        table(
            (
                "week",
                "images",
                "urgent",
                "not scored",
                "reasons",
                "PSI to the bundle's",
                "PSI to first weeks",
            ),
            1,
            (_drift_row(audit, week) for week in audit.weeks("drift") if week != ALL),
        ),
    )


def _drift_row(audit: Audit, week: str) -> Iterator[Cell]:
    yield _week(week)
    yield Cell(str(audit.get("drift", "n_images", week).n))
    yield _share(audit.get("drift", "urgent", week))
    yield _share(audit.get("drift", "not_scored", week))
    yield Cell(", ".join(_reasons(audit, week)) or "–")
    for name in ("psi_to_bundle", "psi_to_first_weeks"):
        yield _index(audit.get("drift", name, week), audit.get("drift", f"{name}_by_chance", week))


def _reasons(audit: Audit, week: str) -> Iterator[str]:
    for reason in Reason:
        if n := audit.get("drift", f"not_scored_{reason}", week).n:
            yield f"{n} {reason.replace('_', ' ')}"


def _index(found: AuditEstimate, chance: AuditEstimate) -> Cell:
    if found.value is None:
        return Cell("too few" if found.n else "–", note=f"n = {found.n}" if found.n else "")
    mark = f"above {SHIFTED}" if found.value > SHIFTED else ""
    return Cell(figure(found.value, 2), note=f"n = {found.n}; by chance {figure(chance.value, 2)}", mark=mark)


def _definitions() -> Section:
    return Section(
        "definitions",
        "What is counted",
        "A wait is a stretch of neighbouring nights with a list on which a patient stands; it ends where the patient "
        "is off the list, or where what the patient waits for begins anew. Its result is the first PCR result of the "
        "patient whose swab was taken from the day before its first night to "
        f"{RESULT_DAYS} days after its last; a result that fits two waits belongs to the later one that had begun. "
        "Position and score are those of the first night. Fewer than "
        f"{FEWEST} waits, or fewer than {FEWEST} on either side of a comparison, give no figure. No patient is named "
        "here or in the table: only counts and figures.",
    )


def _week(week: str) -> Cell:
    return Cell("all nights" if week == ALL else week)


def _share(estimate: AuditEstimate) -> Cell:
    return Cell(between(estimate, percent), note=f"n = {estimate.n}")


def _figure(estimate: AuditEstimate) -> Cell:
    return Cell(between(estimate), note=f"n = {estimate.n}")
