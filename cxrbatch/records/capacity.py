"""What a number of swabs is expected to find."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A figure that is expected, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What testing some of the list's patients is expected to find.

    Attributes
    ----------
    share : Expected
        Of the ranked patients who are PCR-positive, the share among them, 0–1.
    positives : Expected
        Their number.
    tests_per_positive : Expected
        Number needed to test; infinite where none is expected.
    """

    share: Expected
    positives: Expected
    tests_per_positive: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityYield:
    """What a number of swabs buys, see `cxrbatch.triage.capacity`.

    Attributes
    ----------
    n_swabs : int
        As stated with ``--capacity``, 1 or more.
    n_ranked : int
        Patients on the list.
    n_max_wait : int
        Those who stand at its top because of ``--max-nights``, whatever their score.
    prevalence : float or None
        Share of the ranked patients with COVID-19, as stated.
    from_top, at_random : Reach or None
        Of the first of the list, and of as many in random order; None where it cannot be said: without a prevalence,
        a measured curve or a ranked patient.
    measured_on : str
        Patients on whom the bundle's curve was measured, in words; empty where it has none.
    """

    n_swabs: int
    n_ranked: int
    n_max_wait: int = 0
    prevalence: float | None = None
    from_top: Reach | None = None
    at_random: Reach | None = None
    measured_on: str = ""
