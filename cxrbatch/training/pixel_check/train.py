"""Train the pixel check to recognise frontal chest radiographs: collections in, ``gate.npz`` out.

``python -m cxrbatch.training.pixel_check.train DATA --out gate.npz``, where DATA holds the collections that
`cxrbatch.training.pixel_check.examples.find_films` knows. With ``--measure`` the check is also trained without each
collection, and without each family of other images, and measured on the images that it was not trained on.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from cxrbatch.gate import N_FEATURES, ChestCheck
from cxrbatch.training.pixel_check.examples import (
    CT,
    FRONTAL,
    LATERAL,
    Examples,
    Film,
    find_films,
    make_examples,
)

LIMIT = -1.0
"""Least likeness that passes. Below 0: refusing a patient's radiograph costs more than scoring another image."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "noise": ("uniform_noise", "gaussian_noise", "power_law_texture", "same_spectrum"),
    "gradients": ("linear_gradient", "radial_gradient", "polynomial_gradient"),
    "pages": ("blank_page", "letter", "screen_form"),
    "photographs": ("dead_leaves", "landscape", "portrait", "room"),
    "slices": ("chest_ct", "other_ct", CT),
    "real slices": (CT,),
    "body parts": ("hand", "limb", "skull", "abdomen"),
    "negatives": ("negative",),
    "turned": ("upside_down", "lying"),
    "cut up": ("shuffled", "detail", "two_on_a_page"),
    "lateral": (LATERAL,),
}
"""Kinds that resemble each other; they are left out together."""

_N_HIDDEN, _ROUNDS, _BATCH, _RATE, _DECAY = 64, 5, 256, 2e-3, 0.01
_N_FOLDS = 5

Measured = tuple[str, str, int, int]
"""What was left out, the kind that was measured, number of images that passed, number of images."""


def fit(rows: NDArray[np.float32], is_chest: NDArray[np.bool_], seed: int = 0) -> ChestCheck:
    """Train the network by Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019) on the logistic loss.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, N_FEATURES)
    is_chest : ndarray of bool, shape (n,)
        True for frontal chest radiographs.
    """
    rng = np.random.default_rng(seed)
    parameters = _initial(rng)
    first, second = ([np.zeros_like(values) for values in parameters] for _ in range(2))
    n_batches = len(rows) // _BATCH
    batches = [
        rng.permutation(len(rows))[: n_batches * _BATCH].reshape(n_batches, _BATCH) for _ in range(_ROUNDS)
    ]
    for step, batch in enumerate(np.concatenate(batches), start=1):
        gradients = _gradients(parameters, rows[batch], is_chest[batch])
        rate = _RATE * (1 + np.cos(np.pi * step / (_ROUNDS * n_batches))) / 2
        for values, mean, square, gradient in zip(parameters, first, second, gradients, strict=True):
            mean[...] = 0.9 * mean + 0.1 * gradient
            square[...] = 0.999 * square + 0.001 * gradient**2
            scale = np.sqrt(square / (1 - 0.999**step)) + 1e-8
            values[...] -= rate * (mean / (1 - 0.9**step) / scale + _DECAY * values)
    return _check(parameters)


def _initial(rng: np.random.Generator) -> list[NDArray[np.float32]]:
    hidden = rng.normal(scale=N_FEATURES**-0.5, size=(N_FEATURES, _N_HIDDEN))
    output = rng.normal(scale=_N_HIDDEN**-0.5, size=_N_HIDDEN)
    return [values.astype(np.float32) for values in (hidden, np.zeros(_N_HIDDEN), output, np.zeros(1))]


def _gradients(
    parameters: Sequence[NDArray[np.float32]], rows: NDArray[np.float32], is_chest: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], ...]:
    hidden_weights, hidden_bias, output_weights, output_bias = parameters
    hidden = np.maximum(rows @ hidden_weights + hidden_bias, 0)
    odds_against = np.exp(-(hidden @ output_weights + output_bias).clip(-30, 30))
    error = ((1 / (1 + odds_against) - is_chest) / len(rows)).astype(np.float32)
    back = error[:, None] * output_weights * (hidden > 0)
    return rows.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(keepdims=True)


def _check(parameters: Sequence[NDArray[np.float32]]) -> ChestCheck:
    """Round to the half precision of the file, so that what is measured is what is loaded."""
    hidden_weights, hidden_bias, output_weights, output_bias = (
        values.astype(np.float16).astype(np.float32) for values in parameters
    )
    return ChestCheck(
        hidden_weights=hidden_weights,
        hidden_bias=hidden_bias,
        output_weights=output_weights,
        output_bias=float(output_bias[0]),
        limit=LIMIT,
    )


def measure(films: Sequence[Film], examples: Examples) -> Iterator[Measured]:
    """Measure checks on images outside their training set: without each collection, patient, family of images."""
    yield from _without_each_collection(films, examples)
    yield from _without_each_patient(films, examples)
    for family, kinds in FAMILIES.items():
        unseen = np.isin(examples.kinds, kinds)
        yield from _measure_unseen(examples, unseen, unseen, f"family {family}")


def _without_each_collection(films: Sequence[Film], examples: Examples) -> Iterator[Measured]:
    folders = _of_origin(examples, [film.folder for film in films])
    for folder in np.unique([film.folder.split("/")[0] for film in films]).tolist():
        unseen = np.char.startswith(folders, folder)
        tested = unseen & ((examples.kinds == FRONTAL) | (examples.origins < 0) | examples.varied)
        yield from _measure_unseen(examples, unseen, tested, f"collection {folder}")
    same_hospital = np.isin(folders, ("nih-chestxray8-subset", "covid-radiography-database/Normal"))
    yield from _measure_unseen(
        examples, same_hospital, same_hospital & (examples.kinds == FRONTAL), "collections NIH and RSNA"
    )


def _without_each_patient(films: Sequence[Film], examples: Examples) -> Iterator[Measured]:
    """Measure on lateral views and real slices: one collection only has them, so split its patients."""
    patients = _of_origin(examples, [f"{film.folder} {film.patient}" for film in films])
    names = np.unique(patients[np.isin(examples.kinds, (LATERAL, CT))])
    folds = np.random.default_rng(0).permutation(len(names)) % _N_FOLDS
    answers: list[Measured] = []
    for fold in range(_N_FOLDS):
        unseen = np.isin(patients, names[folds == fold])
        answers += _measure_unseen(examples, unseen, unseen & np.isin(examples.kinds, (LATERAL, CT)), "")
    for tested in (LATERAL, CT):
        counts = [(n_passed, n) for _, kind, n_passed, n in answers if kind == tested]
        n_passed, n = np.sum(counts, axis=0).tolist()
        yield f"patients in {_N_FOLDS} folds", tested, n_passed, n


def _measure_unseen(
    examples: Examples, unseen: NDArray[np.bool_], tested: NDArray[np.bool_], left_out: str
) -> Iterator[Measured]:
    """Train without `unseen` and count how many of `tested` pass; real images count as they are, not varied."""
    check = fit(examples.rows[~unseen], examples.kinds[~unseen] == FRONTAL)
    counted = tested & ~(examples.varied & np.isin(examples.kinds, (FRONTAL, LATERAL, CT)))
    passes = check.likeness(examples.rows) >= check.limit
    for kind in np.unique(examples.kinds[counted]).tolist():
        chosen = counted & (examples.kinds == kind)
        yield left_out, kind, int(passes[chosen].sum()), int(chosen.sum())


def _of_origin(examples: Examples, values: Sequence[str]) -> NDArray[np.str_]:
    """Look up the value of the `Film` that each image is made of; empty where drawn."""
    return np.array([*values, ""])[examples.origins]


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where gate.npz goes."
)
@click.option("--measure", "measured", is_flag=True, help="Print how many pictures pass that took no part.")
def main(data: Path, out: Path, *, measured: bool) -> None:
    """Train the pixel check with the collections in DATA."""
    films = find_films(data)
    examples = make_examples(films)
    fit(examples.rows, examples.kinds == FRONTAL).save(out)
    for left_out, kind, n_passed, n in measure(films, examples) if measured else ():
        click.echo(f"| {left_out} | {kind} | {n_passed} of {n} pass ({n_passed / n:.2%}) |")


if __name__ == "__main__":
    main()
