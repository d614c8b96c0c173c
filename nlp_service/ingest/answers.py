"""Closed questions, kept with each respondent: which questions there are, their options in order, and who answered what.

`read_comments(...).answers` is a `ClosedAnswers`. For a report: `answers.questions` are the bars, `answers.of(respondent)` what one
person ticked, `answers.crossed(question)` the respondents behind each option.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from models.vocabulary import RespondentId
from nlp_service.ingest.roles import AnswerKind, ColumnRole, Role
from nlp_service.ingest.scales import find_scale, is_outside
from nlp_service.ingest.table import Row

_CLOSED: Final = (Role.SINGLE, Role.MULTI, Role.TICK, Role.SCALE, Role.DEMOGRAPHIC)
_UNTICKED: Final = frozenset(
    ("0", "no", "n", "false", "-", "not selected", "unticked", "unchecked", "off", "not ticked", "not checked")
)


@dataclass(frozen=True, slots=True)
class ClosedQuestion:
    """A question with options.

    `kind` says how they relate: NOMINAL (one of them, no order), ORDERED (one of them, `options` run from least to most),
    MULTI (any number of them).
    """

    name: str
    """As in the file's header; unique in a `ClosedAnswers`."""
    kind: AnswerKind
    options: tuple[str, ...]
    """Every answer given (and those that the file names); ordered: least first, answers outside the scale last; else most frequent first."""
    is_demographic: bool = False
    outside: tuple[str, ...] = ()
    """Options of an ordered question that are not on its scale ("Don't know")."""


@dataclass(frozen=True, slots=True)
class ClosedAnswers:
    """All closed questions of a reading, and each respondent's answers to them."""

    questions: tuple[ClosedQuestion, ...] = ()
    by_respondent: Mapping[RespondentId, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Respondent to question name to the options chosen. A question that someone left blank is not among theirs."""

    def get_question(self, name: str) -> ClosedQuestion:
        """Return the question of that name; KeyError if there is none."""
        for question in self.questions:
            if question.name == name:
                return question
        raise KeyError(name)

    def of(self, respondent: RespondentId | None) -> Mapping[str, tuple[str, ...]]:
        """Return one respondent's answers: question name to options; empty if nothing is known of them."""
        return {} if respondent is None else self.by_respondent.get(respondent, {})

    def crossed(self, name: str) -> dict[str, tuple[RespondentId, ...]]:
        """Return, for each option of a question in order, who chose it, in file order; KeyError if there is no such question."""
        found: dict[str, list[RespondentId]] = {o: [] for o in self.get_question(name).options}
        for respondent, answers in self.by_respondent.items():
            for option in answers.get(name, ()):
                found[option].append(respondent)
        return {option: tuple(who) for option, who in found.items()}


def question_name(role: ColumnRole) -> str:
    """Return the name of the closed question that a column belongs to: options share one, statements of a grid have one each."""
    if role.role is Role.TICK and role.question is not None:
        return role.question
    return role.column


def make_answers(columns: Sequence[ColumnRole], rows: Iterable[tuple[RespondentId, Row]]) -> ClosedAnswers:
    """Return the closed answers in rows of one table.

    Parameters
    ----------
    columns
        The table's roles, one a column.
    rows
        Who, and their row. A respondent with several rows keeps the first answer to each question.
    """
    names = _unique_names(columns)
    by_respondent: dict[RespondentId, dict[str, tuple[str, ...]]] = {}
    for who, row in rows:
        mine = by_respondent.setdefault(who, {})
        told: dict[str, list[str]] = {}
        for i, role in enumerate(columns):
            if names[i] is not None and (cell := row.cells[i]) and cell.strip():
                told.setdefault(str(names[i]), []).extend(_chosen(role, cell))
        for name, options in told.items():
            if options and name not in mine:
                mine[name] = tuple(dict.fromkeys(options))
    counts: dict[str, dict[str, int]] = {str(n): {} for n in names if n is not None}
    for answers in by_respondent.values():
        for name, chosen in answers.items():
            for option in chosen:
                counts[name][option] = counts[name].get(option, 0) + 1
    questions: dict[str, ClosedQuestion] = {}
    for role, named in zip(columns, names, strict=True):
        if named is not None and named not in questions:
            group = [r for r, n in zip(columns, names, strict=True) if n == named]
            questions[named] = _question(named, role, group, counts[named])
    return ClosedAnswers(tuple(questions.values()), by_respondent)


def join_answers(parts: Sequence[ClosedAnswers]) -> ClosedAnswers:
    """Return the answers of several files as one: a question of the same name in two files is one question with the options of both.

    Where the files disagree on how its options relate, the question is nominal (or multi, if it is in one of them).
    """
    if len(parts) == 1:
        return parts[0]
    questions: dict[str, ClosedQuestion] = {}
    by_respondent: dict[RespondentId, Mapping[str, tuple[str, ...]]] = {}
    for part in parts:
        by_respondent.update(part.by_respondent)
        for q in part.questions:
            known = questions.get(q.name)
            questions[q.name] = q if known is None else _joined(known, q)
    return ClosedAnswers(tuple(questions.values()), by_respondent)


def _joined(first: ClosedQuestion, second: ClosedQuestion) -> ClosedQuestion:
    options = tuple(dict.fromkeys((*first.options, *second.options)))
    demographic = first.is_demographic or second.is_demographic
    if first.kind is second.kind is AnswerKind.ORDERED:
        scale = find_scale(options)
        if scale is not None:
            return _ordered(first.name, scale.order, demographic=demographic)
        if set(second.options) <= set(first.options):
            return first
        if set(first.options) <= set(second.options):
            return second
    kind = AnswerKind.MULTI if AnswerKind.MULTI in (first.kind, second.kind) else AnswerKind.NOMINAL
    return ClosedQuestion(first.name, kind, options, demographic)


def _unique_names(columns: Sequence[ColumnRole]) -> list[str | None]:
    """Return the question name of each closed column, None for the others; a name that came before gets its column's number."""
    names: list[str | None] = []
    taken: dict[str, Role] = {}
    for i, role in enumerate(columns, 1):
        if role.role not in _CLOSED or role.kind is None:
            names.append(None)
            continue
        name = question_name(role)
        if name in taken and not (role.role is Role.TICK and taken[name] is Role.TICK):
            name = f"{name} (column {i})"
        taken[name] = role.role
        names.append(name)
    return names


def _chosen(role: ColumnRole, cell: str) -> list[str]:
    if role.role is Role.TICK:
        return [] if cell.strip().casefold() in _UNTICKED else [role.option or role.column]
    if role.separator is not None:
        return [" ".join(part.split()) for part in cell.split(role.separator) if part.strip()]
    return [" ".join(cell.split())]


def _question(name: str, role: ColumnRole, group: Sequence[ColumnRole], counts: Mapping[str, int]) -> ClosedQuestion:
    demographic = role.role is Role.DEMOGRAPHIC
    if role.role is Role.TICK:
        return ClosedQuestion(name, AnswerKind.MULTI, tuple(dict.fromkeys(r.option or r.column for r in group)))
    if role.kind is AnswerKind.ORDERED:
        known = (*role.order, *(o for o in counts if o not in role.order))
        scale = find_scale(known)
        return _ordered(name, scale.order if scale is not None else known, demographic=demographic)
    options = sorted(counts, key=lambda o: (-counts[o], o))
    return ClosedQuestion(name, role.kind or AnswerKind.NOMINAL, tuple(options), demographic)


def _ordered(name: str, order: tuple[str, ...], *, demographic: bool) -> ClosedQuestion:
    outside = tuple(o for o in order if is_outside(o))
    inside = tuple(o for o in order if o not in outside)
    return ClosedQuestion(name, AnswerKind.ORDERED, (*inside, *outside), demographic, outside)
