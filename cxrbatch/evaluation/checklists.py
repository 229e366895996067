"""Answer the items of TRIPOD+AI, CLAIM and PROBAST that apply: evaluation in, items out, the failing ones first.

The answers are about the public collections that the recipes name and about how `cxrbatch` evaluates. The numbers of
patients are those of the evaluation.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Item(NamedTuple):
    """One item: its text, its answer (such as yes, no or partly), and how it is met or why not."""

    requirement: str
    met: str
    how: str


_ITEMS = (
    Item(
        "PROBAST 1.1, appropriate sources of participants",
        "no",
        "Public collections gathered for teaching machines: convenience samples, looked back on. No consecutive "
        "patients who were suspected of COVID-19 in one place.",
    ),
    Item(
        "PROBAST 1.2, appropriate inclusions and exclusions",
        "no",
        "The collections chose cases worth showing; the ill and the healthy often come from different places. What "
        "was excluded here is counted in this card.",
    ),
    Item(
        "PROBAST 2.1, predictors assessed alike in all",
        "no",
        "Device, view, compression and size differ between and within the collections. One preprocessing for all.",
    ),
    Item(
        "PROBAST 2.2, predictors assessed without knowledge of the outcome",
        "unclear",
        "The score is made without the label. Whether a picture was taken, chosen or cropped with the diagnosis in "
        "mind is not known.",
    ),
    Item(
        "PROBAST 2.3, predictors available when the list is made",
        "yes",
        "Only the pixels of the radiograph are used.",
    ),
    Item(
        "PROBAST 3.1 and 3.2, outcome determined appropriately, by a standard definition",
        "no",
        "COVID-19 as the collections label it, from published reports: not by a PCR of every patient. The labels "
        "of NIH come from reports by text mining.",
    ),
    Item(
        "PROBAST 3.3, predictors excluded from the outcome definition",
        "no",
        "Pneumonia, and the absence of a finding, are labels given from the radiograph itself or its report.",
    ),
    Item("PROBAST 3.4, outcome determined alike in all", "no", "Every collection labelled by its own rules."),
    Item(
        "PROBAST 3.5 and 3.6, outcome blind to the predictors, at an appropriate interval",
        "no",
        "Reports were written with the radiograph in view; the time between PCR and radiograph is mostly not given.",
    ),
    Item(
        "PROBAST 4.3, all participants in the analysis",
        "partly",
        "Patients whose images the gate refuses or whose file is missing are not; they are counted by reason.",
    ),
    Item(
        "PROBAST 4.4 and TRIPOD+AI 11, missing data",
        "partly",
        "Nothing is imputed. Unknown view, sex and age are strata of their own; an unknown view keeps an image of "
        "ieee8023 out.",
    ),
    Item(
        "PROBAST 4.6, sampling accounted for",
        "partly",
        "The share of ill patients is that of the collections. Calibration weighs both sides the same; figures that "
        "depend on the share, such as precision and the number needed to test, hold for none but it.",
    ),
    Item(
        "PROBAST 4.7 and TRIPOD+AI 12, relevant measures of performance",
        "yes",
        "Discrimination, calibration and what the list yields, within each site, by patient, with 95 % intervals "
        "from a bootstrap over patients. No decision curve: there are no agreed costs.",
    ),
    Item(
        "PROBAST 4.8, optimism accounted for",
        "partly",
        "Left-out sites are scored by networks trained without them. The recipe was chosen on the same sites, which "
        "makes their figures too good to an extent that is not known.",
    ),
    Item(
        "TRIPOD+AI 5b, dates",
        "partly",
        "COVID-19 images of ieee8023 until June 2020; the other collections do not give the dates of single images.",
    ),
    Item(
        "TRIPOD+AI 14, fairness",
        "partly",
        "View, sex and age bands where there are enough patients. Ethnicity and social position are not in the data.",
    ),
    Item(
        "TRIPOD+AI 17, ethical approval",
        "not applicable",
        "Public, de-identified images; approval lies with those who published them.",
    ),
    Item(
        "TRIPOD+AI 18c and 18d, protocol and registration",
        "no",
        "None. The targets were set beforehand and are all listed, those not reached too.",
    ),
    Item(
        "TRIPOD+AI 18e and 18f, data and code",
        "yes",
        "Public data, code in the package; a bundle that it trained holds its recipe.",
    ),
    Item("TRIPOD+AI 19, patient and public involvement", "no", "None."),
    Item(
        "TRIPOD+AI 27 and CLAIM, external validation and use in a clinic",
        "no",
        "No prospective evaluation, no reader study, no hospital has used it under observation.",
    ),
    Item(
        "CLAIM, partitions disjoint by patient",
        "yes",
        "Patients never part; near-duplicates are removed across collections before any split. Where a collection "
        "does not name its patients, the file is the patient. Of a network made elsewhere this cannot be checked.",
    ),
    Item(
        "CLAIM, robustness and what the network looks at",
        "yes",
        "Audits with changed pictures, beside what is reached without an image.",
    ),
)

_ORDER = {"no": 0, "unclear": 1, "partly": 2, "not applicable": 4}


def reporting_items(evaluation: Mapping[str, Any]) -> list[Item]:
    """List every item, the failing ones first.

    Parameters
    ----------
    evaluation : mapping
        From `cxrbatch.evaluation.evaluate_sites`.
    """
    items = [*_ITEMS, *_sample_size(evaluation)]
    return sorted(items, key=lambda item: _ORDER.get(item.met, 3))


_ENOUGH = 100


def _sample_size(evaluation: Mapping[str, Any]) -> list[Item]:
    smallest = min(
        evaluation.get("within_site", ()),
        key=lambda row: min(row["n_positive"], row["n_negative"]),
        default=None,
    )
    if smallest is None:
        return []
    n = min(smallest["n_positive"], smallest["n_negative"])
    return [
        Item(
            "PROBAST 4.1 and TRIPOD+AI 10, number of participants",
            "yes" if n >= _ENOUGH else "no",
            f"No calculation beforehand. The smallest group is {n} patients ({smallest['question']} at "
            f"{smallest['site']}); PROBAST asks for at least {_ENOUGH} with the outcome.",
        )
    ]
