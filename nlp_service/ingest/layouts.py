"""Headers of several rows, as survey tools write them, made into one name a column.

- Qualtrics (CSV, TSV): three rows: the field (`Q3_1`), the question's text, and `{"ImportId": ...}`. Excel exports have the first two.
  Source: Qualtrics support, "Understanding Your Dataset" ("CSV and TSV files come with 3 rows of headers").
- SurveyMonkey (CSV, XLS, XLSX): two rows: the question once over all of its columns, then "Response", "Open-Ended Response" or one option a
  column; the first cells of the second row, under "Respondent ID" and the like, are blank. Source: the columns that programs which read
  these exports expect; the vendor's own pages name the columns and do not show the rows.
- SmartSurvey, and anything else with a merged row of questions over a row of options: known by the same shape.
- Microsoft Forms, Google Forms and Citizen Space write one row; grids and tick boxes are recognised by the shared beginning of names
  ("Question [Row]", "Question - Option"), see `roles`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from models.counts import counted
from nlp_service.ingest.table import ColumnFacts, Table

_IMPORT_ID: Final = re.compile(r'\{"ImportId": ?"[^"\n]{1,200}"[^\n]{0,400}\}')
_FIELDS: Final = frozenset(
    ("ResponseId", "RecordedDate", "StartDate", "EndDate", "DistributionChannel", "UserLanguage")
)
_MIN_FIELDS: Final = 2
_STEM: Final = re.compile(r"(.{1,80}?)_[0-9]{1,3}(?:_[0-9]{1,3})?(_TEXT)?")
_ANSWER_MARKS: Final = frozenset(("response", "open-ended response", "open ended response", ""))
_UNNAMED: Final = re.compile(r"column [0-9]{1,5}")


def merge_headings(table: Table) -> Table:
    """Return a table with one name a column; rows that were headings are rows no longer, and a note says so."""
    texts = _text_cells(table, 0)
    if texts is None:
        return table
    ids = _text_cells(table, 1)
    if ids is not None and any(ids) and all(_IMPORT_ID.fullmatch(c) for c in ids if c):
        return _from_qualtrics(table, texts, 2)
    if all(_IMPORT_ID.fullmatch(c) for c in texts if c) and any(texts):
        return _without(table, 1, "a row of ImportIds")
    if len(_FIELDS & set(table.columns)) >= _MIN_FIELDS and _is_spelled_out(table, texts):
        return _from_qualtrics(table, texts, 1)
    return _from_two_rows(table, texts) if _has_two_rows(table, texts) else table


def _text_cells(table: Table, index: int) -> tuple[str, ...] | None:
    if len(table.rows) <= index:
        return None
    return tuple(" ".join((cell or "").split()) for cell in table.rows[index].cells)


def _is_spelled_out(table: Table, texts: Sequence[str]) -> bool:
    """Return whether the row below spells out the fields: "Response ID" under ResponseId."""
    return all(
        t.replace(" ", "").casefold() == c.casefold()
        for c, t in zip(table.columns, texts, strict=True)
        if c in _FIELDS - {"ResponseId"}
    )


def _without(table: Table, n: int, what: str) -> Table:
    return replace(
        table, rows=table.rows[n:], notes=(*table.notes, f"{table.name}: {what} under the header was taken as heading.")
    )


def _from_qualtrics(table: Table, texts: Sequence[str], n_headings: int) -> Table:
    """Name columns after their question's text; the field's short name finds them too."""
    names = [text or field for field, text in zip(table.columns, texts, strict=True)]
    stems = [m[1] if (m := _STEM.fullmatch(field)) is not None and not m[2] else None for field in table.columns]
    sizes = Counter(s for s in stems if s is not None)
    facts = []
    for field, text, stem in zip(table.columns, texts, stems, strict=True):
        question, there, option = text.replace(" - Selected Choice", "").rpartition(" - ")
        shared = stem is not None and sizes[stem] > 1 and there
        facts.append(ColumnFacts(question, option, field) if shared else ColumnFacts(alias=field))
    named = replace(table, columns=_distinct(names, table.columns), facts=tuple(facts))
    return _without(named, n_headings, f"{counted(n_headings, 'row')} of Qualtrics headings")


def _distinct(names: Sequence[str], fields: Sequence[str]) -> tuple[str, ...]:
    times = Counter(n.casefold() for n in names)
    return tuple(f"{n} ({f})" if times[n.casefold()] > 1 and n != f else n for n, f in zip(names, fields, strict=True))


def _has_two_rows(table: Table, second: Sequence[str]) -> bool:
    """Return whether the first row under the header goes on with it.

    It does if the response's own columns (the first, and all that follow it until something stands below) are blank in it, all unnamed columns have
    something in it, and there is an unnamed column, or nothing but "Response" and "Open-Ended Response".
    """
    if second[0] or not any(second) or _UNNAMED.fullmatch(table.columns[0]):
        return False
    unnamed = [i for i, c in enumerate(table.columns) if c == f"column {i + 1}"]
    if any(not second[i] for i in unnamed):
        return False
    if unnamed:
        return True
    below = [c.casefold() for c in second if c]
    return all(c in _ANSWER_MARKS or c.startswith("other (please specify") for c in below)


def _from_two_rows(table: Table, second: Sequence[str]) -> Table:
    questions: list[str] = []
    for i, name in enumerate(table.columns):
        goes_on = name == f"column {i + 1}" and questions
        questions.append(questions[-1] if goes_on else name)
    sizes = Counter(questions)
    names, facts = [], []
    for question, option in zip(questions, second, strict=True):
        alone = sizes[question] == 1 or option.casefold() in _ANSWER_MARKS
        names.append(question if alone else f"{question} - {option}")
        facts.append(ColumnFacts() if alone else ColumnFacts(question, option))
    fields = [f"column {i}" for i in range(1, len(names) + 1)]
    named = replace(table, columns=_distinct(names, fields), facts=tuple(facts))
    return _without(named, 1, "a second row of headings")
