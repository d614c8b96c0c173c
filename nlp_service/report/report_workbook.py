"""The report as a workbook: a sheet for each part, every figure as a number."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nlp_service.report.content import Report, ThemeFigure
from nlp_service.report.quotes import Quote
from nlp_service.report.workbook import Sheet, open_book

HIDDEN: Final = "[c]"
_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Of every report: the same report gives the same bytes."""


def write_report_workbook(path: Path, report: Report) -> None:
    """Write the workbook; a hidden figure is `[c]`, one that does not exist an empty cell."""
    with open_book(path, _CREATED) as add:
        _asked(add("We asked", (44, 80)), report)
        _themes(add("You said", (10, 44, 44, 10, 10, 10, 10, 10, 20, 12, 12, 14, 60)), report)
        _quotes(add("Quotes", (16, 100, 20, 8, 8, 40, 20)), report)
        _closed(add("Closed questions", (50, 12, 44, 10, 10, 14, 14)), report)
        if report.workshops is not None:
            _workshops(add("Workshops", (44, 12, 14, 12, 14)), report)
        _crosstabs(add("Who raised what", (50, 44, 40, 12, 12, 10, 10, 10, 16)), report)
        _findings(add("Differences", (44, 50, 40, 10, 10, 10, 12, 16, 16)), report)
        if report.changes is not None:
            _changes(add("What moved", (44, 50, 10, 10, 12, 12, 16, 16, 40)), report)
        _did(add("We did", (44, 100)), report)
        _method(add("Method", (36, 110)), report)


def _asked(sheet: Sheet, report: Report) -> None:
    a = report.asked
    sheet.head("What", "Value")
    sheet.row("Title", a.title)
    sheet.row("First day", a.first_day)
    sheet.row("Last day", a.last_day)
    sheet.row("People who answered", a.n_rows)
    sheet.row("People who wrote a comment", a.n_respondents)
    sheet.row("Comments", a.n_comments)
    for question in a.open_questions:
        sheet.row("Open question", question)
    for question in a.closed_questions:
        sheet.row("Closed question", question)


def _themes(sheet: Sheet, report: Report) -> None:
    sheet.head(
        "Theme", "Label", "Part of", "Share", "Low", "High", "Rank from", "Rank to", "Method", "People labelled",
        "People", "People found", "Why no interval",
    )  # fmt: skip

    def row(theme: ThemeFigure, parent: str | None) -> None:
        f = theme.figure
        sheet.row(
            theme.theme, theme.label, parent, HIDDEN if f.share is None else f.share, f.low, f.high, f.rank_low, f.rank_high,
            f.method, f.n_labelled, f.n_respondents, HIDDEN if theme.n_coded is None else theme.n_coded, f.why,
        )  # fmt: skip

    for top in report.priorities:
        row(top, None)
        for part in top.parts:
            row(part, top.label)


def _quotes(sheet: Sheet, report: Report) -> None:
    sheet.head("Theme", "Quote", "Comment", "From", "To", "Question", "Workshop")
    quotes: list[Quote] = [q for top in report.priorities for t in (top, *top.parts) for q in t.quotes]
    if report.workshops is not None:
        quotes += [q for t in report.workshops.themes for q in t.quotes]
    for q in quotes:
        sheet.row(q.theme, q.text, q.comment_id, q.start, q.end, q.question, q.session)


def _closed(sheet: Sheet, report: Report) -> None:
    sheet.head("Question", "Kind", "Answer", "Share", "People", "Base: answered", "Asked")
    for r in report.closed:
        for o in r.options:
            share = HIDDEN if o.n is None else o.share
            sheet.row(r.question, r.kind, o.option, share, HIDDEN if o.n is None else o.n, r.n_answered, r.n_asked)
        for n in r.nets:
            sheet.row(r.question, r.kind, " or ".join(n.options), n.share, n.n, r.n_answered, r.n_asked)


def _workshops(sheet: Sheet, report: Report) -> None:
    sheet.head("Theme", "Sessions", "of sessions", "Speakers", "of speakers")
    for w in report.workshops.themes if report.workshops is not None else ():
        sheet.row(w.label, w.raised.n_sessions, w.raised.of_sessions, w.raised.n_speakers, w.raised.of_speakers)


def _crosstabs(sheet: Sheet, report: Report) -> None:
    sheet.head("Question", "Group", "Theme", "Base", "People", "Share", "Low", "High", "Chance (adjusted)")
    for t in report.crosstabs:
        for row in t.rows:
            for group, cell in zip(t.groups, row.cells, strict=True):
                base = HIDDEN if group.n is None else group.n
                if cell.n is None:
                    sheet.row(t.question, group.name, row.label, base, HIDDEN, HIDDEN, None, None, row.chance)
                else:
                    sheet.row(
                        t.question, group.name, row.label, base, cell.n, cell.share, cell.low, cell.high, row.chance
                    )
            total = row.total
            sheet.row(t.question, "All", row.label, t.n_all, total.n, total.share, total.low, total.high, row.chance)


def _findings(sheet: Sheet, report: Report) -> None:
    sheet.head("Theme", "Question", "Group", "Share", "Low", "High", "All others", "Difference from", "Difference to")
    for f in report.findings:
        sheet.row(f.label, f.question, f.group, f.share, f.low, f.high, f.others, f.difference_low, f.difference_high)


def _changes(sheet: Sheet, report: Report) -> None:
    sheet.head(
        "Figure", "Question", "Then", "Now", "Base then", "Base now", "Change from", "Change to", "Why not compared"
    )
    if report.changes is None:
        return
    for c in report.changes.changes:
        sheet.row(c.label, c.question, c.before, c.now, c.n_before, c.n_now, c.low, c.high, c.why)
    for flag in report.changes.flags:
        sheet.row(flag)


def _did(sheet: Sheet, report: Report) -> None:
    sheet.head("You said", "We did (to fill in)")
    for top in report.priorities:
        if top.n_coded:
            sheet.row(top.label)


def _method(sheet: Sheet, report: Report) -> None:
    m = report.method
    sheet.head("What", "Value")
    lines: list[tuple[str, str | int | float | None]] = [
        ("Files", ", ".join(m.files)),
        ("Not coded", m.n_problems),
        ("Model", m.model.model),
        ("Codebook", m.model.codebook),
        ("Themes of the codebook", m.model.n_themes),
        ("Model trained on comments", m.model.trained_on),
        *((f"Model: {name}", f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None else "")) for name, value, low, high in m.model.measured),
        ("Model: measured", m.model.split_note),
        *(("Model: limit", limit) for limit in m.model.limits),
        ("People whose comments were labelled", m.n_labelled),
        ("Counts hidden under", m.threshold),
        ("Hidden in closed questions", m.n_hidden_closed),
        ("Hidden in tables by groups", m.n_hidden_crosstabs),
        ("Hidden themes", m.n_hidden_themes),
        ("Comparisons", m.n_tests),
        ("False discoveries allowed", m.false_discoveries),
        ("Personal data replaced in quotes", "yes" if m.redacted else "no"),
        ("Comments kept from being quoted", m.n_not_quoted),
        ("Of these, comments that may disclose harm", m.n_disclosing),
        *(("Note", note) for note in m.notes),
        ("Seed", m.seed),
        ("Service version", m.service_version),
    ]  # fmt: skip
    for name, value in lines:
        sheet.row(name, value)
