"""Comments from files: which columns hold them, which rows cannot be taken, and ids that never clash."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from models.counts import counted
from models.text import normalise
from models.vocabulary import Comment, CommentId, Problem, RespondentId
from nlp_service.ingest.answers import ClosedAnswers, join_answers, make_answers
from nlp_service.ingest.days import first_and_last, read_days
from nlp_service.ingest.formats import find_workshop, read_bytes, read_table
from nlp_service.ingest.mapping import ColumnMapping, choose_roles
from nlp_service.ingest.roles import NO_ID, TEXT_NAMES, ColumnRole, Role, listed_columns
from nlp_service.ingest.table import InputRefusedError, Row, Table
from nlp_service.ingest.transcript import Transcript

BLANK: Final = "blank_text"
FACILITATOR: Final = "facilitator_turn"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How files are read: the columns and the sheet of surveys, and who leads workshops.

    Codings belong to comments that were read in the same way. What is said last wins: guesses, then `mapping`, then `roles`, then
    `text` and `id_column`.
    """

    text: tuple[str, ...] = ()
    """Columns with open answers. None given: every column whose role is "open"; several are coded together and each comment keeps
    its question."""
    id_column: str | None = None
    """Column that names each row. None given: a column named like `id` if it is unique, else row numbers."""
    sheet: str | None = None
    """Sheet of a workbook; the first with rows if not given."""
    facilitators: tuple[str, ...] = ()
    """Who leads the workshops, if the transcripts don't show it."""
    with_facilitators: bool = False
    """Take their turns too; they are listed as problems otherwise."""
    mapping: ColumnMapping | None = None
    """Roles saved from another wave."""
    roles: Mapping[str, Role] = field(default_factory=dict)
    """Roles by column name."""

    @property
    def mapping_file(self) -> Path | None:
        """Return the file of the mapping, which is an input as the surveys are."""
        return None if self.mapping is None else self.mapping.file


GUESSED: Final = ReadingOptions()
"""Nothing said: everything is taken for what it looks like."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All of the input: each answer cell is either a comment or a problem, and each unread row is a problem."""

    comments: tuple[Comment, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    n_rows: int
    """Rows under the headers of all files, whether they could be read or not."""
    answers: ClosedAnswers = field(default_factory=ClosedAnswers)
    """Closed questions and each respondent's answers to them."""
    days: tuple[date, date] | None = None
    """The first and last day in the columns of dates, if there are any."""
    months: Mapping[RespondentId, str] = field(default_factory=dict)
    """When respondents answered, as `2026-05`, by the first column that holds nothing but days; those without one are not there."""


def read_comments(paths: Sequence[Path], reading_options: ReadingOptions = GUESSED) -> Reading:
    """Return the comments of one or more files, in order, and what each respondent answered to closed questions.

    Parameters
    ----------
    paths
        Survey exports (see `formats`), or transcripts, each turn a comment.
    reading_options
        How they are read, all in the same way.

    Raises
    ------
    InputNotFoundError, InputRefusedError
        If a file is missing or cannot be read, or a column is.
    """
    o = reading_options
    parts: list[Reading] = []
    for path, prefix in zip(paths, _prefixes(paths), strict=True):
        data, extension = read_bytes(path), path.suffix.lower()
        workshop = find_workshop(path.name, extension, data, o.facilitators)
        if workshop is not None:
            parts.append(_read_workshop(path, prefix, workshop, with_facilitators=o.with_facilitators))
            continue
        table = read_table(path.name, extension, data, o.sheet)
        chosen, notes = choose_roles(table, text=o.text, id_column=o.id_column, mapping=o.mapping, roles=o.roles)
        parts.append(_read_survey(table, prefix, chosen, notes))
    return Reading(
        tuple(c for part in parts for c in part.comments),
        tuple(p for part in parts for p in part.problems),
        tuple(n for part in parts for n in part.notes),
        sum(part.n_rows for part in parts),
        join_answers([part.answers for part in parts]),
        first_and_last(day for part in parts for day in part.days or ()),
        {who: month for part in parts for who, month in part.months.items()},
    )


def _read_workshop(path: Path, prefix: str, transcript: Transcript, *, with_facilitators: bool) -> Reading:
    comments: list[Comment] = []
    problems = list(transcript.problems)
    for turn in transcript.turns:
        where = (turn.number, None, path.name)
        if turn.is_facilitator and not with_facilitators:
            problems.append(Problem(FACILITATOR, "a turn of who leads the workshop", "nothing to do", *where))
        elif not normalise(turn.text).text:
            problems.append(Problem(BLANK, "nothing was said", "nothing to do", *where))
        else:
            ids = CommentId(f"{prefix}turn-{turn.number}"), RespondentId(f"{prefix}{turn.speaker}")
            comments.append(Comment(ids[0], turn.text, None, ids[1], turn.number, session=path.stem))
    n_rows = len(transcript.turns) + len(transcript.problems)
    return Reading(tuple(comments), tuple(problems), transcript.notes, n_rows)


def _read_survey(table: Table, prefix: str, roles: Sequence[ColumnRole], notes: Sequence[str]) -> Reading:
    texts = [i for i, r in enumerate(roles) if r.role is Role.OPEN]
    if not texts:
        raise InputRefusedError(
            "missing_column",
            f"{table.name} has no column that looks like an open question.",
            allowed=f"one of its columns: {listed_columns(table)}.",
            next_step="name the column with --text; `themes inspect FILE` shows what each was taken for.",
        )
    keys = next((i for i, r in enumerate(roles) if r.role is Role.ID), None)
    named = repr(table.columns[keys]) if keys is not None else "the row number"
    closed = sum(r.kind is not None for r in roles)
    said = f"{table.name}: text from {', '.join(repr(table.columns[c]) for c in texts)}; id from {named}"
    said += f"; {counted(closed, 'column')} of closed questions." if closed else "."
    doubtful = [r.column for r in roles if r.reason == NO_ID] if keys is None else []
    if doubtful:
        said += (
            f" The cells of {doubtful[0]!r} repeat or are blank, so respondents are known by their row alone and cannot be found "
            "by that id; mend the cells, or name the column with --id."
        )
    comments: list[Comment] = []
    problems = list(table.problems)
    seen: set[str] = set()
    people: list[tuple[RespondentId, Row]] = []
    for row in table.rows:
        row_id, problem = _row_id(table, row, keys, seen)
        if problem is not None:
            problems.append(problem)
            continue
        respondent = RespondentId(f"{prefix}{row_id}")
        people.append((respondent, row))
        for position, column in enumerate(texts, 1):
            bad = _cell_problem(table, row, column)
            if bad is not None:
                problems.append(bad)
                continue
            comment_id = CommentId(f"{prefix}{row_id}" + (f"/{position}" if len(texts) > 1 else ""))
            name = table.columns[column]
            question = name if len(texts) > 1 or name.casefold() not in TEXT_NAMES else None
            comments.append(Comment(comment_id, row.cells[column] or "", question, respondent, row.number))
    n_rows = len(table.rows) + len(table.problems)
    every_note = (*table.notes, *notes, said)
    dates = [i for i, r in enumerate(roles) if r.role is Role.DATE]
    days = [read_days(row.cells[i] for _, row in people) for i in dates]
    span = first_and_last(day for column in days for day in column)
    months = {
        who: f"{day:%Y-%m}"
        for (who, _), day in zip(people, next(filter(any, days), []), strict=False)  # nobody where no column holds days
        if day is not None
    }
    return Reading(tuple(comments), tuple(problems), every_note, n_rows, make_answers(roles, people), span, months)


def _prefixes(paths: Sequence[Path]) -> list[str]:
    """Return what goes before ids: nothing for one file, the file's own name for several, numbered if names repeat."""
    if len(paths) == 1:
        return [""]
    stems = Counter(p.stem for p in paths)
    return [f"{p.stem}:" if stems[p.stem] == 1 else f"{p.stem}#{i}:" for i, p in enumerate(paths, 1)]


def _row_id(table: Table, row: Row, keys: int | None, seen: set[str]) -> tuple[str, Problem | None]:
    if keys is None:
        return f"row-{row.number}", None
    column = table.columns[keys]
    value = (row.cells[keys] or "").strip()
    step = "mend the id, or leave out --id to count rows instead"
    if not value:
        return "", Problem("blank_id", "the row has no id", step, row.number, column, table.name)
    if not _is_unicode(value):
        return "", Problem("not_unicode", "the id holds half a character", step, row.number, column, table.name)
    if value in seen:
        return "", Problem("duplicate_id", "the id stands in an earlier row", step, row.number, column, table.name)
    seen.add(value)
    return value, None


def _cell_problem(table: Table, row: Row, column: int) -> Problem | None:
    cell, where = row.cells[column], (row.number, table.columns[column], table.name)
    if cell is None:
        return Problem("not_text", "the cell holds a list or an object", "give the answer as one text", *where)
    if not _is_unicode(cell):
        return Problem(
            "not_unicode", "the text holds half a character (a lone surrogate)", "export it as UTF-8", *where
        )
    if not normalise(cell).text:
        return Problem(BLANK, "nobody wrote here", "nothing to do", *where)
    return None


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)
