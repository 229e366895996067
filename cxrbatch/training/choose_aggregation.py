"""Choose the rule that makes one patient score of several image scores.

Input: logits of left-out images, as scores. Output: the AUROC of each rule and the chosen rule. The advantage that
image counts alone give a rule is subtracted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cxrbatch.datasets import LabelledImage
from cxrbatch.evaluation import to_patient_scores
from cxrbatch.stats import Floats, auroc
from cxrbatch.training.leave_one_out import FoldScores
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE
from cxrbatch.triage import RULES

_QUESTIONS = ("any pneumonia against normal", "COVID-19 against other pneumonia")
_SHUFFLES = 200
_TRIFLE = 0.01


def compare_rules(folds: Sequence[FoldScores], scores: Sequence[Floats]) -> list[dict[str, Any]]:
    """Compute the AUROC of each aggregation rule on left-out patients with several images.

    Patients with a finding have more images than others, and the maximum of more numbers is larger. So the AUROC is
    also computed with the scores shuffled over the patients, with the same image counts: what is left then does not
    come from the images.

    Parameters
    ----------
    folds : sequence of FoldScores
    scores : sequence of ndarray of float64, shape (n, 3)
        Scores of the images of each fold, 0–1.

    Returns
    -------
    list of dict
        One per fold, question and rule, with ``auroc`` and ``auroc_from_counts_alone``.
    """
    return [
        row
        for fold, of_fold in zip(folds, scores, strict=True)
        for question in range(len(_QUESTIONS))
        for row in _compare_on(fold, of_fold, question)
    ]


def choose_rule(comparison: Sequence[dict[str, Any]]) -> str:
    """Choose ``mean``, unless the AUROC gain of another rule over image counts alone is larger by over `_TRIFLE`.

    Gains are weighted by patients. Only the first question counts: on the second, the AUROC on left-out publishers is
    hardly above chance, so that noise would choose the rule.
    """
    rows = [row for row in comparison if row["question"] == _QUESTIONS[0]]
    n_patients = sum(row["n_patients"] for row in rows) / len(RULES)
    gains = dict.fromkeys(RULES, 0.0)
    for row in rows:
        gains[row["rule"]] += (row["auroc"] - row["auroc_from_counts_alone"]) * row["n_patients"] / n_patients
    best = max(RULES, key=lambda rule: gains[rule])
    return best if gains[best] > gains["mean"] + _TRIFLE else "mean"


def _compare_on(fold: FoldScores, scores: Floats, question: int) -> Iterator[dict[str, Any]]:
    labels = POSITIVE[question] | NEGATIVE[question]
    counts = Counter((case.patient, case.label) for case in fold.cases if case.label in labels)
    chosen = [index for index, case in enumerate(fold.cases) if counts[case.patient, case.label] > 1]
    cases = [fold.cases[index] for index in chosen]
    if len({case.label in POSITIVE[question] for case in cases}) < 2:
        return
    random = np.random.default_rng(0)
    orders = [random.permutation(chosen) for _ in range(_SHUFFLES)]
    for rule in RULES:
        yield {
            "left_out": list(fold.left_out),
            "question": _QUESTIONS[question],
            "rule": rule,
            "n_patients": len({(case.patient, case.label) for case in cases}),
            "auroc": _covid_auroc(cases, scores[chosen], rule, question),
            "auroc_from_counts_alone": float(
                np.mean([_covid_auroc(cases, scores[order], rule, question) for order in orders])
            ),
        }


def _covid_auroc(cases: Sequence[LabelledImage], scores: Floats, rule: str, question: int) -> float:
    scored = to_patient_scores(cases, scores, rule)
    return auroc(scored.labelled(*POSITIVE[question]), scored.scores[:, 0])
