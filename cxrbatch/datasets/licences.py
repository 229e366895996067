"""Licences of the public collections, and of weights that were trained on them: sources in, licences out."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cxrbatch.bundle import DataLicence, WeightsLicence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Collection:
    """A public collection.

    Attributes
    ----------
    sources : tuple of str
        What its images name as their source.
    non_commercial : bool
        True if some of its images are for research only, or not for commercial use.
    """

    sources: tuple[str, ...]
    licence: DataLicence
    non_commercial: bool


_COLLECTIONS = (
    _Collection(
        sources=("siim",),
        licence=DataLicence(
            name="SIIM-FISABIO-RSNA COVID-19 (from BIMCV-COVID19 and RICORD)",
            licence="Research only, non-commercial, not to be passed on.",
            cite=(
                "P. Lakhani, J. Mongan, C. Singhal et al.: The 2021 SIIM-FISABIO-RSNA Machine Learning COVID-19 "
                "Challenge, Journal of Digital Imaging 36, 2023",
                "M. de la Iglesia Vayá et al.: BIMCV COVID-19+, arXiv:2006.01174, 2020",
                "E. B. Tsai et al.: The RSNA International COVID-19 Open Radiology Database, Radiology 299, 2021",
            ),
        ),
        non_commercial=True,
    ),
    _Collection(
        sources=("ieee8023",),
        licence=DataLicence(
            name="covid-chestxray-dataset (ieee8023)",
            licence="Licence per image, many CC BY-NC-SA 4.0.",
            cite=(
                "J. P. Cohen, P. Morrison, L. Dao, K. Roth, T. Q. Duong, M. Ghassemi: COVID-19 Image Data "
                "Collection: Prospective Predictions Are the Future, arXiv:2006.11988, 2020",
            ),
        ),
        non_commercial=True,
    ),
    _Collection(
        sources=("kaggle",),
        licence=DataLicence(
            name="Chest X-Ray Images (Pneumonia) (Kaggle, paultimothymooney/chest-xray-pneumonia)",
            licence="CC BY 4.0.",
            cite=(
                "D. Kermany, K. Zhang, M. Goldbaum: Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
                "Images for Classification, Mendeley Data, 2018",
            ),
        ),
        non_commercial=False,
    ),
    _Collection(
        sources=("nih",),
        licence=DataLicence(
            name="NIH ChestX-ray8 (NIH Clinical Center)",
            licence="Free with attribution.",
            cite=(
                "X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri, R. M. Summers: ChestX-ray8: Hospital-scale Chest X-ray "
                "Database and Benchmarks, CVPR 2017",
            ),
        ),
        non_commercial=False,
    ),
    _Collection(
        sources=("bimcv", "rsna"),
        licence=DataLicence(
            name="COVID-19 Radiography Database (Qatar University, University of Dhaka): images of BIMCV and RSNA",
            licence="For research, with citation.",
            cite=(
                "M. E. H. Chowdhury et al.: Can AI Help in Screening Viral and COVID-19 Pneumonia?, IEEE Access 8, "
                "2020",
                "T. Rahman et al.: Exploring the effect of image enhancement techniques on COVID-19 detection using "
                "chest X-ray images, Computers in Biology and Medicine 132, 2021",
            ),
        ),
        non_commercial=True,
    ),
)

IMAGENET = DataLicence(
    name="ImageNet (photographs, on which EfficientNet-Lite0 was pretrained)",
    licence="For non-commercial research and education. The pretrained weights are under Apache-2.0.",
    cite=(
        "O. Russakovsky, J. Deng, H. Su et al.: ImageNet Large Scale Visual Recognition Challenge, International "
        "Journal of Computer Vision 115, 2015",
        "M. Tan, Q. V. Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019",
    ),
)
"""What a pretrained backbone comes with."""

_NON_COMMERCIAL = (
    "Not under the MIT licence of the program: for research only and not for commercial use, as some of the images "
    "on which these weights were trained are."
)
_OF_THE_DATA = "Not under the MIT licence of the program: the licences of the training data apply."

KNOWN_SOURCES = frozenset(source for each in _COLLECTIONS for source in each.sources)
"""Sources whose licence is known."""


def unknown_licence(name: str) -> DataLicence:
    """Describe data whose licence is not known here."""
    return DataLicence(name=name, licence="Not known here: ask whoever holds it.")


def licences_of(sources: Collection[str]) -> Iterator[DataLicence]:
    """Yield the licences of the collections that the sources are of, then one for each source not known here."""
    yield from (each.licence for each in _COLLECTIONS if not set(each.sources).isdisjoint(sources))
    for source in sorted(set(sources) - KNOWN_SOURCES):
        yield unknown_licence(source)


def weights_licence(sources: Collection[str], *pretraining: DataLicence) -> WeightsLicence:
    """Derive the licence of weights from what they were trained on.

    Parameters
    ----------
    sources : collection of str
        Sources of the training set.
    *pretraining : DataLicence
        Of what they were trained on before.
    """
    bound = {source for each in _COLLECTIONS if each.non_commercial for source in each.sources}
    is_bound = IMAGENET in pretraining or not bound.isdisjoint(sources)
    data = (*licences_of(sources), *pretraining)
    return WeightsLicence(terms=_NON_COMMERCIAL if is_bound else _OF_THE_DATA, data=data)
