"""Words that follow figures: nothing is called "most" or "more" unless its interval says so. Pure functions."""

from typing import Final

HALF: Final = 0.5


def share_word(low: float | None, high: float | None) -> str:
    """Return what may be said of a share: "most", "fewer than half", "about half", or nothing without an interval."""
    if low is None or high is None:
        return ""
    if low > HALF:
        return "most"
    return "fewer than half" if high < HALF else "about half"


def difference_word(low: float | None, high: float | None) -> str:
    """Return what may be said of a difference, first minus second, by its interval."""
    if low is None or high is None:
        return "cannot be compared with"
    if low > 0:
        return "more than"
    return "fewer than" if high < 0 else "not clearly different from"


def change_word(low: float | None, high: float | None) -> str:
    """Return what may be said of a change since the last wave, by its interval."""
    if low is None or high is None:
        return "cannot be compared"
    if low > 0:
        return "up"
    return "down" if high < 0 else "no clear change"


def percent(share: float | None) -> str:
    """Return a share as a whole percentage; "under 1%" where rounding would say none, "over 99%" where it would say all."""
    if share is None:
        return "hidden"
    rounded = round(100 * share)
    if rounded == 0 and share > 0:
        return "under 1%"
    return "over 99%" if rounded == 100 and share < 1 else f"{rounded}%"  # noqa: PLR2004 -- per cent


def interval(low: float | None, high: float | None) -> str:
    """Return an interval in whole per cent: "30 to 38%"; empty without one."""
    return "" if low is None or high is None else f"{round(100 * low)} to {round(100 * high)}%"


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{round(100 * difference):+d}".replace("-", "\N{MINUS SIGN}")


def ordinal(n: int) -> str:
    """Return 1st, 2nd, 3rd, 4th ..."""
    teens = 10 < n % 100 < 14  # noqa: PLR2004 -- 11th, 12th, 13th
    return f"{n}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def rank_range(low: int | None, high: int | None) -> str:
    """Return "1st to 3rd", "2nd", or nothing where ranks are not known."""
    if low is None or high is None:
        return ""
    return ordinal(low) if low == high else f"{ordinal(low)} to {ordinal(high)}"


def listed(names: list[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
