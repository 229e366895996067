"""MODEL_CARD.md, written from what a bundle says of itself: every figure in it was measured by `cxrbatch train`.

``python -m cxrbatch.learn.card > MODEL_CARD.md`` writes that of the shipped bundle.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cxrbatch.bundle import Bundle, load_bundle

_MIN_USEFUL_AUROC = 0.80

_DATA = """\
## Data: licences and citations

* **covid-chestxray-dataset** (ieee8023). Licence per image, many CC BY-NC-SA 4.0. J. P. Cohen, P. Morrison, L. Dao,
  K. Roth, T. Q. Duong, M. Ghassemi: COVID-19 Image Data Collection: Prospective Predictions Are the Future,
  arXiv:2006.11988, 2020.
* **Chest X-Ray Images (Pneumonia)** (Kaggle, paultimothymooney/chest-xray-pneumonia). CC BY 4.0. D. Kermany,
  K. Zhang, M. Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for Classification,
  Mendeley Data, 2018.
* **NIH ChestX-ray8** (NIH Clinical Center). Free with attribution. X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri,
  R. M. Summers: ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, CVPR 2017.
* **COVID-19 Radiography Database** (Qatar University, University of Dhaka), used for testing only: BIMCV-COVID19+ and
  RSNA images. For research, with citation. M. E. H. Chowdhury et al.: Can AI Help in Screening Viral and COVID-19
  Pneumonia?, IEEE Access 8, 2020; T. Rahman et al.: Exploring the effect of image enhancement techniques on COVID-19
  detection using chest X-ray images, Computers in Biology and Medicine 132, 2021.

Because of the non-commercial images the weights are for research use only.
"""

_METHOD = """\
## How it was trained

* Matched pairs: the loss compares two images of one domain (hospital, or publisher of a web case), never images of
  two domains. A free offset per domain cancels out, so that no domain teaches by how often a class occurs in it.
  Adults are compared with adults, children only with children of the same hospital.
* Two logits: *abnormal* (any pneumonia against normal) and *COVID-19 given abnormal* (against other pneumonia). With
  p and q the logistic functions of the calibrated logits: covid = p·q, pneumonia = p·(1 − q), normal = 1 − p.
* Their slopes and offsets were fitted on left-out domains. A question that does not carry over to new domains gets a
  slope near zero and so hardly any say in the score.
* The network equalises the histogram of each image and looks at a coarse picture only. On left-out sources, finer
  and larger networks were worse.
* A fixed number of batches, chosen on left-out sources, because validation on a source that teaches cannot tell when
  to stop. The figures above were used for this choice and are to that extent optimistic.
* Near-duplicates within and across sources were removed before any split; patients who share a radiograph are one
  patient; a radiograph found under two labels was removed altogether.
"""


def model_card(bundle: Bundle) -> str:
    """Write the model card of a bundle.

    Returns
    -------
    str
        Markdown, the weaknesses first.
    """
    evaluation, training = bundle.evaluation, bundle.training
    parts = [
        f"# Model card: bundle `{bundle.name}`\n",
        f"Bundle `{bundle.id}`. Generated from the bundle's own evaluation; not edited by hand.\n",
        _weaknesses(evaluation),
        _intended_use(),
        _within_site(evaluation["within_site"]),
        _audits(evaluation["within_site"]),
        _pooled(evaluation["pooled"]),
        _thresholds(bundle),
        _aggregation(bundle.aggregation, evaluation["aggregation"]),
        _METHOD,
        _training(training, evaluation["calibration"]),
        _DATA,
    ]
    return "\n".join(parts)


def _weaknesses(evaluation: Mapping[str, Any]) -> str:
    weak = [row for row in evaluation["within_site"] if row["auroc"]["value"] < _MIN_USEFUL_AUROC]
    lines = ["## Weaknesses first\n"]
    lines += [f"* **{line}**" for line in evaluation["caveats"]]
    lines += [_weak_contrast(row) for row in sorted(weak, key=lambda row: row["auroc"]["value"])]
    lines += [
        f"* {_kind_weakness(evaluation['calibration']['covid_given_abnormal']['slope'])}",
        "* Scores are not probabilities and are not comparable between hospitals: rank within one hospital only.",
        "* The COVID-19 images are from published cases of early 2020, not from consecutive patients.",
    ]
    return "\n".join(lines) + "\n"


def _weak_contrast(row: Mapping[str, Any]) -> str:
    return (
        f"* {row['question']} at {row['site']}, left out of training, ranked by {row['ranked_by']}: "
        f"AUROC {_interval(row['auroc'])}, below {_MIN_USEFUL_AUROC:.2f} "
        f"({row['n_positive']} against {row['n_negative']} patients)."
    )


def _kind_weakness(slope: float) -> str:
    if slope == 0:
        return (
            "**COVID-19 is not told from other pneumonia**: what was learnt about it did not carry over to "
            "publishers that did not teach, so it has no say: the two scores are always in the same proportion."
        )
    return "What was learnt about COVID-19 against other pneumonia is weighted by how far it carries over."


def _intended_use() -> str:
    return """\
## Use

Research use only; not a medical device. Ranks the adult patients of one hospital by a frontal chest radiograph, so
that PCR swabs reach the likeliest first. A low score is never a rule-out: many PCR-positive patients have a normal
radiograph. Not for children, lateral views or CT.
"""


def _within_site(rows: Sequence[Mapping[str, Any]]) -> str:
    worst = min(rows, key=lambda row: row["auroc"]["value"])
    table = _table(
        ("left-out site", "question", "ranked by", "patients", "AUROC (95 % CI)", "single networks"),
        [
            (
                row["site"],
                row["question"],
                row["ranked_by"],
                f"{row['n_positive']} / {row['n_negative']}",
                _interval(row["auroc"]),
                ", ".join(f"{value:.2f}" for value in row["auroc_of_each_network"]),
            )
            for row in rows
        ],
    )
    return (
        "## Within a site that took no part in training\n\n"
        f"The headline is the worst of them: **AUROC {_interval(worst['auroc'])}**, "
        f"{worst['question']} at {worst['site']}. One row per patient; intervals from a bootstrap over patients.\n\n"
        + table
    )


def _audits(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        (
            row["site"],
            row["question"],
            f"{row['auroc']['value']:.2f}",
            *(f"{audit['auroc']:.2f} ({audit['median_rank_shift']:.1%})" for audit in row["audits"].values()),
        )
        for row in rows
        if "normal" in row["question"]
    ]
    names = list(rows[0]["audits"])
    return (
        "## What the score looks at\n\n"
        "The same left-out patients with changed pictures: AUROC, and in brackets the median move of a patient in "
        "the list as a share of its length. Without the lungs the AUROC ought to fall towards 0.5; a letter in the "
        "corner, a mirror and another grey-value curve ought to move nobody. The lungs are a fixed box in the "
        "middle.\n\n" + _table(("left-out site", "question", "unchanged", *names), lines)
    )


def _pooled(pooled: Mapping[str, Any] | None) -> str:
    if pooled is None:
        return (
            "## Pooled over sites\n\nNot measured: left-out patients with and without COVID-19 are needed.\n"
        )
    rows = [
        ("COVID-19 score of networks that never saw the site", _interval(pooled["auroc"])),
        ("the source alone, no image seen", f"{pooled['auroc_of_the_source_alone']:.3f}"),
    ]
    rows += [
        (f"the publisher alone, within {source}", f"{area:.3f}")
        for source, area in pooled["auroc_of_the_domain_alone"].items()
    ]
    return (
        "## Pooled over sites, and the confound floor\n\n"
        f"COVID-19 ({pooled['n_positive']} patients) against all else ({pooled['n_negative']}). Whoever knows the "
        "source and sees no image does as well as the second row says, so the first one proves nothing by itself.\n\n"
        + _table(("ranked by", "AUROC"), rows)
    )


def _thresholds(bundle: Bundle) -> str:
    points, evaluation = bundle.operating_points, bundle.evaluation
    rows = [
        (
            row["source"],
            kind,
            row["label"],
            str(row["n"]),
            f"{row['urgent']:.1%}",
            f"{row['urgent_or_high']:.1%}",
        )
        for kind, group in (
            ("left out", evaluation["left_out_shares"]),
            ("never teaches", evaluation["untaught_shares"]),
        )
        for row in group
    ]
    return (
        "## Operating points\n\n"
        f"`urgent` from a score of {points.urgent:.3f}, `high` from {points.high:.3f}: where 90 % and 95 % of the "
        "COVID-19 patients of left-out domains are found. Share of the patients of each source at or above them (for "
        "`normal`, one minus this is the specificity):\n\n"
        + _table(("source", "", "label", "patients", "urgent", "urgent or high"), rows)
    )


def _aggregation(rule: str, comparison: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            ", ".join(row["left_out"]),
            row["question"],
            row["rule"],
            str(row["n_patients"]),
            f"{row['auroc']:.3f}",
            f"{row['auroc_from_counts_alone']:.3f}",
        )
        for row in comparison
    ]
    return (
        f"## Several images of one patient: `{rule}`\n\n"
        "Patients with at least two images. The last column is what the number of images alone yields: the scores "
        "shuffled over the images, counts kept. Ill patients are imaged more often, from which a maximum profits by "
        "itself.\n\n"
        + _table(("left out", "question", "rule", "patients", "AUROC", "from counts alone"), rows)
    )


def _training(training: Mapping[str, Any], calibration: Mapping[str, Any]) -> str:
    images = [
        (source, label, str(n["images"]), str(n["patients"]))
        for source, labels in training["images"].items()
        for label, n in labels.items()
    ]
    excluded = [
        (source, reason, str(n))
        for source, reasons in training["excluded"].items()
        for reason, n in reasons.items()
    ]
    lines = "; ".join(
        f"{name}: {line['slope']:.3f}·logit {line['intercept']:+.3f}" for name, line in calibration.items()
    )
    return (
        f"{training['parameters']:,} parameters. Calibration: {lines}.\n\n"
        "### Images used\n\n"
        + _table(("source", "label", "images", "patients"), images)
        + "\n### Left out, and why\n\n"
        + _table(("source", "reason", "images"), excluded)
    )


def _interval(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.3f} ({estimate['low']:.3f}–{estimate['high']:.3f})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(model_card(load_bundle()))
