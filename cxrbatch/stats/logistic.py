"""Fit weighted logistic regression with a ridge, by Newton's method: small enough to need no library."""

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats.arrays import Floats

LEAST = 1e-6
"""Least distance of a score from 0 and 1: scores are printed with six decimals."""

_STEPS = 50
_HALVINGS = 30
_ENOUGH = 1e-10


def sigmoid(x: NDArray[np.floating]) -> Floats:
    """Compute 1 / (1 + e⁻ˣ) of an array, without overflow; same shape, 0–1."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x, np.float64)))


def logit(p: NDArray[np.floating]) -> Floats:
    """Compute ln(p / (1 - p)) of an array of scores, clipped to at least `LEAST` from 0 and 1; same shape."""
    kept = np.clip(np.asarray(p, np.float64), LEAST, 1 - LEAST)
    return np.log(kept) - np.log1p(-kept)


def fit_logistic(
    design: Floats, y_true: NDArray[np.bool_], weight: Floats, *, ridge: float, offset: Floats | float = 0.0
) -> Floats:
    """Fit coefficients: least weighted negative log-likelihood plus half the ridge times their squared norm.

    Parameters
    ----------
    design : ndarray of float64, shape (n, k)
    y_true : ndarray of bool, shape (n,)
    weight : ndarray of float64, shape (n,)
    ridge : float
        Above 0, in units of the weights.
    offset : ndarray of float64, shape (n,), or float
        Added to the linear predictor, without a coefficient.

    Returns
    -------
    ndarray of float64, shape (k,)
        The coefficients.
    """

    def loss(beta: Floats) -> float:
        x = design @ beta + offset
        return float(weight @ (np.logaddexp(0, x) - y_true * x) + 0.5 * ridge * beta @ beta)

    beta = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = sigmoid(design @ beta + offset)
        gradient = design.T @ (weight * (p - y_true)) + ridge * beta
        hessian = (design.T * (weight * p * (1 - p))) @ design + ridge * np.eye(len(beta))
        step = np.linalg.solve(hessian, gradient)
        sizes = 0.5 ** np.arange(_HALVINGS)
        size = next((size for size in sizes if loss(beta - size * step) <= loss(beta)), 0.0)
        beta = beta - size * step
        if size * np.abs(step).max() < _ENOUGH:
            break
    return beta
