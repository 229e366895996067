"""Find the attributes of the one frame of an enhanced image: dataset in, dataset that holds them out."""

from pydicom.dataset import Dataset

from cxrbatch.read.dicom import elements as el

_FUNCTIONAL_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")


def frame_attributes(dataset: Dataset, macro: str) -> Dataset:
    """Return where attributes of a functional group stand (PS3.3 C.7.6.16).

    Parameters
    ----------
    macro : str
        Keyword of the sequence that holds the attributes, such as ``FrameVOILUTSequence``.

    Returns
    -------
    Dataset
        The item of the first frame, else the one of all frames; the dataset itself where there is neither, as in all
        objects that are not enhanced.
    """
    for keyword in _FUNCTIONAL_GROUPS:
        for group in el.items(dataset, keyword)[:1]:
            for item in el.items(group, macro)[:1]:
                return item
    return dataset
