"""Made-up scores of made-up sites, and what they are evaluated to."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cxrbatch.bundle.bundle import Bundle, OperatingPoints
from cxrbatch.datasets.labelled import LabelledImage
from cxrbatch.evaluation.evaluate import evaluate_sites
from cxrbatch.evaluation.site_scores import Exposure, SiteScores
from cxrbatch.preprocess import PreprocessSpec

POINTS = OperatingPoints(urgent=0.3, high=0.2)
CHANGES = ("lungs blacked out", "marker L")


def scored_site(
    site: str,
    counts: Mapping[str, int],
    skill: float,
    exposure: Exposure = Exposure.LEFT_OUT,
    publishers: tuple[str, ...] = ("",),
) -> SiteScores:
    """Patients whose ill ones score higher by `skill` standard deviations; the audits change nothing."""
    rng = np.random.default_rng(len(site))
    labels = [label for label, n in counts.items() for _ in range(n)]
    cases = tuple(_case(site, label, index, publishers) for index, label in enumerate(labels))
    logit = rng.normal(size=(len(cases), 2))
    logit[:, 0] += skill * np.array([label != "normal" for label in labels])
    ill, covid = (1 / (1 + np.exp(-logit))).T
    scores = np.stack([ill * covid, ill * (1 - covid), 1 - ill], axis=1)
    return SiteScores(
        site=site,
        exposure=exposure,
        cases=cases,
        scores=scores,
        networks=np.stack([scores, scores]),
        perturbed=dict.fromkeys(CHANGES, scores),
    )


def _case(site: str, label: str, index: int, publishers: tuple[str, ...]) -> LabelledImage:
    return LabelledImage(
        path=Path(f"{index}.png"),
        label=label,
        patient=f"{site}/{index}",
        source=site,
        publisher=publishers[index % len(publishers)],
        view=("PA", "AP")[index % 2],
        sex=("F", "M", "")[index % 3],
    )


def scored_sites() -> list[SiteScores]:
    """Two that answer questions by themselves, and two that have one label."""
    publishers = ("radiopaedia.org", "eurorad.org")
    return [
        scored_site("nih", {"pneumonia": 30, "normal": 40}, skill=0.6),
        scored_site("ieee8023", {"covid": 40, "pneumonia": 20, "normal": 12}, 2.0, publishers=publishers),
        scored_site("bimcv", {"covid": 25}, 1.0, Exposure.NOT_TRAINED_ON),
        scored_site("rsna", {"normal": 35}, 1.0, Exposure.NOT_TRAINED_ON),
    ]


def evaluated(sites: list[SiteScores] | None = None) -> dict[str, Any]:
    """Their evaluation, as it is stored in a bundle."""
    return evaluate_sites(scored_sites() if sites is None else sites, "mean", POINTS, 20)


def made_bundle(**changes: Any) -> Bundle:
    """A bundle without a folder."""
    bundle = Bundle(
        path=Path(),
        name="made-up",
        sha256="ab" * 32,
        preprocess=PreprocessSpec(),
        aggregation="mean",
        operating_points=POINTS,
        training={
            "recipe": {"name": "made-up recipe", "fit": {"method": "pairs"}},
            "images": {"nih": {"normal": {"images": 50, "patients": 40}}},
            "taught": {},
            "excluded": {"nih": {"duplicate": 7}},
            "parameters": 1234,
            "versions": {"keras": "3.9"},
        },
        evaluation={},
    )
    return dataclasses.replace(bundle, **changes)
