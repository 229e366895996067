"""Write MODEL_CARD.md: bundle and evaluation in, Markdown out. Every figure in it was measured.

``python -m cxrbatch.evaluation.model_card > MODEL_CARD.md`` writes the card of the shipped bundle.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cxrbatch._lib.text import visible
from cxrbatch.bundle import Bundle, load_bundle
from cxrbatch.evaluation.checklists import reporting_items
from cxrbatch.evaluation.matched import site_auroc
from cxrbatch.evaluation.score_sections import confound_floor
from cxrbatch.evaluation.sections import all_sections, headline_row
from cxrbatch.evaluation.site_scores import Exposure
from cxrbatch.evaluation.targets import KIND, targets
from cxrbatch.pages import Cell, Section, Table, interval

_METHOD = """\
## How it was trained

* Matched pairs: the loss compares two images of one domain (source, view and scanner format, as far as they are
  known), never images of two domains. A free offset per domain cancels out, so that no domain teaches by how often
  a class occurs in it. {person}
* Two logits: *abnormal* (any pneumonia against normal) and *COVID-19 given abnormal* (against other pneumonia).
  With p and q the logistic functions of the calibrated logits: covid = p·q, pneumonia = p·(1 − q), normal = 1 − p.
* Their slopes and offsets were fitted on left-out sites. A question that does not carry over to new sites gets a
  slope near zero and so hardly any say in the score.
{network}
* A fixed number of batches, because validation on a source of the training set cannot tell when to stop.
* Near-duplicates within and across sources were removed before any split; patients who share a radiograph are one
  patient; a radiograph found under two labels was removed altogether, unless one of its two copies is only for
  tests.
"""

_LUNG = """\
* A segmentation network, trained on the outlined radiographs of ieee8023 in all folds, finds the lungs; it knows
  outlines and no labels. The box around them is brought to one size.
* EfficientNet-Lite0, pretrained on ImageNet, gives features of three depths. Each is averaged inside the lungs,
  with the lung probability as weight; a linear function of the averages is the logit. So each place of the image
  has a known share in each logit.
* The linear functions start as logistic regressions on contrasts within domains; then they and the later blocks of
  the backbone are trained together. Its batch normalisation is not.\
"""

_RESIDUAL = """\
* A small residual network gets the whole image, with its histogram equalised, and that coarsely.\
"""

_PERSON = "Some pairs are two images of one person, with and without pneumonia: the cleanest there are."

_METHOD_CLASSES = """\
## How it was trained

Plain cross-entropy over all images, as most networks for this task are trained: nothing keeps the network from
recognising the hospital instead of the disease. It is here to be compared with, and not for use.
"""

_USE = """\
## Use

Research use only; not a medical device. Ranks the adult patients of one hospital by a frontal chest radiograph, so
that PCR swabs reach the likeliest first. A low score is never a rule-out: many PCR-positive patients have a normal
radiograph. Not for children, lateral views or CT.
"""

_GOOD = "Good:"  # prefix of the sentences of `cxrbatch.evaluation.summary` that are no weakness
_MARKUP = re.compile(r"[\\`*\[\]<>|&~]")


def model_card(bundle: Bundle, evaluation: Mapping[str, Any] | None = None) -> str:
    """Write the model card of a bundle.

    Parameters
    ----------
    bundle : Bundle
    evaluation : mapping, optional
        From `cxrbatch.evaluation.evaluate_sites`; by default the one that the bundle was shipped with.

    Returns
    -------
    str
        Markdown, the weaknesses first. A bundle that was never evaluated, or whose training is not known, gets a
        card that states this.
    """
    shown = bundle.evaluation if evaluation is None else evaluation
    return "\n".join(
        (
            f"# Model card: bundle `{_code(bundle.name)}`\n",
            f"Bundle `{_code(bundle.id)}`. Generated from what was measured; not edited by hand.\n",
            _weaknesses(shown),
            _USE,
            *([_headline(shown)] if shown else []),
            *map(_section, all_sections(bundle, shown)),
            _training(bundle.training),
            *([_reporting(shown)] if shown else []),
            *_data(bundle, shown),
        )
    )


def _weaknesses(evaluation: Mapping[str, Any]) -> str:
    return "\n".join(["## Weaknesses first\n", *(f"* {line}" for line in _weak_points(evaluation))]) + "\n"


def _weak_points(evaluation: Mapping[str, Any]) -> Iterator[str]:
    if not evaluation:
        yield (
            "**This bundle has no evaluation: nothing is known of what its scores are worth in any hospital.** "
            "`cxrbatch evaluate` measures it."
        )
    for target in targets(evaluation) if evaluation else ():
        if target.missed:
            yield f"**Not reached: {_text(target.text)}: {target.figure}, target {target.limit}.**"
    sentences = [*evaluation.get("caveats", ()), *evaluation.get("verdict", ())]
    yield from (f"**{_text(line)}**" for line in dict.fromkeys(sentences) if not line.startswith(_GOOD))
    yield from _known_beforehand(evaluation)


def _known_beforehand(evaluation: Mapping[str, Any]) -> Iterator[str]:
    line = evaluation.get("calibration", {}).get("covid_given_abnormal")
    if line and line["slope"] == 0:
        yield (
            "**COVID-19 is not told from other pneumonia**: what was learnt about it did not carry over to "
            "publishers that did not teach, so it has no say: the two scores are always in the same proportion."
        )
    yield "Scores are not probabilities and are not comparable between hospitals: rank within one hospital only."
    if any(row["question"] == KIND for row in evaluation.get("within_site", ())):
        yield "The COVID-19 images are from published cases of early 2020, not from consecutive patients."


def _headline(evaluation: Mapping[str, Any]) -> str:
    row = headline_row(evaluation)
    if row is None:
        return "## Headline\n\nNo site has enough patients on both sides of any question.\n"
    unseen = row["exposure"] in (Exposure.LEFT_OUT, Exposure.NOT_TRAINED_ON)
    kind = "that took no part in training" if unseen else "of all, though it may have taught"
    lines = [
        f"## Headline\n\n**AUROC {interval(site_auroc(row))}** within the worst site {kind}: "
        f"{_text(row['question'])} at {_text(row['site'])} "
        f"({row['n_positive']} against {row['n_negative']} patients), ranked by {_text(row['ranked_by'])}.\n"
    ]
    floor = "; ".join(f"{_text(who)}: {area}" for who, area in confound_floor(evaluation, row))
    good = [line for line in evaluation.get("verdict", ()) if line.startswith(_GOOD)]
    lines.append(f"Reached without an image, across sites (AUROC): {floor or 'not measured'}.\n")
    lines += [f"{_text(line)}\n" for line in good]
    return "\n".join(lines)


def _section(section: Section) -> str:
    parts = [f"## {_text(section.title)}\n", f"{_text(section.text)}\n"]
    return "\n".join([*parts, _table(section.table)] if section.table else parts)


def _table(table: Table) -> str:
    rules = ["---"] * table.n_text + ["---:"] * (len(table.header) - table.n_text)
    lines: Iterable[Sequence[str]] = (
        [_text(name) for name in table.header],
        rules,
        *([_cell(cell) for cell in row] for row in table.rows),
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(cell: Cell) -> str:
    text = _text(cell.text) + (f" ({_text(cell.note)})" if cell.note else "")
    return f"**{text}, {_text(cell.mark)}**" if cell.mark else text


def _training(training: Mapping[str, Any]) -> str:
    recipe = training.get("recipe")
    if not recipe:
        origin = training.get("origin", "made elsewhere, and how it was trained is not known")
        return (
            f"## How it was trained\n\nThe network was {_text(origin)}. Whether a site or a patient above took "
            "part in its training cannot be told.\n"
        )
    method = _METHOD_CLASSES if recipe["fit"].get("method") == "classes" else _matched_pairs(recipe)
    stopping = f" Stopped {_text(training['stopping'])}." if training.get("stopping") else ""
    return f"{method}\n{training['parameters']:,} parameters.{stopping}\n"


def _matched_pairs(recipe: Mapping[str, Any]) -> str:
    reads_lungs = recipe.get("network", {}).get("architecture") == "lung"
    person = _PERSON if recipe["fit"].get("person_pairs") else ""
    return _METHOD.format(person=person, network=_LUNG if reads_lungs else _RESIDUAL)


def _reporting(evaluation: Mapping[str, Any]) -> str:
    rows = [[_text(cell) for cell in item] for item in reporting_items(evaluation)]
    lines = [("item", "met", "how, or why not"), ("---", "---", "---"), *rows]
    return (
        "## Reporting items and risk of bias\n\n"
        "The failing ones first, of those that apply. TRIPOD+AI: Collins et al., BMJ 2024;385:e078378. CLAIM: "
        "Tejani et al., Radiology: Artificial Intelligence 2024;6:e240300. PROBAST: Wolff et al., Annals of Internal "
        "Medicine 2019;170:51.\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
    )


def _data(bundle: Bundle, evaluation: Mapping[str, Any]) -> Iterator[str]:
    trained_on = set(bundle.training.get("images", {}))
    tested = {row["source"] for row in evaluation.get("shares", ())} | set(evaluation.get("images") or {})
    named = [text for sources, text in DATA_LICENCES.items() if (trained_on | tested) & set(sources)]
    if named:
        yield "".join(["## Data: licences and citations\n\n", *named])
    if trained_on:
        yield "Because of the non-commercial images the weights are for research use only.\n"


def _text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup; the result is one line."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", visible(text))


def _code(text: str) -> str:
    """Replace backticks, because nothing can be escaped between backticks."""
    return visible(text).replace("`", "'")


DATA_LICENCES: Mapping[tuple[str, ...], str] = {
    ("ieee8023",): """\
* **covid-chestxray-dataset** (ieee8023). Licence per image, many CC BY-NC-SA 4.0. J. P. Cohen, P. Morrison, L. Dao,
  K. Roth, T. Q. Duong, M. Ghassemi: COVID-19 Image Data Collection: Prospective Predictions Are the Future,
  arXiv:2006.11988, 2020.
""",
    ("kaggle",): """\
* **Chest X-Ray Images (Pneumonia)** (Kaggle, paultimothymooney/chest-xray-pneumonia). CC BY 4.0. D. Kermany,
  K. Zhang, M. Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for Classification,
  Mendeley Data, 2018.
""",
    ("nih",): """\
* **NIH ChestX-ray8** (NIH Clinical Center). Free with attribution. X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri,
  R. M. Summers: ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, CVPR 2017.
""",
    ("bimcv", "rsna"): """\
* **COVID-19 Radiography Database** (Qatar University, University of Dhaka): BIMCV-COVID19+ and RSNA
  images. For research, with citation. M. E. H. Chowdhury et al.: Can AI Help in Screening Viral and COVID-19
  Pneumonia?, IEEE Access 8, 2020; T. Rahman et al.: Exploring the effect of image enhancement techniques on COVID-19
  detection using chest X-ray images, Computers in Biology and Medicine 132, 2021.
""",
    ("siim",): """\
* **SIIM-FISABIO-RSNA COVID-19** (from BIMCV-COVID19 and RICORD). Research only, non-commercial, not to be passed on.
  P. Lakhani, J. Mongan, C. Singhal et al.: The 2021 SIIM-FISABIO-RSNA Machine Learning COVID-19 Challenge, Journal of
  Digital Imaging 36, 2023. M. de la Iglesia Vayá et al.: BIMCV COVID-19+, arXiv:2006.01174, 2020. E. B. Tsai et al.:
  The RSNA International COVID-19 Open Radiology Database, Radiology 299, 2021. Labels are radiological appearance,
  not PCR.
""",
}
"""Licences and citations by sources: each is one item of a Markdown list."""


if __name__ == "__main__":
    sys.stdout.write(model_card(load_bundle()))
