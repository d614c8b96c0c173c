"""The first and last day of a survey, from its columns of dates."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

_ISO: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?![0-9])")
_BRITISH: Final = re.compile(r"([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]([0-9]{4})(?![0-9])")


def find_days(cells: Iterable[str | None]) -> tuple[date, date] | None:
    """Return the first and last day written in cells, day before month where the year comes last; None if there is none.

    None too where a cell is filled in with anything else: a first day of some of them would be no first day.
    """
    days: list[date] = []
    for cell in cells:
        if cell is None or not cell.strip():
            continue
        day = read_day(cell.strip())
        if day is None:
            return None
        days.append(day)
    return (min(days), max(days)) if days else None


def read_day(cell: str) -> date | None:
    """Return the day that a cell begins with, or None if it is none."""
    iso, british = _ISO.match(cell), _BRITISH.match(cell)
    try:
        if iso is not None:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if british is not None:
            return date(int(british[3]), int(british[2]), int(british[1]))
    except ValueError:
        return None
    return None
