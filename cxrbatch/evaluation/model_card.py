"""Write MODEL_CARD.md: bundle and evaluation in, Markdown out. Every figure in it was measured.

``python -m cxrbatch.evaluation.model_card > MODEL_CARD.md`` writes the card of the shipped bundle.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cxrbatch._lib.text import visible
from cxrbatch.bundle import Bundle, DataLicence, WeightsLicence, load_bundle, state_worth
from cxrbatch.datasets import IMAGENET, licences_of, weights_licence
from cxrbatch.evaluation.checklists import reporting_items
from cxrbatch.evaluation.matched import site_auroc
from cxrbatch.evaluation.plain_words import HOW_GOOD, plain_words
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
{lines}
{network}
* A fixed number of batches, because validation on a source of the training set cannot tell when to stop.
* Near-duplicates within and across sources were removed before any split; patients who share a radiograph are one
  patient; a radiograph found under two labels was removed altogether, unless one of its two copies is only for
  tests.
"""

_FITTED = """\
* Their slopes and offsets were fitted on left-out sites. A question that does not carry over to new sites gets a
  slope near zero and so hardly any say in the score.\
"""

_NOT_FITTED = """\
* Their slopes are 1 and their offsets 0: no site was left out on which they could have been fitted.\
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
        Markdown: half a page in plain words, then the weaknesses, then tables. A bundle that was never evaluated, or
        whose training is not known, gets a card that states this.
    """
    shown = bundle.evaluation if evaluation is None else evaluation
    answers = plain_words(bundle, shown)
    return "\n".join(
        (
            f"# Model card: bundle `{_code(bundle.name)}`\n",
            f"Bundle `{_code(bundle.id)}`. Generated from what was measured; not edited by hand.\n",
            _plain_words(answers, shown),
            _weaknesses(shown),
            *_how_good(answers),
            *([_headline(shown)] if shown else []),
            *map(_section, all_sections(bundle, shown)),
            _training(bundle.training),
            *([_reporting(shown)] if shown else []),
            *_data(bundle, shown),
        )
    )


def _plain_words(answers: Mapping[str, Sequence[str]], evaluation: Mapping[str, Any]) -> str:
    """Write half a page: what the bundle is worth in one sentence, then all answers but the many figures."""
    worth = [f"**{_text(state_worth(evaluation))}**\n"] if evaluation else []
    shown = {heading: lines for heading, lines in answers.items() if lines and heading != HOW_GOOD}
    return "\n".join(
        ["## In plain words\n", *worth, *(f"**{name}.**\n\n{_list(lines)}" for name, lines in shown.items())]
    )


def _how_good(answers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if lines := answers.get(HOW_GOOD):
        yield f"## {HOW_GOOD}\n\n{_list(lines)}"


def _list(lines: Iterable[str]) -> str:
    return "".join(f"* {_text(line)}\n" for line in lines)


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
    method = _METHOD_CLASSES if recipe["fit"].get("method") == "classes" else _matched_pairs(training)
    stopping = f" Stopped {_text(training['stopping'])}." if training.get("stopping") else ""
    return f"{method}\n{training['parameters']:,} parameters.{stopping}\n"


def _matched_pairs(training: Mapping[str, Any]) -> str:
    recipe = training["recipe"]
    has_folds = training.get("measured", True) and recipe.get("folds", True)
    reads_lungs = recipe.get("network", {}).get("architecture") == "lung"
    person = _PERSON if recipe["fit"].get("person_pairs") else ""
    return _METHOD.format(
        person=person,
        lines=_FITTED if has_folds else _NOT_FITTED,
        network=_LUNG if reads_lungs else _RESIDUAL,
    )


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
    licence = _licence(bundle)
    tested = {row["source"] for row in evaluation.get("shares", ())} | set(evaluation.get("images") or {})
    trained_on = licence.data if licence else ()
    only_tested = [each for each in licences_of(tested) if each not in trained_on]
    if licence or only_tested:
        yield "## Data: licences and citations\n"
    if licence:
        yield f"**The weights: {_text(licence.terms)}** They were trained on:\n"
        yield "".join(map(_data_item, trained_on))
    if only_tested:
        yield "Only measured on:\n"
        yield "".join(map(_data_item, only_tested))


def _licence(bundle: Bundle) -> WeightsLicence | None:
    """Return the licence that a bundle states; of one without it that of its training, where that is known."""
    training = bundle.training
    taught = training.get("taught") or training.get("images")
    if bundle.licence or not taught:
        return bundle.licence
    is_pretrained = training.get("recipe", {}).get("network", {}).get("architecture") == "lung"
    return weights_licence(taught, *([IMAGENET] if is_pretrained else []))


def _data_item(data: DataLicence) -> str:
    cited = " ".join(f"{_text(each)}." for each in data.cite)
    return f"* **{_text(data.name)}**. {_text(data.licence)} {cited}".rstrip() + "\n"


def _text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup; the result is one line."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", visible(text))


def _code(text: str) -> str:
    """Replace backticks, because nothing can be escaped between backticks."""
    return visible(text).replace("`", "'")


if __name__ == "__main__":
    sys.stdout.write(model_card(load_bundle()))
