"""What moved since the last wave: its report beside this one, each difference with an interval."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.prevalence import wilson
from models.vocabulary import ThemesError
from nlp_service.report.closed import ClosedResult
from nlp_service.report.content import FORMAT, Change, Changes, ThemeFigure
from nlp_service.report.crosstabs import difference_interval

MAX_FILE_BYTES: Final = 100_000_000


class PreviousReportError(ThemesError):
    """The last wave's report cannot be used."""

    code = "previous_report_invalid"


def read_previous(path: Path) -> dict[str, Any]:
    """Return the last wave's report as it was written in JSON; PreviousReportError if the file is none."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(path, f"is larger than {MAX_FILE_BYTES} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise _refused(path, "has another format")
        str(document["asked"]["title"]), str(document["method"]["model"]["codebook"])
        list(_themes(document["priorities"])), list(_options(document["closed"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(path, f"is no report ({type(error).__name__})") from error
    else:
        return dict(document)


def compare_waves(
    previous: Mapping[str, Any], codebook: str, priorities: Sequence[ThemeFigure], closed: Sequence[ClosedResult]
) -> Changes:
    """Return every figure that both waves have, with the interval of its difference, and what only one has.

    Both waves count as samples of people like those who answered: an interval holds the chance of who answered, and for themes the error
    of model and labels too, joined as half-widths of independent errors. The difference is by the square-and-add method.
    """
    before_book = str(previous["method"]["model"]["codebook"])
    flags: list[str] = []
    if before_book != codebook:
        flags.append(
            f"The codebook changed from {before_book} to {codebook}: themes of the same id are compared, whatever changed in them."
        )
    old_themes = {t["theme"]: t for t in _themes(previous["priorities"])}
    new_themes = {t.theme: t for top in priorities for t in (top, *top.parts)}
    changes = [_theme_change(old_themes[t], new) for t, new in new_themes.items() if t in old_themes]
    changes = [c for c in changes if c is not None]
    for missing, where in (
        (old_themes.keys() - new_themes.keys(), "last"),
        (new_themes.keys() - old_themes.keys(), "this"),
    ):
        if missing:
            flags.append(f"Reported in the {where} wave alone: {', '.join(sorted(missing))}.")
    old_options = dict(_options(previous["closed"]))
    lost = {q for _, q, _ in old_options} - {r.question for r in closed}
    flags += [f"Asked in the last wave alone: {question}" for question in sorted(lost)]
    moved: list[Change] = [c for c in changes if c is not None]
    for result in closed:
        if not result.about_person:
            moved += _closed_changes(old_options, result)
    return Changes(str(previous["asked"]["title"]), before_book, tuple(moved), tuple(flags))


def _theme_change(old: Mapping[str, Any], new: ThemeFigure) -> Change | None:
    was, now = old["figure"], new.figure
    if was["share"] is None or now.share is None:
        return None
    known = None not in (was["low"], was["high"], now.low, now.high)
    low: float | None = None
    high: float | None = None
    if known:
        first = _as_sample(now.share, float(now.low or 0), float(now.high or 0), now.n_respondents)
        second = _as_sample(float(was["share"]), float(was["low"]), float(was["high"]), int(was["n_respondents"]))
        low, high = difference_interval(first, second)
    why = "" if known else "a share without an interval cannot be compared"
    return Change(
        "theme", new.theme, new.label, None, float(was["share"]), now.share, int(was["n_respondents"]), now.n_respondents,
        low, high, why,
    )  # fmt: skip


def _closed_changes(old: Mapping[tuple[str, str, str], tuple[float, int]], result: ClosedResult) -> Iterator[Change]:
    now = [("option", o.option, o.option, o.share) for o in result.options]
    now += [("net", "/".join(n.options), " or ".join(n.options), n.share) for n in result.nets]
    for kind, key, label, share in now:
        was = old.get((kind, result.question, key))
        if was is None or share is None:
            continue
        mine, theirs = _plain(share, result.n_answered), _plain(*was)
        low, high = difference_interval(mine, theirs)
        yield Change(kind, key, label, result.question, was[0], share, was[1], result.n_answered, low, high, "")


def _plain(share: float, n: int) -> tuple[float, float, float]:
    low, high = wilson(share, n)
    return share, float(low), float(high)


def _as_sample(share: float, low: float, high: float, n: int) -> tuple[float, float, float]:
    _, least, most = _plain(share, n)
    return (
        share,
        share - float(np.hypot(share - low, share - least)),
        share + float(np.hypot(high - share, most - share)),
    )


def _themes(priorities: Any) -> Iterator[Mapping[str, Any]]:
    for top in priorities:
        for theme in (top, *top["parts"]):
            figure = theme["figure"]
            str(theme["theme"]), figure["share"], figure["low"], figure["high"], int(figure["n_respondents"])
            yield theme


def _options(closed: Any) -> Iterator[tuple[tuple[str, str, str], tuple[float, int]]]:
    for result in closed:
        n = int(result["n_answered"])
        for option in result["options"]:
            if option["share"] is not None:
                yield ("option", str(result["question"]), str(option["option"])), (float(option["share"]), n)
        for net in result["nets"]:
            yield ("net", str(result["question"]), "/".join(net["options"])), (float(net["share"]), n)


def _refused(path: Path, found: str) -> PreviousReportError:
    return PreviousReportError(
        f"{path.name} {found}.",
        allowed="a report that `themes report --out FILE.json` wrote.",
        next_step="make the last wave's report again as JSON.",
    )
