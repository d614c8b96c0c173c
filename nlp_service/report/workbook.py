"""The coded workbook: comments, themes, problems and the run, one sheet each. All text is written as text."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from models.counts import counted
from models.vocabulary import CodedComment, Comment
from nlp_service.report.run import Protection, Run, evidence_quotes

MAX_CELL_UNITS: Final = 32_767
"""What a worksheet cell can hold, in UTF-16 code units."""
_CUT: Final = " […shortened: the JSONL and Parquet outputs hold all]"
_BAD_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_WIDTHS: Final = {
    "Safeguarding": (24, 8, 40, 12),
    "Duplicates": (10, 10, 14, 100),
    "Comments": (14, 30, 60, 40, 16, 60, 30, 20),
    "Themes": (16, 40, 12, 12, 12, 60),
    "Problems": (24, 8, 30, 18, 40, 60),
    "Run": (28, 90),
}


def write_workbook(path: Path, pairs: Sequence[tuple[Comment, CodedComment]], run: Run) -> None:
    """Write the workbook row by row, in memory that does not grow with the number of comments."""
    with open_book(path, run.started_at) as add_sheet:
        if run.protection is not None:
            _safeguarding(add_sheet("Safeguarding", _WIDTHS["Safeguarding"]), run.protection)
        _comments(add_sheet("Comments", _WIDTHS["Comments"]), pairs, run)
        _themes(add_sheet("Themes", _WIDTHS["Themes"]), run)
        if run.protection is not None:
            _duplicates(add_sheet("Duplicates", _WIDTHS["Duplicates"]), run.protection)
        _problems(add_sheet("Problems", _WIDTHS["Problems"]), run)
        _run(add_sheet("Run", _WIDTHS["Run"]), run)


@contextmanager
def open_book(path: Path, created: datetime) -> Iterator[Callable[[str, Sequence[int]], "Sheet"]]:
    """Yield a function that adds a sheet of a name and column widths; the workbook is written when the block ends."""
    import xlsxwriter  # noqa: PLC0415 -- the workbook library, in this module only

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": created.replace(tzinfo=None)})
        bold = book.add_format({"bold": True, "bottom": 1})
        yield lambda name, widths: Sheet(book, name, bold, widths)


class Sheet:
    """A sheet that is written downwards and never takes text for a formula, link or number."""

    def __init__(self, book: Any, name: str, bold: Any, widths: Sequence[int]) -> None:
        self._sheet, self._bold, self._row = book.add_worksheet(name), bold, 0
        self._sheet.freeze_panes(1, 0)
        for column, width in enumerate(widths):
            self._sheet.set_column(column, column, width)

    def head(self, *names: str) -> None:
        """Write names in bold."""
        self.row(*names, style=self._bold)

    def row(self, *cells: str | int | float | None, style: Any = None) -> None:
        """Write a row; None leaves a cell empty."""
        for column, cell in enumerate(cells):
            if isinstance(cell, str):
                if cell:
                    self._sheet.write_string(self._row, column, _fit(cell), style)
            elif cell is not None:
                self._sheet.write_number(self._row, column, cell, style)
        self._row += 1


def _fit(text: str) -> str:
    """Return the text as a cell can hold it: characters that XML has no place for shown as �, cut if it is too long."""
    text = _BAD_XML.sub("\ufffd", text)
    if len(text) * 2 <= MAX_CELL_UNITS or len(text.encode("utf-16-le")) <= 2 * MAX_CELL_UNITS:
        return text
    room = 2 * (MAX_CELL_UNITS - len(_CUT))
    return text.encode("utf-16-le")[:room].decode("utf-16-le", "ignore") + _CUT


def _comments(sheet: Sheet, pairs: Sequence[tuple[Comment, CodedComment]], run: Run) -> None:
    sheet.head(
        "Comment",
        "Question",
        "Text",
        "Themes",
        "Probabilities",
        "Evidence",
        "Unsure (worth a look)",
        "Respondent or speaker",
    )
    label = {t.id: t.label for t in run.codebook.themes}
    unquoted = {d.comment_id for d in run.protection.disclosures} if run.protection else set()
    for comment, coded in pairs:
        quotes = (
            evidence_quotes(comment, coded) if comment.id not in unquoted else [("not quoted", ["see Safeguarding"])]
        )
        sheet.row(
            comment.id,
            comment.question,
            comment.text,
            "\n".join(f"{label[c.theme]} ({c.theme})" for c in coded.codings),
            "\n".join(f"{c.probability:.2f}" for c in coded.codings),
            "\n".join(f"{theme}: " + " … ".join(q) for theme, q in quotes),
            "\n".join(f"{label[t]} ({t}) {dict(coded.probabilities)[t]:.2f}" for t in coded.unsure),
            comment.respondent,
        )


def _safeguarding(sheet: Sheet, protection: Protection) -> None:
    sheet.head("Comment", "Row", "Question", "Probability")
    for d in protection.disclosures:
        sheet.row(d.comment_id, d.row, d.question, d.probability)
    if not protection.disclosures:
        sheet.row("None found")
    sheet.row(None)
    sheet.row(SAFEGUARDING)


def _duplicates(sheet: Sheet, protection: Protection) -> None:
    found = protection.duplicates
    sheet.head("Group", "Comments", "Wordings", "Comments of the group")
    for i, group in enumerate(found.groups, 1):
        sheet.row(i, group.size, group.n_wordings, ", ".join(group.comments))
    sheet.row(None)
    sheet.row("", found.n_comments, found.n_distinct, "All comments, and distinct texts: a group counts once")


def _themes(sheet: Sheet, run: Run) -> None:
    sheet.head("Theme", "Label", "Comments", "Share (%)", "Unsure", "Definition")
    for theme, (_, n, unsure) in zip(run.codebook.themes, run.counts, strict=True):
        share = round(100 * n / run.n_comments, 1) if run.n_comments else None
        sheet.row(theme.id, theme.label, n, share, unsure, theme.definition)
    sheet.row(None)
    sheet.row("", NO_INTERVAL)


def _problems(sheet: Sheet, run: Run) -> None:
    sheet.head("File", "Row", "Column", "Code", "Found", "Next step")
    for p in run.problems:
        sheet.row(p.file, p.row, p.column, p.code, p.found, p.next_step)


def _run(sheet: Sheet, run: Run) -> None:
    sheet.head("What", "Value")
    for name, value in run_lines(run):
        sheet.row(name, value)


SAFEGUARDING: Final = (
    "These comments may disclose abuse, exploitation, self-harm or immediate danger. A person should read each before "
    "anything else. The list is a machine's: it misses some and names some that disclose nothing. They are never quoted."
)
NO_INTERVAL: Final = (
    "Shares count what the model coded, of all comments that could be read. They have no interval: that needs a "
    "random sample that people have coded blind."
)


def run_lines(run: Run) -> list[tuple[str, str]]:
    """Return the run sheet: what was coded, with what, when, in words."""
    return [
        ("Files", ", ".join(run.inputs)),
        ("Rows in the files", str(run.n_rows)),
        ("Comments coded", str(run.n_comments)),
        ("Distinct texts", str(run.n_distinct)),
        ("Problems listed", str(len(run.problems))),
        *_protection_lines(run.protection),
        ("Model", run.model),
        ("Codebook", run.codebook.ref),
        ("Encoder", f"{run.encoder} ({run.backend})"),
        ("Service version", run.service_version),
        ("Started (UTC)", run.started_at.isoformat(timespec="seconds")),
        ("Seconds", f"{run.seconds:.1f}"),
        *(("Note", note) for note in run.notes),
    ]


def _protection_lines(protection: Protection | None) -> list[tuple[str, str]]:
    if protection is None:
        return []
    groups = protection.duplicates.groups
    largest = f"; the largest has {counted(groups[0].size, 'comment')}" if groups else ""
    if protection.with_personal_data:
        data = "left as written (--with-personal-data)"
    else:
        data = "replaced: " + (", ".join(f"{n} {kind}" for kind, n in protection.redacted) or "none found")
    return [
        ("To read first (safeguarding)", str(len(protection.disclosures))),
        ("Distinct texts, near copies once", str(protection.duplicates.n_distinct)),
        ("Groups of copies", f"{len(groups)}{largest}"),
        ("Not in English, as it seems", str(protection.n_other_languages)),
        ("Personal data", data),
    ]
