"""When a survey was answered, from its columns of dates."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

_ISO: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?![0-9])")
_BRITISH: Final = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})(?![0-9])")


def read_days(cells: Iterable[str | None]) -> list[date | None]:
    """Return the day written in each cell, day before month where the year comes last; None where a cell is blank.

    Nothing at all where a cell is filled in with anything else: a first day of some of them would be no first day.
    """
    days: list[date | None] = []
    for cell in cells:
        text = (cell or "").strip()
        day = _day(text)
        if text and day is None:
            return []
        days.append(day)
    return days


def first_and_last(days: Iterable[date | None]) -> tuple[date, date] | None:
    """Return the first and the last of days, None if there is none."""
    told = [day for day in days if day is not None]
    return (min(told), max(told)) if told else None


def _day(cell: str) -> date | None:
    iso, british = _ISO.match(cell), _BRITISH.match(cell)
    try:
        if iso is not None:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if british is not None:
            return date(int(british[3]), int(british[2]), int(british[1]))
    except ValueError:
        return None
    return None
