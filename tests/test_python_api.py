"""The public names of the package, and the examples of docs/python.md, run as they stand."""

import dataclasses
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cxrbatch
from cxrbatch import (
    EngineOptions,
    Failure,
    ImageScore,
    PatientRule,
    ScreenOptions,
    TriageRun,
    load_bundle,
    predict,
    screen,
)
from cxrbatch.errors import NoImageFound, UsageProblem
from cxrbatch.records import NUMBER_TYPES, file_row, patient_row
from cxrbatch.report.table import files_csv, patients_csv

REPOSITORY = Path(__file__).parents[1]
NIGHT = REPOSITORY / "sample_data" / "night"
PAGE = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


PLOT = "matplotlib"
"""Package that one example needs; it runs where it is installed."""


LARGE = {"numpy", "tensorflow", "pandas", "keras"}


def run_python(*arguments: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a space and an accent, that holds the sample data and no package."""
    folder = tmp_path_factory.mktemp("un hôpital")
    shutil.copytree(REPOSITORY / "sample_data", folder / "sample_data")
    return folder


@pytest.fixture(scope="module")
def run() -> TriageRun:
    return screen(str(NIGHT), n_workers=1, device="cpu")


def test_the_examples_run_as_a_script(workplace: Path) -> None:
    script = workplace / "examples.py"
    here = [example for example in EXAMPLES if PLOT not in example or importlib.util.find_spec(PLOT)]
    script.write_text("\n".join(here), encoding="utf-8")
    done = run_python(script.name, cwd=workplace)
    assert done.returncode == 0, done.stderr
    n_found = len([path for path in NIGHT.rglob("*") if path.is_file()])
    assert done.stdout.startswith(f"{n_found} files, ")
    assert f"{n_found} of {n_found} files remembered" in done.stdout
    assert "sample_data/README.md not_an_image" in done.stdout
    assert "no/such/folder: no such folder; is the export mounted?" in done.stdout
    assert "AUROC of 11 images against 11: " in done.stdout
    assert "23 images, 512 features; default@" in done.stdout
    assert (workplace / "scores.svg").exists() == (len(here) == len(EXAMPLES))
    assert sorted(path.name for path in (workplace / "reports").iterdir() if path.suffix == ".csv") == [
        *("2026-11-28.csv", "2026-11-28.files.csv", "2026-11-29.csv", "2026-11-29.files.csv")
    ]


def test_an_example_runs_at_the_prompt(workplace: Path) -> None:
    typed = EXAMPLES[1] + "\nprint('done', len(patients))\n"
    done = run_python("-i", cwd=workplace, given=typed)
    assert re.search(r"done \d+", done.stdout), done.stderr
    assert "Traceback" not in done.stderr


def test_an_example_runs_from_the_command_line(workplace: Path) -> None:
    done = run_python("-c", EXAMPLES[0], cwd=workplace)
    assert done.returncode == 0, done.stderr


def test_the_public_names_stay_what_they_are_after_every_module_was_imported() -> None:
    code = """
import importlib, pkgutil, types, cxrbatch
for found in pkgutil.walk_packages(cxrbatch.__path__, "cxrbatch."):
    # Models of Django need its settings, and Django is an extra.
    if found.name != "cxrbatch.__main__" and not found.name.startswith("cxrbatch.web."):
        importlib.import_module(found.name)
print([name for name in cxrbatch.__all__ if isinstance(getattr(cxrbatch, name), types.ModuleType)])
print(callable(cxrbatch.screen), callable(cxrbatch.predict), callable(cxrbatch.load_bundle))
"""
    done = run_python("-c", code, cwd=REPOSITORY)
    assert done.stdout == "[]\nTrue True True\n", done.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'cxrbatch' has no attribute 'scren'"):
        cxrbatch.scren  # noqa: B018


def test_importing_the_package_loads_nothing_large() -> None:
    code = "import cxrbatch, sys; print(cxrbatch.__version__, *LARGE & sys.modules.keys())".replace(
        "LARGE", repr(LARGE)
    )
    assert run_python("-c", code, cwd=REPOSITORY).stdout.split() == [cxrbatch.__version__]


def test_frames_hold_what_the_tables_of_the_report_hold(run: TriageRun, tmp_path: Path) -> None:
    for frame, content in ((run.patients_frame(), patients_csv(run)), (run.files_frame(), files_csv(run))):
        (tmp_path / "table.csv").write_bytes(b"".join(content))
        table = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
        assert list(frame.columns) == list(table.columns)
        assert len(frame) == len(table) > 0
        for column in frame.columns:
            if frame[column].dtype.kind == "f":
                expected = [float(cell) if cell else float("nan") for cell in table[column]]
                assert frame[column].tolist() == pytest.approx(expected, abs=5e-7, nan_ok=True)
            else:
                written = ["" if pd.isna(value) else str(value) for value in frame[column]]
                assert written == [cell.removeprefix("'") for cell in table[column]]


def test_types_of_the_frames(run: TriageRun) -> None:
    patients = run.patients_frame()
    assert str(patients["rank"].dtype) == "Int64"
    assert all(isinstance(value, str) for value in patients["patient_id"])
    assert {str(patients[name].dtype) for name in ("score", "score_covid", "probability")} == {"float64"}
    assert {str(patients[name].dtype) for name in ("n_images", "nights_waiting")} == {"int64"}


def test_columns_that_hold_numbers_have_a_type_of_numbers(run: TriageRun) -> None:
    rows = [*map(patient_row, run.patients), *map(file_row, run.files())]
    numbers = {name for row in rows for name, value in row.items() if type(value) in (int, float)}
    assert numbers | {"probability"} == NUMBER_TYPES.keys()


def test_a_run_is_shown_in_one_line_that_names_nobody(run: TriageRun) -> None:
    assert repr(run) == "TriageRun(31 files = 22 scored + 7 not scored + 2 skipped; 26 patients)"


def test_a_run_says_how_long_each_stage_took(run: TriageRun) -> None:
    assert list(run.stage_s) == ["discover", "resolve", "list", "explain", "report"]
    *before, report_s = run.stage_s.values()
    assert all(seconds > 0 for seconds in (*before, report_s))
    assert sum(before) == pytest.approx(run.duration_s, rel=0.2)


def test_frames_of_an_empty_list_have_all_columns(run: TriageRun) -> None:
    empty = dataclasses.replace(run, patients=(), images=(), failures=())
    assert list(empty.patients_frame().columns) == list(run.patients_frame().columns)
    assert list(empty.files_frame().columns) == list(run.files_frame().columns)
    assert str(empty.patients_frame()["rank"].dtype) == "Int64"


def test_a_folder_without_an_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoImageFound, match="0 files, not one image; is the export mounted"):
        screen(tmp_path, n_workers=1)


def test_without_a_report_nothing_is_written(tmp_path: Path) -> None:
    shutil.copy(NIGHT / "emergency" / "SAMPLE-001" / "IM0001.dcm", tmp_path / "007.dcm")
    screen(tmp_path, n_workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["007.dcm"]


def test_prediction_gives_the_scores_of_a_run(run: TriageRun) -> None:
    expected = {image.name: image.scores for image in run.images}
    name = sorted(expected)[0]
    (outcome,) = predict(str(NIGHT / name), options=EngineOptions(n_workers=1))
    assert isinstance(outcome, ImageScore)
    assert outcome.scores == pytest.approx(expected[name], abs=1e-5)
    (missing,) = predict(NIGHT / "nothing.dcm", load_bundle())
    assert isinstance(missing, Failure)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prevalence": 1.0}, "prevalence 1.0: give a share above 0 and below 1, such as 0.05"),
        ({"capacity": 0}, "capacity 0: give an int, 1 or more"),
        ({"settle_s": -1.0}, "settle_s -1.0: give a number of seconds, 0 or more"),
        ({"device": "gpuu"}, "device 'gpuu': give one of auto, cpu, gpu"),
        ({"n_workers": 0}, "n_workers 0: give an int, 1 to 256"),
        ({"n_workers": True}, "n_workers True: give an int, 1 to 256"),
        ({"batch_size": 2.5}, "batch_size 2.5: give an int, 1 to 4096"),
        ({"max_memory_bytes": "4G"}, "max_memory_bytes '4G': give an int, 1 or more"),
        ({"settle_s": float("nan")}, "settle_s nan: give a number of seconds, 0 or more"),
        ({"prevalence": "5%"}, "prevalence '5%': give a share above 0 and below 1, such as 0.05"),
        ({"expire_nights": 10**9}, f"expire_nights {10**9}: give an int, 1 to 36500"),
        ({"name": "cloud"}, "engine 'cloud': give one of local, ray"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=f"^{re.escape(message)}$"):
        screen(tmp_path, **changes)


def test_an_unknown_option_is_a_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="n_wrokers"):
        screen(tmp_path, n_wrokers=2)


def test_paths_may_be_text() -> None:
    options = ScreenOptions().with_changes(state="a/state", bundle="b", device="cpu", patients="folder")
    assert options.patients == PatientRule("folder")
    assert (options.state, options.bundle, options.engine.device) == (Path("a/state"), Path("b"), "cpu")


def test_threads_may_screen_at_once_and_the_script_stays_the_main_module(tmp_path: Path) -> None:
    code = f"""
import pickle, sys, threading, cxrbatch
folder, main, counts = {str(NIGHT / "emergency")!r}, sys.modules["__main__"], []
def run(): counts.append(cxrbatch.screen(folder, n_workers=2).n_scored)
threads = [threading.Thread(target=run) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert sys.modules["__main__"] is main
pickle.dumps(run)
print(len(set(counts)), len(counts))
"""
    done = run_python("-c", code, cwd=tmp_path)
    assert done.stdout == "1 3\n", done.stderr


def test_a_generator_left_open_ends_in_silence(tmp_path: Path) -> None:
    names = [str(NIGHT / "emergency" / f"SAMPLE-00{i}" / "IM0001.dcm") for i in (1, 2)]
    code = f"import cxrbatch\ng = cxrbatch.predict({names!r})\nprint(next(g).name)\n"
    done = run_python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, names[0] + "\n", "")


def test_a_daemonic_process_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(f"""
import cxrbatch
def run(_):
    try:
        return cxrbatch.screen({str(NIGHT)!r}).n_scored
    except cxrbatch.CxrbatchError as error:
        return str(error)
""")
    code = "import multiprocessing, task; print(multiprocessing.get_context('spawn').Pool(1).map(task.run, [1])[0])"
    done = run_python("-c", code, cwd=tmp_path)
    assert done.stdout.startswith("worker processes cannot be started from a daemonic process"), done.stderr


def test_a_file_in_place_of_the_folder_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").touch()
    with pytest.raises(UsageProblem, match=r"a\.dcm: is a file; give the folder"):
        screen(tmp_path / "a.dcm")


def test_a_name_that_no_file_can_have_fails_alone() -> None:
    outcomes = list(predict(["a\0b", NIGHT / "emergency" / "SAMPLE-001" / "IM0001.dcm"]))
    assert [type(outcome) for outcome in outcomes] == [Failure, ImageScore]
