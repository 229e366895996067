"""What the benchmark of speed computes, the files it makes, and the decoders it compares with."""

import csv
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from phantom import Picture
from PIL import Image
from pydicom import dcmread

from benchmarks import decoders, naive, network, speed
from benchmarks.command import Run, screen_watched
from benchmarks.comparison import Comparison, compare, sentence
from benchmarks.decoders import BLOCK, HALVINGS, Alone, alone, block_sums, by_libraries, cheapest, full
from benchmarks.growth_plot import Growth, fit, svg, ticks
from benchmarks.growth_plot import sentence as growth_sentence
from benchmarks.speed_figures import Figures, Further, Spread, costs, limit, ratios, table
from benchmarks.speed_files import (
    FORMATS,
    FULL_SIZE,
    GROUPS,
    MIXED,
    N_CUTS,
    cut,
    draw,
    linked,
    rle,
    write_group,
)
from cxrbatch.bundle.bundle import load_bundle

SIZE = (328, 244)  # neither side is a multiple of the strips
MIB = 2**20


@pytest.fixture(scope="module")
def drawn() -> list[Picture]:
    return draw(SIZE)


@pytest.fixture(scope="module")
def one_of_each(drawn: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    return {group: write_group(folder / group, group, drawn, 1, MIB)[0] for group in FORMATS}


def run_of(wall: float, processor: float) -> Run:
    return Run(wall=wall, processor=processor, others=0, summary="")


def figures() -> Figures:
    """Two repeats of 32 further files: 4 and 5 images a second; 0.375 and 0.25 processor seconds each."""
    short = run_of(6.0, 8.0)
    pairs = [(short, run_of(14.0, 20.0)), (short, run_of(12.4, 16.0))]
    return Figures(
        n_files=48,
        n_different=40,
        cores=2,
        long=Spread.of(long.wall for _, long in pairs),
        others=0.042,
        further=tuple(Further.between(short, long, 32) for short, long in pairs),
        cheapest=Alone(processor_s=0.11, images_per_s=8.3),
        cheapest_busy=Alone(processor_s=0.12, images_per_s=15.0),
        libraries_busy=Alone(processor_s=0.22, images_per_s=8.0),
        codec=Alone(processor_s=0.2, images_per_s=5.0),
        codec_busy=Alone(processor_s=0.21, images_per_s=9.0),
        reading_busy=Alone(processor_s=0.155, images_per_s=13.0),
        network_s=0.005,
        naive_s=1.6,
        naive_mark="*",
        peak_mib=812.4,
    )


# --- arithmetic


@pytest.mark.parametrize(
    ("decode_s", "network_s", "cores", "expected"),
    [(0.008, 0.002, 1, 100.0), (0.008, 0.002, 2, 200.0), (0.5, 0.0, 2, 4.0), (0.0, 0.25, 8, 32.0)],
)
def test_limit_is_processors_over_decode_and_network(
    decode_s: float, network_s: float, cores: int, expected: float
) -> None:
    assert limit(decode_s, network_s, cores) == pytest.approx(expected, rel=1e-12)


def test_further_images_cost_what_the_longer_run_took_more() -> None:
    further = Further.between(run_of(6.0, 8.0), run_of(14.0, 20.0), 32)
    assert (further.wall, further.processor, further.images_per_s) == (0.25, 0.375, 4.0)


def test_a_longer_run_that_took_no_longer_gives_no_figure() -> None:
    with pytest.raises(RuntimeError, match=r"32 more files took -0\.5 s: is the machine busy"):
        Further.between(run_of(6.0, 8.0), run_of(5.5, 9.0), 32)


def test_spread_is_median_and_range() -> None:
    assert Spread.of([3.0, 1.0, 2.5]) == Spread(median=2.5, low=1.0, high=3.0)
    assert Spread.of([0.0021, 0.0009]).text(1, 1000) == "1.5 (0.9–2.1)"


def test_figures_follow_from_the_repeats() -> None:
    found = figures()
    assert found.images_per_s == Spread(median=4.5, low=4.0, high=5.0)
    assert found.limit == pytest.approx(16.0, rel=1e-12)
    assert (found.efficiency.low, found.efficiency.high) == pytest.approx((0.25, 0.3125), rel=1e-12)
    assert (found.processor_efficiency.low, found.processor_efficiency.high) == pytest.approx((1 / 3, 0.5))
    assert (found.library_efficiency.low, found.library_efficiency.high) == pytest.approx((0.6, 0.9))
    assert (found.beside_reading.low, found.beside_reading.high) == pytest.approx((0.32, 0.4), rel=1e-12)
    assert (found.overhead_s.low, found.overhead_s.high) == pytest.approx((0.125, 0.25), rel=1e-12)
    assert found.over_naive == pytest.approx(7.2, rel=1e-12)
    assert found.over_codec == 0.5


def test_tables_have_a_cell_for_each_heading() -> None:
    assert list(table([ratios("RLE", figures())])) == [
        "| group | images/s | limit | efficiency | in processor time "
        "| the same, by libraries | of reading + network | overhead, CPU ms | naive, images/s | × naive "
        "| codec, images/s | × codec | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        "| RLE | 4.5 (4.0–5.0) | 16.0 | 0.28 (0.25–0.31) | 0.42 (0.33–0.50) | 0.75 (0.60–0.90) | 0.36 (0.32–0.40) "
        "| 187.5 (125.0–250.0) | 0.62* | 7.2 | 9.0 | 0.50 | 812 |",
    ]
    assert list(costs("RLE", figures()).values()) == [
        "RLE",
        "312.5 (250.0–375.0)",
        "110.00",
        "120.00",
        "220.00",
        "155.00",
        "5.00",
        "200.00",
        "210.00",
        "48 (40)",
        "13.2 (12.4–14.0)",
        "3.6",
        "4%",
    ]


@pytest.mark.parametrize(("images_per_s", "expected"), [(50, 200), (10, 40), (0.1, 8)])
def test_long_run_is_longer_by_what_is_read_in_the_time_but_at_least_by_the_short_one(
    images_per_s: float, expected: int
) -> None:
    assert speed.n_further(images_per_s, seconds=4, least=8) == expected


@pytest.mark.parametrize(("images_per_s", "expected"), [(400, 520), (100, 450), (10, 64)])
def test_short_run_holds_what_may_be_read_during_the_start(images_per_s: float, expected: int) -> None:
    assert speed.n_short(images_per_s, start_s=4.5, most=520, least=64) == expected


# --- RLE


def stored(shape: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """Noise on the left, constant on the right: literal runs and replicate runs."""
    found = np.random.default_rng(7).integers(0, 4096, shape, np.uint16)
    found[:, shape[1] // 2 :] = 0x0ABC
    return found


def headers_of_runs(segment: bytes) -> list[int]:
    """PS3.5 G.3.1: a header byte below 128 begins so many literals + 1, above 128 repeats one byte 257 - n times."""
    headers, at = [], 0
    while at < len(segment) - 1:
        headers.append(segment[at])
        at += segment[at] + 2 if segment[at] < 128 else 2
    return headers


def test_rle_is_read_back_by_imagecodecs_and_has_both_kinds_of_runs() -> None:
    pixels = stored((21, 301))
    frame = rle(pixels)
    assert np.array_equal(
        np.frombuffer(imagecodecs.dicomrle_decode(frame, "<u2"), "<u2").reshape(21, 301), pixels
    )
    header = np.frombuffer(frame, "<u4", 16)
    assert header[0] == 2
    assert (header[1:3] % 2 == 0).all()
    assert not header[3:].any()
    kinds = [header_ > 128 for header_ in headers_of_runs(frame[header[1] : header[2]])]
    assert True in kinds
    assert False in kinds


def test_rle_file_is_read_back_by_pydicom_and_smaller_than_its_pixels(
    one_of_each: dict[str, Path], drawn: list[Picture]
) -> None:
    path = one_of_each["RLE"]
    assert np.array_equal(dcmread(path).pixel_array, FORMATS["RLE"].stored(cut(drawn, 0)))
    assert path.stat().st_size < 0.85 * SIZE[0] * SIZE[1] * 2


# --- files


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_same_picture(
    name: str, one_of_each: dict[str, Path], drawn: list[Picture]
) -> None:
    expected = FORMATS[name].stored(cut(drawn, 0)).astype(float)
    decoded = full(one_of_each[name])
    assert decoded.shape == SIZE
    lossy = {"JPEG": 1.0, "JPEG 2000 lossy": 16.0}.get(name, 0.0)
    assert np.abs(decoded - expected).mean() <= lossy


def test_cheapest_decode_leaves_what_the_network_needs_and_not_twice_as_much() -> None:
    least_px = load_bundle().preprocess.least_px
    assert least_px is not None
    assert BLOCK == 2**HALVINGS > 1
    assert least_px <= min(FULL_SIZE) / BLOCK < 2 * least_px


@pytest.mark.parametrize("name", FORMATS)
def test_cheapest_decode_gives_the_image_of_means(
    name: str, one_of_each: dict[str, Path], drawn: list[Picture]
) -> None:
    rows, columns = SIZE[0] // BLOCK, SIZE[1] // BLOCK
    whole = cut(drawn, 0)[: rows * BLOCK, : columns * BLOCK]
    expected = whole.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3))
    small = cheapest(one_of_each[name])[:rows, :columns].astype(float)
    assert small.shape == (rows, columns)
    # The resolution levels of JPEG 2000 lie half a sample beside the means.
    assert np.corrcoef(small.ravel(), expected.ravel())[0, 1] > (0.97 if "2000" in name else 0.99)


def test_cheapest_decode_without_resolution_levels_sums_every_block(one_of_each: dict[str, Path]) -> None:
    for name in ("uncompressed", "RLE", "JPEG lossless", "JPEG-LS", "PNG 16"):
        pixels = full(one_of_each[name]).astype(np.uint32)
        rows, columns = SIZE[0] // BLOCK, SIZE[1] // BLOCK
        whole = pixels[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
        assert np.array_equal(cheapest(one_of_each[name]), whole.sum(axis=(1, 3))), name


@pytest.mark.parametrize("name", FORMATS)
def test_libraries_decode_to_what_the_cheapest_way_gives(name: str, one_of_each: dict[str, Path]) -> None:
    small, least = by_libraries(one_of_each[name]), cheapest(one_of_each[name])
    if "2000" not in name:
        assert np.array_equal(small, least)
    else:  # without bit planes below 1/128 of the range
        assert small.shape == least.shape
        assert np.abs(small.astype(float) - least).max() <= int(np.iinfo(small.dtype).max) / 64


@pytest.mark.parametrize("shape", [(8, 8), (128, 24), (250, 25), (487, 9)])
def test_block_sums_are_those_of_numpy_over_whole_blocks(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, shape, np.uint16)
    rows, columns = shape[0] // BLOCK, shape[1] // BLOCK
    whole = pixels[: rows * BLOCK, : columns * BLOCK].astype(np.uint32).reshape(rows, BLOCK, columns, BLOCK)
    assert np.array_equal(block_sums(pixels), whole.sum(axis=(1, 3)))


def test_files_of_a_dicom_group_are_images_of_different_patients(
    tmp_path: Path, drawn: list[Picture]
) -> None:
    headers = [dcmread(path) for path in write_group(tmp_path / "JPEG-LS", "JPEG-LS", drawn, 9, 9 * MIB)]
    for keyword in ("PatientID", "SOPInstanceUID", "StudyInstanceUID"):
        assert len({header[keyword].value for header in headers}) == 9
    assert len({bytes(header.PixelData) for header in headers}) == len(drawn)


def test_cuts_are_all_different(drawn: list[Picture]) -> None:
    cuts = [cut(drawn, number) for number in range(N_CUTS)]
    assert {picture.shape for picture in cuts} == {SIZE}
    assert len({picture.tobytes() for picture in cuts}) == N_CUTS


def test_there_are_no_more_rasters_than_different_pictures(tmp_path: Path, drawn: list[Picture]) -> None:
    files = write_group(tmp_path / "PNG 8", "PNG 8", drawn, N_CUTS + 20, 100 * MIB)
    assert len({file.read_bytes() for file in files}) == len(files) == N_CUTS


def test_mixed_folder_has_every_format_in_turn(tmp_path: Path, drawn: list[Picture]) -> None:
    files = write_group(tmp_path / MIXED, MIXED, drawn, 2 * len(FORMATS), 100 * MIB)
    kinds = [format_of(file) for file in files]
    assert kinds[: len(FORMATS)] == kinds[len(FORMATS) :]
    assert len(set(kinds)) == len(FORMATS)
    assert files == sorted(files)


def format_of(file: Path) -> str:
    if file.suffix == ".dcm":
        return str(dcmread(file).file_meta.TransferSyntaxUID)
    with Image.open(file) as image:
        return f"{image.format} {image.mode}"


def test_group_stays_within_its_bytes_but_has_each_format(tmp_path: Path, drawn: list[Picture]) -> None:
    size = 2 * SIZE[0] * SIZE[1] + 2000
    assert len(write_group(tmp_path / "few", "uncompressed", drawn, 99, 5 * size)) == 5
    assert len(write_group(tmp_path / "least", MIXED, drawn, 99, 1)) == len(FORMATS)


def test_links_repeat_the_files_in_turn_and_go_away(tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    files = [tmp_path / "group" / name for name in ("a.png", "b.dcm")]
    for file in files:
        file.write_text(file.name)
    with linked(files, 5) as folder:
        names = sorted(folder.iterdir())
        assert [file.read_text() for file in names] == ["a.png", "b.dcm", "a.png", "b.dcm", "a.png"]
    assert not folder.exists()
    assert all(file.exists() for file in files)


# --- what is measured alone


def test_decoding_alone_counts_median_of_the_rounds_and_mean_of_the_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = {"a": iter([1.0, 9.0, 2.0]), "b": iter([4.0, 4.0, 5.0])}
    monkeypatch.setattr(decoders, "_timed", lambda decode, path: (next(times[path.name]), 10.0))
    assert decoders._measured(lambda path: np.zeros(1), [Path("a"), Path("b")], 3) == (3.0, 10.0)


def test_two_processes_decode_about_as_much_each(one_of_each: dict[str, Path]) -> None:
    measured = alone(full, [one_of_each["PNG 8"]], n_processes=2, rounds=2)
    assert 0 < measured.processor_s < 1
    assert measured.images_per_s > 1


def test_network_alone_is_per_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_round", lambda predictor, pixels: (2.0, 3.0))
    assert network.per_image(lambda arrays: arrays, np.zeros((4, 8, 8), np.uint8)) == (0.5, 0.75)


def test_naive_program_decodes_everything_and_marks_what_pydicom_cannot(one_of_each: dict[str, Path]) -> None:
    marked = set()
    for name, path in one_of_each.items():
        pixels, mark = naive.pixels_of(path)
        assert np.array_equal(pixels, full(path)), name
        if mark:
            marked.add(name)
    assert marked <= {"JPEG lossless", "JPEG-LS"}  # none with a further plugin of pydicom


def test_naive_input_is_scaled_and_resized() -> None:
    pixels = np.array([[10, 10, 30, 30], [10, 10, 30, 30]], np.uint16)
    small = naive.small(pixels, 2, 4)
    assert small.shape == (1, 2, 4, 1)
    assert small.dtype == np.float32
    assert small[0, 0, :, 0].tolist() == [0, 0, 255, 255]


def test_naive_seconds_are_per_file_and_one_mark_marks_all() -> None:
    seen: list[Path] = []

    def score(path: Path) -> str:
        seen.append(path)
        return "*" if path.name == "b" else ""

    seconds, mark = naive.per_image([Path("a"), Path("b")], score)
    assert [path.name for path in seen] == ["a", "a", "b"]
    assert 0 <= seconds < 1
    assert mark == "*"


# --- two reports


def write_report(out: Path, scores: dict[str, str], ranks: dict[str, str], reason: str = "") -> Path:
    with out.with_suffix(".files.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "status", "reason", "score_covid", "score_pneumonia", "score_normal"])
        for name, score in scores.items():
            writer.writerow([name, "scored", "", score, "0.25", "0.5"])
        writer.writerow(["refused", "not_scored", reason, "", "", ""])
    with out.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["rank", "patient_id"])
        writer.writerows((rank, patient) for patient, rank in ranks.items())
    return out


def test_comparison_counts_scores_outcomes_and_ranks(tmp_path: Path) -> None:
    scores, ranks = {"a": "0.1000", "b": "0.2000"}, {"a": "1", "b": "2", "c": "3", "refused": ""}
    one = write_report(tmp_path / "one.csv", scores, ranks, "corrupt")
    other = write_report(
        tmp_path / "other.csv", scores | {"b": "0.2012"}, ranks | {"a": "3", "c": "1"}, "truncated"
    )
    found = compare(one, other)
    assert (found.n_files, found.n_differ, found.n_outcomes) == (3, 1, 1)
    assert found.largest == pytest.approx(0.0012, abs=1e-12)
    assert found.mean == pytest.approx(0.0012 / 6, abs=1e-12)
    assert (found.n_ranks, found.most_ranks) == (2, 2)
    same = Comparison(n_files=3, largest=0, mean=0, n_differ=0, n_outcomes=0, n_ranks=0, most_ranks=0)
    assert compare(one, one) == same
    assert sentence(same).startswith("3 files: scores differ by at most 0.000000")


def test_reports_of_different_files_are_not_compared(tmp_path: Path) -> None:
    one = write_report(tmp_path / "one.csv", {"a": "0.1"}, {"a": "1"})
    other = write_report(tmp_path / "other.csv", {"b": "0.1"}, {"a": "1"})
    with pytest.raises(ValueError, match="not of the same files"):
        compare(one, other)


# --- growth


def test_fit_is_the_line_of_least_squares() -> None:
    exact = [Growth(n_files=n, seconds=5 + 0.004 * n, mib=800) for n in (1000, 2000, 8000)]
    line = fit(exact)
    assert (line.start_s, line.per_file_s, line.r2) == pytest.approx((5, 0.004, 1), rel=1e-9)
    assert line.furthest_s == pytest.approx(0, abs=1e-9)
    bent = fit([Growth(n_files=n, seconds=s, mib=800) for n, s in ((1, 1.0), (2, 3.0), (3, 2.0))])
    assert (bent.start_s, bent.per_file_s, bent.r2) == pytest.approx((1.0, 0.5, 0.25), rel=1e-9)
    assert bent.furthest_s == pytest.approx(1.0, rel=1e-9)
    level = fit([Growth(n_files=n, seconds=7.0, mib=800) for n in (1, 2)])
    assert (level.start_s, level.per_file_s, level.r2) == (7.0, 0.0, 1.0)


def test_growth_in_words() -> None:
    runs = [Growth(n_files=1000, seconds=9, mib=800), Growth(n_files=20000, seconds=85, mib=836)]
    assert growth_sentence(runs) == (
        "Fitted: 5.0 s + 4.00 s for a thousand files, R² = 1.0000, at most 0.0 s from the line. "
        "Peak memory from 1,000 to 20,000 files: +4.5 %."
    )


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (20000, [0, 5000, 10000, 15000, 20000]),
        (870, [0, 200, 400, 600, 800, 1000]),
        (3, [0, 0.5, 1, 1.5, 2, 2.5, 3]),
    ],
)
def test_ticks_are_round_and_reach_the_highest(highest: float, expected: list[float]) -> None:
    assert ticks(highest) == expected


def test_plot_is_well_formed_and_has_a_dot_for_each_run_in_its_place() -> None:
    from xml.etree import ElementTree

    runs = [Growth(n_files=n, seconds=n / 250, mib=500) for n in (1000, 2000)]
    root = ElementTree.fromstring(svg(runs))  # noqa: S314
    time, memory = (panel for panel in root if panel.tag.endswith("}g"))
    dots = [
        [(dot.get("cx"), dot.get("cy")) for dot in panel if dot.tag.endswith("circle")]
        for panel in (time, memory)
    ]
    assert dots == [[("120.0", "85.0"), ("240.0", "0.0")], [("120.0", "0.0"), ("240.0", "0.0")]]


# --- the whole


def test_benchmark_prints_tables_of_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With real runs of the command, a short and a long one; what is tested by itself is made up."""
    made_up = {
        "network.py": {
            "wall_s": 0.002,
            "processor_s": 0.0028,
            "processor_busy_s": 0.003,
            "bundle": "b",
            "device": "CPU",
            "runtime": "LiteRT 2.3.0",
            "batch_size": 16,
        },
        "naive.py": {"seconds": 0.5, "mark": ""},
    }
    monkeypatch.setattr(speed, "printed_json", lambda script, *files: made_up[script])
    monkeypatch.setattr(speed.Bench, "start", lambda bench, files: iter(["start"]))
    monkeypatch.setattr(speed, "alone", lambda *what: Alone(processor_s=0.014, images_per_s=32.0))
    monkeypatch.setattr(speed.Bench, "_peak_mib", lambda bench, files, n_files: 700.0)
    monkeypatch.setattr(speed, "_N_AHEAD", 2)
    monkeypatch.setattr(Further, "between", lambda short, long, n: Further(wall=1 / 64, processor=0.0312))
    arguments = (
        "--groups RLE --size 320 256 --repeats 1 --seconds 0.05 --short 2 --rounds 1 --cores 1 --workers 1"
    )
    options = speed.parser().parse_args([*arguments.split(), "--different", "3"])
    lines = list(speed.benchmark(tmp_path, options))
    assert lines[0].startswith("1 processors (")
    alone = "* network alone: 500 images/s, 2.80 CPU ms for an image; 3.00 while the other processors decode"
    assert lines[2:5] == [alone, "* start", ""]
    head, _, row = lines[5:8]
    cells = dict(zip(head.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=True))
    assert (cells["group"], cells["images/s"], cells["naive, images/s"]) == (
        "RLE",
        "64.0 (64.0–64.0)",
        "2.00",
    )
    assert (cells["limit"], cells["efficiency"]) == ("62.5", "1.02 (1.02–1.02)")
    assert (cells["overhead, CPU ms"], cells["× naive"], cells["× codec"]) == (
        "15.2 (15.2–15.2)",
        "32.0",
        "2.00",
    )
    assert cells["peak MiB"] == "700"
    assert [line.count("|") for line in lines[9:]] == [14, 14, 14]
    assert not list(tmp_path.iterdir())


def test_start_and_report_are_seen_from_inside(one_of_each: dict[str, Path], tmp_path: Path) -> None:
    begun = time.monotonic()
    marks = screen_watched(one_of_each["RLE"].parent, tmp_path / "report.csv", "--workers", "1")
    assert 0.5 < marks.first < time.monotonic() - begun
    assert 0 < marks.report < marks.first
    assert (tmp_path / "report.html").exists()


def test_all_groups_are_offered() -> None:
    assert speed.parser().parse_args([]).groups == GROUPS
    assert len(GROUPS) == 10
