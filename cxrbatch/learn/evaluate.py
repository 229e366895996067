"""What the scores are worth on sources that did not teach, with the patient as the unit.

The headline figures are within one left-out site, because a list ranks the patients of one hospital.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrbatch.bundle import OperatingPoints
from cxrbatch.learn.audits import rank_shift
from cxrbatch.learn.calibration import Calibration
from cxrbatch.learn.folds import FoldScores
from cxrbatch.learn.metrics import auroc, auroc_interval, prevalence_score, threshold_at_sensitivity
from cxrbatch.learn.units import Floats, Units, join, to_units

URGENT_SENSITIVITY = 0.90
HIGH_SENSITIVITY = 0.95
_COVID, _NORMAL = 0, 2
_MOST_URGENT_HEALTHY = 0.10
_FEWEST = 5  # patients on either side, or no figure is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A contrast that a site can answer by itself.

    Attributes
    ----------
    text : str
        For a person to read.
    positive, negative : str
        Labels.
    score : str
        What ranks the patients: a key of `RANKED_BY`.
    """

    text: str
    positive: str
    negative: str
    score: str = "covid"

    def y_score(self, scores: Floats) -> Floats:
        """Scores of shape (n, 3) → (n,)."""
        return RANKED_BY[self.score](scores)


RANKED_BY: Mapping[str, Callable[[Floats], Floats]] = {
    "covid": lambda scores: scores[:, _COVID],
    "1 − normal": lambda scores: 1 - scores[:, _NORMAL],
    # Rounded, because where this share is constant the order would be that of rounding errors.
    "covid / (covid + pneumonia)": lambda scores: np.round(scores[:, _COVID] / (1 - scores[:, _NORMAL]), 9),
}

QUESTIONS = (
    Question(text="COVID-19 against normal", positive="covid", negative="normal"),
    Question(text="COVID-19 against other pneumonia", positive="covid", negative="pneumonia"),
    Question(
        text="COVID-19 against other pneumonia",
        positive="covid",
        negative="pneumonia",
        score="covid / (covid + pneumonia)",
    ),
    Question(text="pneumonia against normal", positive="pneumonia", negative="normal", score="1 − normal"),
)


def within_sites(
    folds: Sequence[FoldScores], calibration: Calibration, rule: str, bootstraps: int
) -> Iterator[dict[str, Any]]:
    """AUROC of every question at every left-out site that can answer it."""
    for fold in folds:
        for site in fold.left_out:
            asked = {
                name: to_units(fold.cases, calibration.scores(logits), rule).at(site)
                for name, logits in (("", fold.mean_logits), *fold.audits.items())
            }
            networks = [
                to_units(fold.cases, calibration.scores(logits), rule).at(site) for logits in fold.logits
            ]
            for question in QUESTIONS:
                if _is_answered(question, asked[""]):
                    yield {"site": site, **_measure(question, asked, networks, bootstraps)}


def _is_answered(question: Question, units: Units) -> bool:
    """Whether there are patients enough and the score is not the same for all, as that of an untaught question is."""
    enough = all(units.labelled(label).sum() >= _FEWEST for label in (question.positive, question.negative))
    return enough and bool(np.ptp(question.y_score(units.scores)) > 0)


def _measure(
    question: Question, asked: Mapping[str, Units], networks: Sequence[Units], bootstraps: int
) -> dict[str, Any]:
    part = asked[""].labelled(question.positive, question.negative)
    plain = asked[""].where(part)
    y_true = plain.labelled(question.positive)
    y_score = question.y_score(plain.scores)
    changed = {name: question.y_score(units.where(part).scores) for name, units in asked.items() if name}
    estimate = auroc_interval(y_true, y_score, plain.patients, bootstraps=bootstraps)
    return {
        "question": question.text,
        "ranked_by": question.score,
        "n_positive": int(y_true.sum()),
        "n_negative": int((~y_true).sum()),
        "auroc": dataclasses.asdict(estimate),
        "auroc_of_each_network": [
            auroc(y_true, question.y_score(each.where(part).scores)) for each in networks
        ],
        "audits": {
            name: {"auroc": auroc(y_true, scores), "median_rank_shift": rank_shift(y_score, scores)}
            for name, scores in changed.items()
        },
    }


def left_out_once(folds: Sequence[FoldScores], calibration: Calibration, rule: str) -> Units:
    """All left-out patients, each by the last fold that left them out (recipes name the finer folds later)."""
    parts: list[Units] = []
    seen: set[str] = set()
    for fold in reversed(folds):
        units = to_units(fold.cases, calibration.scores(fold.mean_logits), rule)
        parts.append(units.where(~np.isin(units.patients, list(seen))))
        seen |= set(units.patients.tolist())
    return join(parts)


def operating_points(left_out: Units) -> OperatingPoints:
    """Thresholds at which 90 % and 95 % of the left-out COVID-19 patients are found; ½ where there is none."""
    covid = left_out.scores[left_out.labelled("covid"), _COVID]
    if not covid.size:
        return OperatingPoints(urgent=0.5, high=0.5)
    return OperatingPoints(
        urgent=threshold_at_sensitivity(covid, URGENT_SENSITIVITY),
        high=threshold_at_sensitivity(covid, HIGH_SENSITIVITY),
    )


def shares(units: Units, points: OperatingPoints) -> Iterator[dict[str, Any]]:
    """Share of the patients of each source and label at or above each operating point."""
    for source, label in sorted(set(zip(units.sources.tolist(), units.labels.tolist(), strict=True))):
        covid = units.scores[(units.sources == source) & (units.labels == label), _COVID]
        yield {
            "source": source,
            "label": label,
            "n": covid.size,
            "urgent": float((covid >= points.urgent).mean()),
            "urgent_or_high": float((covid >= points.high).mean()),
        }


def caveats(untaught_shares: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What a reader of every report must know: bands that call too many healthy people urgent.

    Parameters
    ----------
    untaught_shares : sequence of mapping
        From `shares`, of sources that took no part in training.
    """
    for row in untaught_shares:
        if row["label"] == "normal" and row["urgent"] > _MOST_URGENT_HEALTHY:
            yield (
                f"The bands urgent and high are of little use with this bundle: {row['urgent']:.1%} of {row['n']} "
                f"healthy adults of {row['source'].upper()}, which took no part in training, would be called urgent. "
                "Use the order of the list."
            )


def pooled(units: Units, bootstraps: int) -> dict[str, Any] | None:
    """COVID-19 against all else across sites, and the confound floor: what the site alone reaches without an image.

    None where one of the two is missing.
    """
    y_true = units.labelled("covid")
    if not 0 < y_true.sum() < y_true.size:
        return None
    estimate = auroc_interval(y_true, units.scores[:, _COVID], units.patients, bootstraps=bootstraps)
    return {
        "n_positive": int(y_true.sum()),
        "n_negative": int((~y_true).sum()),
        "auroc": dataclasses.asdict(estimate),
        "auroc_of_the_source_alone": auroc(y_true, prevalence_score(y_true, units.sources)),
        "auroc_of_the_domain_alone": {
            source: auroc(part.labelled("covid"), prevalence_score(part.labelled("covid"), part.domains))
            for source in np.unique(units.sources).tolist()
            if {"covid"} < set((part := units.at(source)).labels)
        },
    }
