import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.errors import OutputError
from cxrbatch.evaluation.model_card import model_card
from cxrbatch.evaluation.page import evaluation_html
from cxrbatch.evaluation.site_scores import Exposure, SiteScores
from cxrbatch.evaluation.write import patients_csv, write_evaluation
from tests.factories.collections import case
from tests.factories.evaluations import evaluated, made_bundle, scored_sites

NAMES = {"evaluation.json", "index.html", "MODEL_CARD.md", "patients.csv"}


def site(*rows: tuple[str, str, float]) -> SiteScores:
    scores = np.array([[score, 0.0, 1 - score] for _, _, score in rows])
    return SiteScores(
        site="north",
        exposure=Exposure.HELD_OUT,
        cases=tuple(case(patient, label, "north") for patient, label, _ in rows),
        scores=scores,
        networks=scores[None],
    )


def test_patients_are_listed_as_they_would_be_ranked() -> None:
    made = site(
        ("n/b", "normal", 0.25), ("n/a", "covid", 0.5), ("n/c", "normal", 0.25), ("n/a", "covid", 1.0)
    )
    assert patients_csv([made], "mean").decode() == (
        "site,exposure,patient,label,score_covid,score_pneumonia,score_normal\n"
        "north,held out,n/a,covid,0.750000,0.000000,0.250000\n"
        "north,held out,n/b,normal,0.250000,0.000000,0.750000\n"
        "north,held out,n/c,normal,0.250000,0.000000,0.750000\n"
    )
    assert "n/a,covid,1.000000" in patients_csv([made], "max").decode()


def test_no_cell_starts_a_formula_or_a_line() -> None:
    made = dataclasses.replace(site(("=1+1", "covid", 0.5), ("-a\nb", "@x", 0.25)), site="+s")
    (_, first, second) = csv.reader(patients_csv([made], "mean").decode().splitlines())
    assert first[:4] == ["'+s", "held out", "'=1+1", "covid"]
    assert second[:4] == ["'+s", "held out", r"'-a\nb", "'@x"]


def test_the_folder_holds_the_figures_the_page_the_card_and_the_patients(tmp_path: Path) -> None:
    out, sites, bundle = tmp_path / "new" / "folder", scored_sites(), made_bundle()
    evaluation = evaluated(sites)
    write_evaluation(out, bundle, evaluation, sites)
    assert {path.name for path in out.iterdir()} == NAMES
    stored = json.loads((out / "evaluation.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert stored == {"bundle": bundle.id, "bundle_sha256": bundle.sha256, **evaluation}
    assert (out / "index.html").read_text("utf-8") == evaluation_html(bundle, evaluation, sites)
    assert (out / "MODEL_CARD.md").read_text("utf-8") == model_card(bundle, evaluation)
    assert (out / "patients.csv").read_bytes() == patients_csv(sites, "mean")


def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    sites = scored_sites()
    for _ in range(2):
        write_evaluation(tmp_path / "a", made_bundle(), evaluated(sites), sites)
    write_evaluation(tmp_path / "b", made_bundle(), evaluated(sites), sites)
    assert {path.name for path in (tmp_path / "a").iterdir()} == NAMES
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in NAMES)


def test_what_is_there_stays_where_it_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_evaluation(tmp_path, made_bundle(), {"pooled": None, "x": float("nan")}, [])
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]
    assert (tmp_path / "evaluation.json").read_text() == "old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/out: cannot be made"):
        write_evaluation(tmp_path / "file" / "out", made_bundle(), {}, [])
