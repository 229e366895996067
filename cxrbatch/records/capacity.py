"""Records of the expected yield of a number of swabs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An expected figure, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Expected yield of testing some of the patients on the list.

    Attributes
    ----------
    share : Expected
        Share of the PCR-positive ranked patients who are among those tested, 0–1.
    positives : Expected
        Number of PCR-positive patients among those tested.
    tests_per_positive : Expected
        Number needed to test; infinite where none is expected.
    """

    share: Expected
    positives: Expected
    tests_per_positive: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityYield:
    """Expected yield of a number of swabs; see `cxrbatch.triage.capacity_yield`.

    Attributes
    ----------
    n_swabs : int
        As stated with ``--capacity``, 1 or more.
    n_ranked : int
        Patients on the list.
    n_max_wait : int
        Patients at the top of the list because of ``--max-nights``, independent of their score.
    prevalence : float or None
        Share of the ranked patients with COVID-19, as stated, above 0 and below 1.
    from_top, at_random : Reach or None
        Yield of the first patients of the list, and of as many in random order. None without a prevalence, a measured
        curve or a ranked patient.
    measured_on : str
        Description of the patients on whom the bundle's curve was measured; empty where it has no curve.
    """

    n_swabs: int
    n_ranked: int
    n_max_wait: int = 0
    prevalence: float | None = None
    from_top: Reach | None = None
    at_random: Reach | None = None
    measured_on: str = ""
