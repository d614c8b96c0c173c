"""The summary that a terminal shows: themes with counts and shares, and comments with their evidence underlined."""

import textwrap
from typing import Final

from models.counts import counted
from models.vocabulary import Codebook, CodedComment, Comment
from nlp_service.report.content import Report
from nlp_service.report.run import Run
from nlp_service.report.words import interval, percent, rank_range
from nlp_service.report.workbook import NO_INTERVAL

_BAR_CHARS: Final = 24
_WIDTH: Final = 100


def themes_table(run: Run) -> str:
    """Return families by size, each with its themes by size; what nobody raised is left out."""
    counts = {t: n for t, n, _ in run.counts}
    unsure = {t: n for t, _, n in run.counts}
    tops = sorted((t for t in run.codebook.themes if t.parent is None), key=lambda t: (t.residual, -counts[t.id]))
    width = max(len(t.label) + 2 for t in run.codebook.themes)
    lines = [f"{'Theme':<{width}}  {'comments':>8}  {'share':>6}  {'unsure':>6}"]
    largest = max((counts[t.id] for t in run.codebook.codable), default=0) or 1
    for top in tops:
        children = sorted((t for t in run.codebook.themes if t.parent == top.id), key=lambda t: -counts[t.id])
        for theme in (top, *children):
            n = counts[theme.id]
            if not n:
                continue
            name = theme.label if theme is top else f"  {theme.label}"
            bar = "█" * max(1, round(_BAR_CHARS * n / largest)) if not (theme is top and children) else ""
            lines.append(f"{name:<{width}}  {n:>8}  {n / run.n_comments:>6.1%}  {unsure[theme.id]:>6}  {bar}".rstrip())
    lines.append("")
    lines.extend(textwrap.wrap(NO_INTERVAL, _WIDTH))
    return "\n".join(lines)


def shares_table(report: Report) -> str:
    """Return the upper themes with their share, interval and range of ranks."""
    lines = [f"{'Theme':<44}  {'share':>6}  {'95% interval':>13}  rank"]
    for theme in report.priorities:
        f = theme.figure
        if f.share is not None:
            span = interval(f.low, f.high) or "none"
            lines.append(
                f"{theme.label:<44}  {percent(f.share):>6}  {span:>13}  {rank_range(f.rank_low, f.rank_high)}".rstrip()
            )
    return "\n".join(lines)


def protection_lines(run: Run) -> list[str]:
    """Return what a person should look at before the themes: disclosures, copies, personal data."""
    if run.protection is None:
        return []
    n, copies = len(run.protection.disclosures), run.protection.duplicates
    lines = []
    if n:
        lines.append(f"Read first: {counted(n, 'comment')} may disclose harm to somebody (safeguarding).")
    if copies.groups:
        lines.append(
            f"{counted(copies.n_comments, 'comment is', 'comments are')} {counted(copies.n_distinct, 'distinct text')}: {counted(len(copies.groups), 'group')} of copies, "
            f"the largest of {copies.groups[0].size}."
        )
    if run.protection.with_personal_data is True:
        lines.append("Texts in the output stand as they were written, with personal data.")
    elif run.protection.redacted:
        lines.append("Replaced in texts: " + ", ".join(f"{n} {kind}" for kind, n in run.protection.redacted) + ".")
    return lines


def underlined(comment: Comment, coded: CodedComment, codebook: Codebook) -> str:
    """Return a comment with each coded theme and, beneath the words that carry it, a line of tildes."""
    lines = [f"{comment.id}" + (f"  ({comment.question})" if comment.question else "")]
    for coding in coded.codings:
        lines.append(
            f"  {codebook.get_theme(coding.theme).label} ({coding.theme}), probability {coding.probability:.2f}"
        )
        marked = [False] * len(comment.text)
        for segment in coding.evidence:
            marked[segment.start : segment.end] = [True] * (segment.end - segment.start)
        for start, end in _wrapped(comment.text):
            words = comment.text[start:end].replace("\n", " ").replace("\t", " ")
            marks = "".join("~" if m else " " for m in marked[start:end]).rstrip()
            lines.append(f"    {words}")
            if marks:
                lines.append(f"    {marks}")
    if coded.unsure:
        names = ", ".join(
            f"{codebook.get_theme(t).label} {p:.2f}" for t in coded.unsure if (p := dict(coded.probabilities)[t])
        )
        lines.append(f"  unsure: {names}")
    return "\n".join(lines)


def _wrapped(text: str) -> list[tuple[int, int]]:
    """Return slices of the text that fit a line, broken at blanks."""
    slices: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = min(len(text), start + _WIDTH - 8)
        if end < len(text):
            end = max(text.rfind(" ", start + 1, end + 1), start) or end
            end = end if end > start else min(len(text), start + _WIDTH - 8)
        slices.append((start, end))
        start = end + 1 if end < len(text) and text[end] == " " else end
    return slices
