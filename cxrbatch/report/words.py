"""The texts of the page of a report, in one place: a key and values in, a sentence out.

Templates and the script take every word that people read from here, so that a translation is one more table. A text
with ``|`` has two forms, for one and for any other number ``n``.
"""

from collections.abc import Mapping
from typing import Any

TEXTS: Mapping[str, str] = {
    # first screen
    "title": "Swab list",
    "of_night": "night of",
    "swab_first": "Swab this patient first|Swab these {n} first",
    "swab_from_top": "Swab in this order, from the top",
    "swab_all": "There is a swab for the one ranked patient|There is a swab for each of the {n} ranked patients",
    "none_ranked": "Nobody can be ranked tonight",
    "need_human": "{n} needs a human|{n} need a human",
    "more_to_check": "{n} more to check",
    "waiting": "{n} waits for a result|{n} wait for a result",
    "no_rule_out": "A low score does not rule out COVID-19",
    "n_patients": "{n} patient|{n} patients",
    "n_files": "{n} file|{n} files",
    "n_ranked": "{n} ranked",
    "n_no_image": "{n} no radiograph|{n} no radiographs",
    "since_earlier": "{n} of them since an earlier night",
    "old": "This list is {n} hours old. A newer one should be here by now: load the page again, "
    "or ask whoever runs cxrbatch.",
    "previous_report": "Previous list, night of {night}",
    "more": "What these figures mean, and where they come from",
    # controls
    "find": "Find",
    "find_hint": "id or accession number",
    "find_hint_name": "id, accession number or name",
    "no_match": "No patient matches",
    "help": "Keys (?)",
    "help_title": "Keys",
    "priority": "Priority",
    "show_all": "Show all",
    "dark": "Dark",
    "print": "Print all",
    "print_first": "Print the first",
    "print_these": "Print",
    "sorted": "Sorted by {column}: not the swab order",
    "in_order": "Back to the swab order",
    "only_first": "The first {n} of {all} ranked patients",
    "copy": "Copy list",
    "copy_line": "Copy line",
    "copied": "Copied",
    "done": "Done",
    "mark": "Done: {name}",
    "n_done": "{n} of {all} done",
    "new": "new",
    "new_meaning": "On the list for the first time tonight",
    "filtered": "FILTERED: {parts}",
    "part_ranked": "{n} of {all} ranked",
    "part_human": "{n} of {all} for a human",
    "part_waiting": "{n} of {all} waiting for a result",
    # ranking
    "ranking": "Ranking",
    "ranking_note": "Rank 1 is swabbed first. A score orders the list; it is no probability.",
    "tick": "Tick the box when the swab is taken.",
    "line": "Rank 1 first: there is one swab|Ranks 1 to {n} first: there are {n} swabs",
    "urgent_below": "{n} urgent below the line",
    "max_wait_group": "First because of the wait, whatever the score: {n} patient|"
    "First because of the wait, whatever the score: {n} patients",
    "score_group": "By score: {n} patient|By score: {n} patients",
    "same_for_all": "The same for all:",
    "no_score_at_all": "No patient has a score.",
    "rank": "Rank",
    "image": "Image",
    "patient": "Patient",
    "patients": "Patients",
    "accession": "Accession number",
    "study_date": "Study date",
    "score": "COVID-19 score",
    "pneumonia": "Other pneumonia",
    "normal": "Normal",
    "probability": "Probability at a prevalence of {share}",
    "n_images": "Images",
    "nights": "Nights waiting",
    "flags": "Note",
    "issuer": "issuer of the patient number",
    "viewer": "Viewer",
    "not_shown": "not stated, or not readable",
    "show_name": "Name",
    "show_birth-date": "birth date",
    "show_sex": "sex",
    "show_station": "station",
    "show_study-time": "study time",
    "not_stated": "age and view not stated",
    "not_stated_meaning": "age, view and body part are not stated: make sure that it is a frontal view of an adult",
    # a human must look
    "human": "A human must look at these",
    "human_note": "{n} patient without a score. A missing score is neither a high nor a low one.|"
    "{n} patients without a score. A missing score is neither a high nor a low one.",
    "no_human": "None tonight: every patient has a score.",
    "check": "Ranked, but check these",
    "check_note": "{n} patient with a rank and a note that a human must clear up.|"
    "{n} patients with a rank and a note that a human must clear up.",
    "why": "Why there is no score",
    "found": "What was found, in which file",
    "one_of": "one of {n} images",
    # swabbed
    "swabbed": "Waiting for the result",
    "swabbed_note": "{n} patient swabbed already: no further swab is needed while the result is on its way.|"
    "{n} patients swabbed already: no further swab is needed while the result is on its way.",
    "swabbed_on": "Swabbed on",
    "score_flags": "COVID-19 score, notes",
    # one patient
    "why_ranked": "Rank {rank} of {n}: COVID-19 score {score}",
    "why_waited": "Rank {rank} of {n} because of the wait: COVID-19 score {score}",
    "why_human": "No score: {reason}",
    "why_waiting": "Swabbed on {day}: waits for the result",
    "band_urgent": "urgent ({least} and above)",
    "band_high": "high ({least} to {below})",
    "band_routine": "routine (below {below})",
    "pneumonia_higher": "Other pneumonia scores higher: {score}",
    "normal_higher": "Normal scores higher: {score}",
    "previous": "Previous patient (k)",
    "next": "Next patient (j)",
    "close": "Close (Esc)",
    "large_note": "Preview, not for reading",
    "small_note": "Only a small preview: large ones are kept for the first patients of the list",
    "no_image": "No image: it could not be decoded",
    "brightness": "Brightness",
    "contrast": "Contrast",
    "as_it_was": "As it was",
    "no_map": "No map",
    "no_map_network": "No map: this model does not say where in the image it looked",
    "no_map_gone": "No map: the file is not in the export any more",
    "no_map_flat": "No map: no part of the image counts more than another for this model",
    "map_note": "Where the network looked, not where disease is",
    "map_abnormal": "Any pneumonia",
    "map_covid": "COVID-19 against other pneumonia",
    "map_attention": "COVID-19",
    "outside_lungs": "{share} of the evidence for this COVID-19 score lies outside the lungs "
    "(above {limit}: do not trust it)",
    "map_outside_lungs": "{share} of the evidence for this COVID-19 score lies outside the lungs: do not trust it",
    "images_title": "Images of this patient",
    "earlier_title": "On earlier nights",
    "earlier_row": "{night}: place {place}, score {score}",
    "not_here": "not in the export",
    "no_loss": "a copy (SOPInstanceUID) of a scored image: nothing is lost",
    "keys": "j, k or arrows: next, previous patient · Enter: open · Esc: close · /: find · x: done · ?: these keys",
    # end of the page
    "flags_title": "What the notes mean",
    "flag": "Note",
    "meaning": "Meaning",
    "reasons_title": "Files without a score",
    "reasons_note": "By reason; each file is named in {file}.",
    "reason": "Reason",
    "not_scored": "Not scored",
    "no_radiograph": "No radiograph",
    "all": "all",
    "origin": "How this list was made",
}
"""Every text of the page, by key; what comes from a bundle or a file is not here."""

OF_THE_SCRIPT = (
    "old",
    *("filtered", "no_match", "part_ranked", "part_human", "part_waiting"),
    *("sorted", "only_first", "copied", "mark", "n_done"),
    *("large_note", "small_note", "no_image", "no_map", "earlier_row"),
    *("why_ranked", "why_waited", "why_human", "why_waiting", "pneumonia_higher", "normal_higher"),
)
"""Texts that the script fills in."""


def say(key: str, n: int | None = None, **values: Any) -> str:
    """Return a text with its values filled in, in the form for `n`.

    Raises
    ------
    KeyError
        There is no such text, or a value is missing.
    """
    one, _, many = TEXTS[key].partition("|")
    return (one if n == 1 or not many else many).format(n=n, **values)
