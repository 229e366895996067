"""Each way of running the network is fed alike, and the crop for LiteRT is Keras' own."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom import radiograph

from benchmarks import engines
from benchmarks.engines import TODAY, Engine, Measured
from cxrbatch.bundle import load_network, scores_only
from cxrbatch.bundle.bundle import load_bundle

PIXELS = np.arange(7 * 2 * 2, dtype=np.uint8).reshape(7, 2, 2)
BUNDLED = load_bundle()


def scored(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Three scores that are those of the image alone."""
    return np.repeat(pixels.mean((1, 2), dtype=np.float32)[:, None], 3, axis=1)


def measured(scores: NDArray[np.float32], *, keeps_bits: bool = True) -> Measured:
    return Measured(
        cpu_ms=1.234,
        images_per_s=810.4,
        start_s=0.05,
        start_cpu_s=0.04,
        peak_mib=95.4,
        scores=scores,
        keeps_bits=keeps_bits,
    )


# --- feeding


def test_every_batch_is_full_and_the_last_one_padded_with_zeros() -> None:
    seen: list[NDArray[np.uint8]] = []

    def run(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(batch.copy())
        return scored(batch)

    assert np.array_equal(engines.in_batches(run, 3, PIXELS), scored(PIXELS))
    assert [batch.shape for batch in seen] == [(3, 2, 2)] * 3
    assert np.array_equal(np.concatenate(seen)[:7], PIXELS)
    assert not seen[-1][1:].any()


def test_bits_are_kept_by_who_looks_at_one_image_only() -> None:
    assert engines.keeps_bits(scored, PIXELS, scored(PIXELS))


def test_bits_are_lost_by_the_place_in_the_batch_or_by_the_neighbours() -> None:
    def placed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return scored(pixels) + np.arange(len(pixels), dtype=np.float32)[:, None] * np.float32(1e-6)

    def neighbourly(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return scored(pixels) + np.float32(len(pixels))

    for run in (placed, neighbourly):
        assert not engines.keeps_bits(run, PIXELS, run(PIXELS))


# --- crop


@pytest.mark.parametrize(
    ("columns", "left", "rows", "upper"),
    [(1.0, 0.0, 1.0, 0.0), (0.5, 10.25, 0.7, 3.6), (1.3, -7.7, 1.1, -4.2), (0.25, 30.0, 0.4, 30.5)],
)
def test_crop_of_two_matrix_products_is_the_affine_transform(
    columns: float, left: float, rows: float, upper: float
) -> None:
    import keras

    images = np.stack([radiograph(40, 32, seed=seed) for seed in (1, 2)])[..., None].astype(np.float32) * 255
    transform = np.array([[columns, 0, left, 0, rows, upper, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0]], np.float32)
    expected = keras.ops.image.affine_transform(
        images, transform, interpolation="bilinear", fill_mode="nearest", data_format="channels_last"
    )
    found = np.asarray(engines.matrix_crop(keras.ops, keras.ops.convert_to_tensor(images), transform))
    assert found == pytest.approx(np.asarray(expected), abs=1e-3)
    assert found[1] == pytest.approx(images[1], abs=0)


def test_shipped_network_needs_no_other_crop_and_its_copy_has_the_same_scores() -> None:
    import keras

    model = scores_only(load_network(BUNDLED.model_path))
    copy = engines.with_matrix_crop(keras, model)
    assert "AffineTransform" not in {type(layer).__name__ for layer in copy.operations}
    spec = BUNDLED.preprocess
    images = np.stack([radiograph(spec.height, spec.width, seed=seed) for seed in (3, 4)])[..., None] * 255
    before, after = (np.asarray(each(images, training=False)) for each in (model, copy))
    assert after == pytest.approx(before, abs=1e-5)
    assert np.ptp(before) > 0.01


# --- images and table


def test_radiographs_are_those_that_can_be_read_evenly_spread(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(6):
        picture = np.rint(radiograph(200, 180, seed=number) * 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:300])
    (tmp_path / "note.txt").write_text("no image")
    found = engines.radiographs(tmp_path, BUNDLED, 3)
    everything = engines.radiographs(tmp_path, BUNDLED, 6)
    assert everything.shape == (5, BUNDLED.preprocess.height, BUNDLED.preprocess.width)
    assert np.array_equal(found, everything[[0, 3]])  # of 0, 2 and 4, the second is damaged


def test_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not one image"):
        engines.radiographs(tmp_path, BUNDLED, 3)


def test_line_says_costs_and_largest_difference() -> None:
    reference = np.array([[0.5, 0.25, 0.25]], np.float32)
    apart = reference + np.array([[0, 0.125, -0.25]], np.float32)
    engine = Engine(name="other", make=engines.with_litert, threads=1, batch_size=8)
    assert engines.line(TODAY, measured(reference), reference) == (
        "| tf.function | auto | 16 | 1.23 | 810 | 0.05 (0.04) | 95 | 0 | yes |"
    )
    assert engines.line(engine, measured(apart, keeps_bits=False), reference) == (
        "| other | 1 | 8 | 1.23 | 810 | 0.05 (0.04) | 95 | 2.5e-01 | no |"
    )


def test_engines_that_are_not_installed_are_left_out_and_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "litert" in name else name)
    assert {engine.package for engine in engines.wanted([])} == {"tensorflow"}
    assert capsys.readouterr().out == "ai_edge_litert is not installed: left out\n\n"
    assert engines.wanted(["model.predict"]) == [
        TODAY,
        *(each for each in engines.ENGINES if each.name == "model.predict"),
    ]
