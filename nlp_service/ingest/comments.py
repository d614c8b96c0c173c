"""Comments from files: which columns hold them, which rows cannot be taken, and ids that never clash."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.text import normalise
from models.vocabulary import Comment, CommentId, Problem, RespondentId
from nlp_service.ingest.csv_table import decode, read_csv
from nlp_service.ingest.jsonl_table import read_jsonl
from nlp_service.ingest.table import MAX_FILE_BYTES, InputNotFoundError, InputRefusedError, Row, Table
from nlp_service.ingest.transcript import EXTENSIONS as TRANSCRIPTS
from nlp_service.ingest.transcript import looks_like_transcript, read_transcript
from nlp_service.ingest.xlsx_table import read_xlsx

TEXT_NAMES: Final = ("text", "comment", "comments", "answer", "response", "feedback", "verbatim", "free text")
ID_NAMES: Final = (
    "comment_id", "comment id", "id", "response id", "response_id", "responseid", "respondent id", "respondent_id", "ref", "reference",
)  # fmt: skip
_MIN_OPEN_CHARS: Final = 16
_MIN_DISTINCT: Final = 0.5
_MIN_LETTERS: Final = 0.6
_EXTENSIONS: Final = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".xlsx", *TRANSCRIPTS)
BLANK: Final = "blank_text"
FACILITATOR: Final = "facilitator_turn"


@dataclass(frozen=True, slots=True)
class Reading:
    """All of the input: each answer cell is either a comment or a problem, and each unread row is a problem."""

    comments: tuple[Comment, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    n_rows: int
    """Rows under the headers of all files, whether they could be read or not."""


def read_comments(
    paths: Sequence[Path],
    *,
    text: Sequence[str] = (),
    id_column: str | None = None,
    sheet: str | None = None,
    facilitators: Sequence[str] = (),
    with_facilitators: bool = False,
) -> Reading:
    """Return the comments of one or more files, in order.

    Parameters
    ----------
    paths
        CSV, TSV, XLSX or JSONL files, or transcripts (WebVTT, SRT, text with speakers), each turn a comment.
    text
        Columns with open answers. None given: a column named like `text` or `comment`, else every column that
        looks like an open question.
    id_column
        Column that names each row. None given: a column named like `id` if it is unique, else row numbers.
    sheet
        Sheet of a workbook; the first with rows if not given.
    facilitators, with_facilitators
        Who leads the workshops, if the transcripts don't show it; and whether their turns are coded too. They are
        listed as problems otherwise.

    Raises
    ------
    InputNotFoundError, InputRefusedError
        If a file is missing or cannot be read, or a column is.
    """
    comments: list[Comment] = []
    problems: list[Problem] = []
    notes: list[str] = []
    n_rows = 0
    prefixes = _prefixes(paths)
    for path, prefix in zip(paths, prefixes, strict=True):
        data, extension = _read_bytes(path), path.suffix.lower()
        if (words := _find_transcript(path.name, extension, data)) is not None:
            turns = read_transcript(path.name, extension, words, facilitators=facilitators)
            notes.extend(turns.notes)
            problems.extend(turns.problems)
            n_rows += len(turns.turns) + len(turns.problems)
            for turn in turns.turns:
                if turn.is_facilitator and not with_facilitators:
                    problems.append(
                        Problem(
                            FACILITATOR,
                            "a turn of who leads the workshop",
                            "nothing to do",
                            turn.number,
                            None,
                            path.name,
                        )
                    )
                    continue
                if not normalise(turn.text).text:
                    problems.append(Problem(BLANK, "nothing was said", "nothing to do", turn.number, None, path.name))
                    continue
                ids = CommentId(f"{prefix}turn-{turn.number}"), RespondentId(f"{prefix}{turn.speaker}")
                comments.append(Comment(ids[0], turn.text, None, ids[1], turn.number, session=path.stem))
            continue
        table = _reader(path.name, extension, data, sheet)()
        texts = _text_columns(table, text)
        keys = _id_column(table, id_column)
        chosen = ", ".join(repr(table.columns[c]) for c in texts)
        named = repr(table.columns[keys]) if keys is not None else "the row number"
        notes.extend((*table.notes, f"{table.name}: text from {chosen}; id from {named}."))
        problems.extend(table.problems)
        n_rows += len(table.rows) + len(table.problems)
        seen: set[str] = set()
        for row in table.rows:
            row_id, problem = _row_id(table, row, keys, seen)
            if problem is not None:
                problems.append(problem)
                continue
            for position, column in enumerate(texts, 1):
                comment_id = f"{prefix}{row_id}" + (f"/{position}" if len(texts) > 1 else "")
                bad = _cell_problem(table, row, column)
                if bad is not None:
                    problems.append(bad)
                    continue
                question = table.columns[column] if len(texts) > 1 else None
                cell = row.cells[column]
                assert cell is not None  # noqa: S101 -- _cell_problem has said so; for the type checker
                comments.append(
                    Comment(CommentId(comment_id), cell, question, RespondentId(f"{prefix}{row_id}"), row.number)
                )
    return Reading(tuple(comments), tuple(problems), tuple(notes), n_rows)


def _prefixes(paths: Sequence[Path]) -> list[str]:
    """Return what goes before ids: nothing for one file, the file's own name for several, numbered if names repeat."""
    if len(paths) == 1:
        return [""]
    stems = Counter(p.stem for p in paths)
    return [f"{p.stem}:" if stems[p.stem] == 1 else f"{p.stem}#{i}:" for i, p in enumerate(paths, 1)]


def _find_transcript(name: str, extension: str, data: bytes) -> str | None:
    """Return the text of a file that is a transcript, or None."""
    if extension not in (*TRANSCRIPTS, ".txt") and not data.startswith((b"WEBVTT", b"\xef\xbb\xbfWEBVTT")):
        return None
    words, _ = decode(name, data)
    return words if looks_like_transcript(extension, words) else None


def _read_bytes(path: Path) -> bytes:
    name = path.name
    try:
        if path.is_dir():
            raise InputRefusedError(
                "is_a_folder", f"{name} is a folder.", allowed="a file.", next_step="name the files in it one by one."
            )
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise InputRefusedError(
                "file_too_large",
                f"{name} has {size_bytes} bytes.",
                allowed=f"at most {MAX_FILE_BYTES}.",
                next_step="split the file and code the parts in one command.",
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"there is no file {name} at that path.", allowed="an existing file.", next_step="check the path."
        ) from error
    except OSError as error:
        raise InputRefusedError(
            "unreadable",
            f"{name} cannot be read ({error.strerror}).",
            allowed="a readable file.",
            next_step="check its rights.",
        ) from error
    if not data:
        raise InputRefusedError(
            "empty_file", f"{name} is empty.", allowed="a header row and rows under it.", next_step="export it again."
        )
    return data


def _reader(name: str, extension: str, data: bytes, sheet: str | None) -> Callable[[], Table]:
    """Return the reader for a file: by its content where that is plain, else by its extension."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0")):
        return lambda: read_xlsx(name, data, sheet)
    if extension not in _EXTENSIONS:
        raise InputRefusedError(
            "unknown_format",
            f"{name} is not of a kind that can be read.",
            allowed=", ".join(_EXTENSIONS) + ".",
            next_step="export the survey as CSV or XLSX.",
        )
    if extension == ".xlsx":
        raise InputRefusedError(
            "not_a_workbook",
            f"{name} is no workbook, whatever its name says.",
            allowed=".xlsx workbooks, or text named .csv, .tsv, .txt or .jsonl.",
            next_step="save it as .xlsx, or give it the extension of what it is.",
        )
    if extension in (".jsonl", ".ndjson"):
        return lambda: read_jsonl(name, data)
    return lambda: read_csv(name, data)


def _find_column(table: Table, wanted: str, what: str) -> int:
    exact = [i for i, c in enumerate(table.columns) if c == " ".join(wanted.split())]
    found = exact or [i for i, c in enumerate(table.columns) if c.casefold() == " ".join(wanted.split()).casefold()]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(repr(c) for c in table.columns[:20]) + (" …" if len(table.columns) > 20 else "")  # noqa: PLR2004
    raise InputRefusedError(
        "ambiguous_column" if found else "missing_column",
        f"{table.name} has {len(found) or 'no'} columns named {wanted!r}.",
        allowed=f"one of: {listed}.",
        next_step=f"name one with --{what}, or give the columns different names.",
    )


def _text_columns(table: Table, wanted: Sequence[str]) -> list[int]:
    if wanted:
        return list(dict.fromkeys(_find_column(table, name, "text") for name in wanted))
    folded = [c.casefold() for c in table.columns]
    for name in TEXT_NAMES:
        if folded.count(name) == 1:
            return [folded.index(name)]
    found = [i for i in range(len(table.columns)) if folded[i] not in ID_NAMES and _looks_open(table, i)]
    if not found and len(table.columns) == 1:
        found = [0]
    if not found:
        listed = ", ".join(repr(c) for c in table.columns[:20]) + (" …" if len(table.columns) > 20 else "")  # noqa: PLR2004
        raise InputRefusedError(
            "missing_column",
            f"{table.name} has no column that looks like an open question.",
            allowed=f"one of its columns: {listed}.",
            next_step="name the column with --text.",
        )
    return found


def _looks_open(table: Table, column: int) -> bool:
    cells = [c for row in table.rows if (c := row.cells[column]) and c.strip()]
    if not cells:
        return False
    lengths = sorted(len(c) for c in cells)
    spaced = sum(" " in c.strip() for c in cells) / len(cells)
    distinct = len(set(cells)) / len(cells)
    letters = sum(c.isalpha() for cell in cells for c in cell) / sum(len(cell) for cell in cells)
    if letters < _MIN_LETTERS:  # dates, phone numbers, codes
        return False
    return lengths[len(lengths) // 2] >= _MIN_OPEN_CHARS and distinct >= _MIN_DISTINCT and spaced >= _MIN_DISTINCT


def _id_column(table: Table, wanted: str | None) -> int | None:
    if wanted is not None:
        return _find_column(table, wanted, "id")
    folded = [c.casefold() for c in table.columns]
    for name in ID_NAMES:
        if folded.count(name) == 1:
            column = folded.index(name)
            cells = [row.cells[column] for row in table.rows]
            if all(c and c.strip() for c in cells) and len({c.strip() for c in cells if c}) == len(cells):
                return column
    return None


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
