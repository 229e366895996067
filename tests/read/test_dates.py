"""Ages by the calendar, also from dates that say less than a day."""

import calendar
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.limits import Limits
from cxrbatch.read.dicom.dates import DateRange, age_on, parse_date
from cxrbatch.read.dicom.open import open_dicom
from cxrbatch.records import FileKind, ImageRef
from tests.factories.dicom_files import write_dicom

DAY = dt.date


def one(year: int, month: int, day: int) -> DateRange:
    return DateRange(DAY(year, month, day), DAY(year, month, day))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20150630", one(2015, 6, 30)),
        ("2015.06.30", one(2015, 6, 30)),
        ("2015-06-30", one(2015, 6, 30)),
        ("2015/06/30", one(2015, 6, 30)),
        ("20150630101530", one(2015, 6, 30)),
        (" 20150630 ", one(2015, 6, 30)),
        ("30.06.2015", one(2015, 6, 30)),
        ("06/30/2015", one(2015, 6, 30)),
        ("01/02/2015", DateRange(DAY(2015, 1, 2), DAY(2015, 2, 1))),
        ("201506", DateRange(DAY(2015, 6, 1), DAY(2015, 6, 30))),
        ("2015-06", DateRange(DAY(2015, 6, 1), DAY(2015, 6, 30))),
        ("202402", DateRange(DAY(2024, 2, 1), DAY(2024, 2, 29))),
        ("2015", DateRange(DAY(2015, 1, 1), DAY(2015, 12, 31))),
        ("", None),
        ("0000", None),
        ("00000000", None),
        ("20151301", None),
        ("20150231", None),
        ("201500", None),
        ("UNKNOWN", None),
        ("31.02.2015", None),
        ("15", None),
        ("201506301", one(2015, 6, 30)),
        ("2015063", None),
    ],
)
def test_a_date_is_all_days_that_it_may_mean(text: str, expected: DateRange | None) -> None:
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    ("born", "studied", "age"),
    [
        ("20020315", "20200315", 18),  # the birthday
        ("20020316", "20200315", 17),  # the day before it
        ("20040229", "20220228", 17),  # a leap day: the birthday is 1 March in other years
        ("20040229", "20220301", 18),
        ("2015", "20200315", 5),
        ("201506", "20200315", 4),
        ("1960", "20200315", 59),
        ("2002", "20200315", None),  # 17 or 18
        ("200203", "20200315", None),
        ("200204", "20200315", 17),
        ("200202", "20200315", 18),
        ("2002", "2020", None),
        ("2001", "2020", 18),
        ("2003", "2020", 17),
        ("01.02.2002", "20200101", 17),
        ("01.02.2002", "20200115", None),  # 2 January or 1 February
        ("20210101", "20200315", None),  # born after the study
        ("2020", "20200315", 0),
    ],
)
def test_an_age_is_one_where_every_day_agrees(born: str, studied: str, age: int | None) -> None:
    ranges = parse_date(born), parse_date(studied)
    assert ranges[0] is not None
    assert ranges[1] is not None
    assert age_on(*ranges) == age  # type: ignore[arg-type]


days = st.dates(DAY(1998, 1, 1), DAY(2004, 12, 31))


@given(born=days, studied=st.dates(DAY(2018, 1, 1), DAY(2021, 12, 31)), months=st.booleans())
def test_it_is_the_age_of_every_day_tried_one_by_one(born: dt.date, studied: dt.date, months: bool) -> None:
    """Against a second way of counting: birthdays that have come, one after the other."""
    text = f"{born:%Y%m}" if months else f"{born:%Y%m%d}"
    last = calendar.monthrange(born.year, born.month)[1]
    possible = [born.replace(day=day) for day in range(1, last + 1)] if months else [born]
    ages = {birthdays(each, studied) for each in possible}
    range_ = parse_date(text)
    assert range_ is not None
    expected = max(ages) if max(ages) < 18 else min(ages) if min(ages) >= 18 else None
    assert age_on(range_, DateRange(studied, studied)) == expected


def birthdays(born: dt.date, on: dt.date) -> int:
    leap_day = (born.month, born.day) == (2, 29)
    dates = [
        DAY(year, 3, 1) if leap_day and not calendar.isleap(year) else born.replace(year=year)
        for year in range(born.year + 1, on.year + 1)
    ]
    return sum(date <= on for date in dates)


@pytest.mark.parametrize(
    ("header", "age"),
    [
        ({"PatientBirthDate": "20020315", "StudyDate": "20200315"}, 18),
        ({"PatientBirthDate": "201506", "StudyDate": "20200315"}, 4),
        ({"PatientBirthDate": "2015", "StudyDate": "", "AcquisitionDateTime": "20200315101500"}, 5),
        ({"PatientBirthDate": "2015", "StudyDate": "", "AcquisitionDate": "20200315"}, 5),
        ({"PatientBirthDate": "1960", "StudyDate": "20200315", "PatientAge": "017Y"}, 17),
        ({"PatientBirthDate": "2015", "StudyDate": "20200315", "PatientAge": "045Y"}, 5),
        ({"PatientBirthDate": "2002", "StudyDate": "20200315"}, None),
        ({"PatientBirthDate": "2002", "StudyDate": "20200315", "PatientAge": "018Y"}, 18),
        ({"PatientBirthDate": "20020316", "StudyDate": "20200315"}, 17),
        ({"PatientBirthDate": "20040229", "StudyDate": "20220228"}, 17),
        ({"PatientBirthDate": "20040229", "StudyDate": "20220301"}, 18),
        ({"PatientBirthDate": "1960.03.15", "StudyDate": "2020.03.14"}, 59),
        ({"PatientBirthDate": "1960-03-15", "StudyDate": "2020-03-15"}, 60),
        ({"PatientBirthDate": "1960/03/15", "StudyDate": "20200315"}, 60),
        ({"PatientBirthDate": "15.03.1960", "StudyDate": "20200315"}, 60),
        ({"PatientBirthDate": "03/15/1960", "StudyDate": "20200315"}, 60),
        ({"PatientBirthDate": "05/04/2002", "StudyDate": "20200415"}, None),
        ({"PatientBirthDate": "05/04/2002", "StudyDate": "20200601"}, 18),
        ({"PatientBirthDate": "200203", "StudyDate": "20200315"}, None),
        ({"PatientBirthDate": "200204", "StudyDate": "20200315"}, 17),
        ({"PatientBirthDate": "200202", "StudyDate": "20200315"}, 18),
        ({"PatientBirthDate": "1960", "StudyDate": "2020"}, 59),
        ({"PatientBirthDate": "19600315120000", "StudyDate": "20200315"}, 60),
        ({"PatientBirthDate": "2015", "StudyDate": "", "SeriesDate": "20200315"}, 5),
        ({"PatientBirthDate": "2015", "StudyDate": "", "ContentDate": "20200315"}, 5),
        (
            {"PatientBirthDate": "2015", "StudyDate": "UNKNOWN", "SeriesDate": "", "ContentDate": "20200315"},
            5,
        ),
        ({"PatientBirthDate": "1960", "StudyDate": "20200315", "SeriesDate": "19700315"}, 59),
        ({"PatientBirthDate": "2015", "StudyDate": ""}, None),
        ({"PatientBirthDate": "", "StudyDate": "20200315"}, None),
        ({"PatientBirthDate": "00000000", "StudyDate": "20200315"}, None),
        ({"PatientBirthDate": "19601315", "StudyDate": "20200315"}, None),
        ({"PatientBirthDate": "20300101", "StudyDate": "20200315"}, None),
        ({"PatientBirthDate": "XXXX", "StudyDate": "20200315", "PatientAge": "045Y"}, 45),
        ({"PatientBirthDate": "", "StudyDate": "", "PatientAge": "018M"}, 1.5),
        ({"PatientBirthDate": "19600315", "StudyDate": "20200315", "PatientAge": "000Y"}, 0),
    ],
)
def test_the_age_of_a_header(header: dict[str, str], age: float | None, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    elements: dict[str, Any] = {"PatientAge": None, **header}
    write_dicom(path, np.zeros((8, 8), np.uint16), **elements)
    opened = open_dicom(ImageRef(path=path, name="a.dcm", kind=FileKind.DICOM), Limits())
    assert opened.header.age_years == age
