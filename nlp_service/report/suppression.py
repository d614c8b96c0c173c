"""Which cells of a published table stay hidden, so that nobody's answer can be worked out from it.

A cell is small if its count, or what is missing to its base, lies above 0 and under a threshold. Hiding small cells alone is not
enough where a total is published: further cells are hidden until the hidden ones can't be solved for (complementary suppression;
Willenborg and de Waal, Elements of Statistical Disclosure Control, 2001).
"""

from collections.abc import Collection, Sequence
from typing import Final

DEFAULT_THRESHOLD: Final = 5


def small_cells(counts: Sequence[int], bases: Sequence[int | None], *, threshold: int) -> frozenset[int]:
    """Return the positions of counts that point at persons: few, or all but few of their base (None: the rest says nothing)."""
    return frozenset(
        i
        for i, (n, base) in enumerate(zip(counts, bases, strict=True))
        if 0 < n < threshold or (base is not None and 0 < base - n < threshold)
    )


def hide_cells(
    counts: Sequence[int], small: Collection[int], *, threshold: int, most: Sequence[int | None] | None = None
) -> frozenset[int]:
    """Return the positions to hide in cells whose sum is published.

    Parameters
    ----------
    counts
        The cells; they add up to a total that the reader is given.
    small
        Positions that must be hidden.
    threshold
        No hidden cell can be narrowed down to fewer than `threshold` values, and the hidden ones add up to at least as many.
    most
        How large the reader knows that each cell can be; None where nothing but the total bounds it.
    """
    bounds = [None] * len(counts) if most is None else list(most)
    hidden = set(small)
    while hidden and len(hidden) < len(counts) and not _safe(counts, bounds, hidden, threshold):
        visible = [i for i in range(len(counts)) if i not in hidden]
        hidden.add(min(visible, key=lambda i: (counts[i] == 0, counts[i], i)))
    return frozenset(hidden)


def hide_option(n_both: int, n_option: int, n_theme: int, n_all: int, *, threshold: int) -> bool:
    """Return whether to hide how many who chose an option raised a theme, where all else of that two-by-two table is published."""
    cells = (n_both, n_option - n_both, n_theme - n_both, n_all - n_option - n_theme + n_both)
    return any(0 < cell < threshold for cell in cells)


def _safe(counts: Sequence[int], most: Sequence[int | None], hidden: set[int], threshold: int) -> bool:
    total = sum(counts[i] for i in hidden)
    rooms = {i: total if (limit := most[i]) is None else limit for i in hidden}
    room = sum(rooms.values())
    for i in hidden:
        least, highest = max(0, total - (room - rooms[i])), min(total, rooms[i])
        if highest - least + 1 < min(threshold, rooms[i] + 1):
            return False
    return len(hidden) > 1 and total >= threshold
