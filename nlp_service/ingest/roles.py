"""What each column of a survey export is: guessed from its name, its answers and what the file says of it, with the reason.

Pure functions on tables: nothing here reads a file. Reasons hold counts and words from the header, never an answer.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from models.counts import counted
from nlp_service.ingest.scales import find_scale
from nlp_service.ingest.table import ColumnFacts, InputRefusedError, Table

SAMPLE_ROWS: Final = 20_000
"""Roles are guessed on at most so many rows, spread evenly over the file."""
TEXT_NAMES: Final = ("text", "comment", "comments", "answer", "response", "feedback", "verbatim", "free text")
NO_ID: Final = "named like an id, but another column is the id or its cells repeat or are blank"
ID_NAMES: Final = (
    "comment_id", "comment id", "id", "response id", "response_id", "responseid", "respondent id", "respondent_id", "ref", "reference",
    "userno", "user no", "unique id", "uniqueid", "submission id", "survey response id", "record id", "respondent", "row id", "case id", "serial", "uuid",
)  # fmt: skip
_MAX_OPTIONS: Final = 40
_MAX_OPTION_CHARS: Final = 120
_MIN_REPEATED: Final = 0.5
"""Least share of answers that say what another has said, for a closed question in one column."""
_MIN_OPEN_CHARS: Final = 16
_MIN_DISTINCT: Final = 0.5
_MIN_DISTINCT_ASKED: Final = 0.2
_MIN_LETTERS: Final = 0.6
_MIN_DATES: Final = 0.9
_MIN_JOINED: Final = 0.05
_SERIAL_DAYS: Final = (20_000, 70_000)
"""Days since 1900 by which spreadsheets write the dates 1954 to 2091."""
_SEPARATORS: Final = (";", "|", "\n", ", ", ",")
_TICKS: Final = frozenset(("1", "yes", "y", "true", "x", "\u2713", "\u2714", "ticked", "checked", "selected", "on"))
_UNTICKED: Final = frozenset(
    ("0", "no", "n", "false", "-", "not selected", "unticked", "unchecked", "off", "not ticked", "not checked")
)
_ID = re.compile(
    r"(?:(?:response|respondent|submission|comment|unique|survey|entry|record|user|participant|case|row|customer|answer)[ _-]?)?"
    r"(?:id|no|no\.|number|ref|reference|key|uuid|guid|code|#)(?: number| no)?"
)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/#-]{0,63}")
_CONTACT: Final = re.compile(
    r"(?:(?:what is |please (?:enter|give|provide) |enter )?(?:your |the |recipient |respondent'?s? |contact |user )?(?:full |first |last |given |family |middle )?(?:name|forename|surname|names))(?: \(optional\))?\??"
    r"|(?:.{0,60}\b)?(?:e-?mail|telephone|phone|mobile)(?: address| number| no)?s?(?: \(optional\))?\??(?:.{0,20})?"
    r"|(?:recipient|contact) ?(?:last|first)? ?(?:name|email)|ip ?address|(?:what is )?your (?:home )?address\??|(?:home |postal |street )?address(?: line [0-9])?"
    r"|(?:what is )?(?:your |the )?name of (?:your |the )?(?:organisation|organization|group|company|business)\??|your organisation"
)
_ADMIN: Final = re.compile(
    r"status|progress|duration(?: \(in seconds\))?|finished|recorded ?date|distribution ?channel|user ?language|language|external(?: data)? ?reference"
    r"|location ?latitude|location ?longitude|latitude|longitude|collector ?id|collector|custom(?: data)? ?[0-9]{0,2}|tracking link|user ?agent|browser|device(?: type)?"
    r"|referrer|referer|url|seed|total points|quiz feedback|score|points ?- .{0,200}|feedback ?- .{0,200}|page|last page|start language|time ?taken(?: \(seconds\))?|time taken"
    r"|operating system|country code|city \(ip\)|survey ?id|survey|form|version|attachments?|published|moderated|tags?|notes for analysts?|response type|anonymous|ip|completion(?: %)?"
)
_DATE_NAME: Final = re.compile(
    r"\b(?:date|time|timestamp|started?|ended?|completed|submitted|submission|created|modified|recorded)\b|datetime|date$|^start|^end"
)
_DATE: Final = re.compile(
    r"(?:(?:[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2})|(?:[0-9]{1,2}[-/.][0-9]{1,2}[-/.](?:[0-9]{4}|[0-9]{2}))"
    r"|(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? )?(?:[0-9]{1,2}(?:st|nd|rd|th)? [a-z]{3,9},? [0-9]{4}|[a-z]{3,9} [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}|[0-9]{1,2}-[a-z]{3}-[0-9]{2,4}))"
    r"(?:[ t,]{1,2}(?:at )?[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2}(?:[.][0-9]{1,6})?)? ?(?:am|pm|a\.m\.|p\.m\.)?)?(?: ?(?:z|gmt|bst|utc|[+-][0-9]{2}:?[0-9]{2})(?:[+-][0-9:]{1,5})?)?"
)
_ASKED: Final = re.compile(
    r"\bwhy\b|\bexplain|\bcomments?\b|tell us|anything else|any other|\bdescribe|in your own words|\breasons?\b|\bdetails?\b|other \(please|please specify|please state|if other"
    r"|\bsuggest|further|\bfeedback\b|open-ended|what (?:would|worries|concerns|could|should|one|is the (?:one|main))|how (?:could|can|would|should) |\bexamples?\b|\bthoughts\b|\bviews\b|your answer"
)
_OTHER: Final = re.compile(r"\bother\b[^\n]{0,20}\b(?:specify|state|describe|say)\b|please (?:specify|state)")
_ABOUT: Final = re.compile(
    r"^(?:.{0,80}\b)?age(?: ?(?:group|band|range|bracket))?\??$|\bhow old\b|\bage (?:group|band|range|bracket)\b|\bwhat (?:is|was) your age\b|\b(?:your )?gender\b|^(?:what is your )?sex\??$|\byour sex\b|\bethnic|\breligio|\bfaith or belief"
    r"|\bdisab(?:led|ility|ilities)\b|\blong[- ]term (?:health|illness|condition|physical)|\bhealth (?:condition|problem)s?\b|\bsexual orientation\b|\bsexuality\b|\bpost ?code\b|\bwards?\b(?! off)"
    r"|\bwhich (?:area|neighbourhood|district|town|village|part of|parish|borough|estate|locality|region)\b|^(?:area|neighbourhood|district|borough|parish|locality|town|region|estate)\??$|\bwhere do you live\b"
    r"|\b(?:marital|employment|working|housing|relationship) status\b|\bare you (?:currently )?(?:employed|working|a carer|pregnant|in work|responding|answering|completing)\b|\btenure\b|\bdo you (?:rent|own)\b|\bcar(?:er|ing responsibilities)\b"
    r"|\bresponding (?:as|on behalf)\b|\bin what capacity\b|\bcapacity\b.{0,20}\brespond|\brespondent type\b|\bwhich (?:of (?:these|the following) )?(?:best )?describes you\b|\bnationality\b|\bfirst language\b|\bmain language\b"
    r"|\bhow long have you lived\b|\bhousehold (?:income|size)\b|\bincome\b|\bnumber of children\b|\bhow many (?:children|people)\b|\bchildren (?:under|aged|in)\b|\bbirth\b|\boccupation\b|\bhousing (?:type|situation)\b|\bqualification\b|\bcountry of birth\b"
)
_FULL_POSTCODE: Final = re.compile(r"[A-Za-z]{1,2}[0-9][A-Za-z0-9]? ?[0-9][A-Za-z]{2}")
_SERIAL: Final = re.compile(r"[0-9]{5}")
_SPACES: Final = re.compile(r"\s+")
_GROUP_MARKS: Final = (" - ", " \u2013 ", ": ", " | ", " > ", "? ")


class Role(StrEnum):
    """What a column is for."""

    ID = "id"
    OPEN = "open"
    SINGLE = "single"
    MULTI = "multi"
    """Several options of one question in a cell, with a separator between them."""
    TICK = "tick"
    """One option of a question; the question has several such columns."""
    SCALE = "scale"
    DATE = "date"
    DEMOGRAPHIC = "demographic"
    IGNORE = "ignore"


class AnswerKind(StrEnum):
    """How the answers to a closed question relate to each other."""

    NOMINAL = "nominal"
    ORDERED = "ordered"
    MULTI = "multi"


ROLE_FORM: Final = f"COL=ROLE, where ROLE is one of: {', '.join(Role)}."


def find_role(text: str) -> tuple[str, Role] | None:
    """Return the column and the role that `COL=ROLE` names, or None; the last "=" counts, so that headers may hold one."""
    column, _, role = text.rpartition("=")
    return (column, Role(role)) if column and role in [r.value for r in Role] else None


@dataclass(frozen=True, slots=True)
class ColumnRole:
    """A column's role and why. `kind` is set for closed questions alone."""

    column: str
    role: Role
    reason: str
    kind: AnswerKind | None = None
    question: str | None = None
    """The question that several columns share (options of it, or statements under it)."""
    option: str | None = None
    """The option or statement that this column stands for."""
    order: tuple[str, ...] = ()
    """Answers of an ordered question, least first."""
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class _Column:
    """What is looked at to tell a role."""

    index: int
    name: str
    folded: str
    facts: ColumnFacts
    filled: tuple[str, ...]
    counts: Mapping[str, int]
    n_rows: int

    @property
    def n_repeated(self) -> int:
        return len(self.filled) - len(self.counts)


def guess_roles(table: Table) -> tuple[ColumnRole, ...]:
    """Return a role for each column, in order; at most one column is the id."""
    columns = _look(table)
    groups = _groups(columns)
    ticks = _tick_groups(columns, groups)
    keys = _id_index(columns)
    roles = [_guess(c, groups.get(c.index), ticks, keys) for c in columns]
    if len(roles) == 1:
        return (ColumnRole(columns[0].name, Role.OPEN, "the only column"),)
    plain = [i for i, c in enumerate(columns) if c.name.casefold() == "text"]
    if len(plain) == 1:  # the service's own plain layout: what else a file holds of words are notes
        why = "the column named text holds the comments"
        others = (i for i, r in enumerate(roles) if r.role is Role.OPEN and i != plain[0])
        for i in others:
            roles[i] = ColumnRole(columns[i].name, Role.IGNORE, why)
    return tuple(roles)


def with_roles(table: Table, roles: Sequence[ColumnRole], wanted: Mapping[str, Role]) -> tuple[ColumnRole, ...]:
    """Return roles with those that an analyst has given (column name to role) in place of guesses.

    Raises
    ------
    InputRefusedError
        If not exactly one column has a name.
    """
    chosen = {find_column(table, name, "role"): role for name, role in wanted.items()}
    columns = _look(table)
    if Role.ID in chosen.values():
        why = "another column is the id"
        roles = [ColumnRole(r.column, Role.IGNORE, why) if r.role is Role.ID else r for r in roles]
    return tuple(_as_role(columns[i], r, chosen[i]) if i in chosen else r for i, r in enumerate(roles))


def _as_role(column: _Column, guess: ColumnRole, role: Role) -> ColumnRole:
    """Return a column in the role that an analyst has given it; order and separator are found anew where they are needed."""
    told = ColumnRole(column.name, role, "as told", question=guess.question, option=guess.option)
    if role is Role.SCALE:
        scale = find_scale(column.counts)
        return replace(told, kind=AnswerKind.ORDERED, order=scale.order if scale else tuple(sorted(column.counts)))
    if role is Role.MULTI:
        return replace(told, kind=AnswerKind.MULTI, separator=_separator(column) or ";")
    if role is Role.TICK:
        question = guess.question or column.name
        return replace(told, kind=AnswerKind.MULTI, question=question, option=guess.option or column.name)
    if role is Role.DEMOGRAPHIC:
        return _demographic(column, replace(told, question=None, option=None))
    return replace(told, kind=AnswerKind.NOMINAL) if role is Role.SINGLE else told


def find_column(table: Table, wanted: str, option: str) -> int:
    """Return the index of the column of a name (or of its short name), whatever its case and white space.

    Raises
    ------
    InputRefusedError
        If no column, or more than one, has the name. `option` is the flag that named it.
    """
    name = " ".join(wanted.split())
    aliases = [f.alias for f in table.facts] if table.facts else []
    for same in (
        [i for i, c in enumerate(table.columns) if c == name],
        [i for i, c in enumerate(table.columns) if c.casefold() == name.casefold()],
        [i for i, a in enumerate(aliases) if a is not None and a.casefold() == name.casefold()],
    ):
        if same:
            break
    if len(same) == 1:
        return same[0]
    raise InputRefusedError(
        "ambiguous_column" if same else "missing_column",
        f"{table.name} has {counted(len(same), 'column') if same else 'no column'} named {wanted!r}.",
        allowed=f"one of: {listed_columns(table)}.",
        next_step=f"name one with --{option}, or give the columns different names.",
    )


def listed_columns(table: Table) -> str:
    """Return the first names of a table's columns, for a message."""
    return ", ".join(repr(c) for c in table.columns[:20]) + (" …" if len(table.columns) > 20 else "")  # noqa: PLR2004


def _look(table: Table) -> list[_Column]:
    step = max(1, -(-len(table.rows) // SAMPLE_ROWS))
    rows = table.rows[::step]
    columns = []
    for i, name in enumerate(table.columns):
        filled = tuple(c.strip() for row in rows if (c := row.cells[i]) and c.strip())
        facts = table.facts[i] if table.facts else ColumnFacts()
        columns.append(_Column(i, name, _fold(name), facts, filled, Counter(filled), len(rows)))
    return columns


def _fold(name: str) -> str:
    """Return a column's name in lower case, without a number before it ("Q3.", "3)") and without marks behind it."""
    folded = _SPACES.sub(" ", name.replace("\u2019", "'").casefold()).strip(" *:")
    return re.sub(r"^(?:q(?:uestion)? ?)?[0-9]{1,3}[a-z]?[.):] ?", "", folded).strip() or folded


def _groups(columns: Sequence[_Column]) -> dict[int, tuple[str, str]]:
    """Return the shared question and the own option of each column that has neighbours under the same question."""
    found: dict[int, tuple[str, str]] = {}
    for c in columns:
        if c.facts.question and c.facts.option:
            found[c.index] = (c.facts.question, c.facts.option)
        elif c.name.endswith("]") and " [" in c.name:
            stem, _, option = c.name[:-1].rpartition(" [")
            found[c.index] = (stem, option)
        else:
            for mark in _GROUP_MARKS:
                stem, there, option = c.name.rpartition(mark)
                if there and stem and option and len(option) <= _MAX_OPTION_CHARS:
                    found[c.index] = (stem + ("?" if mark == "? " else ""), option)
                    break
    sizes = Counter(question for question, _ in found.values())
    return {i: pair for i, pair in found.items() if sizes[pair[0]] > 1}


def _tick_groups(columns: Sequence[_Column], groups: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    """Return, for each column that stands for one option, why: it says its own option, a tick, or nothing."""
    found: dict[int, str] = {}
    members: dict[str, list[_Column]] = {}
    for i, (question, _) in groups.items():
        members.setdefault(question, []).append(columns[i])
    for question, group in members.items():
        like = [c for c in group if _is_tick(c, groups[c.index][1])]
        told = [c for c in like if c.counts]
        if len(like) > 1 and told and len(like) * 2 >= len(group):
            for c in like:
                found[c.index] = f"one of {counted(len(like), 'option')} of a question, ticked or not"
        del question
    return found


def _is_tick(column: _Column, option: str) -> bool:
    every = {_fold(v) for v in column.counts}
    if _OTHER.search(_fold(option)) is not None and every != {_fold(option)}:
        return (
            False  # "Other (please specify)" holds words, or none yet; it is an option only where cells repeat its name
        )
    values = every - _UNTICKED
    return not values or (len(values) == 1 and (values <= _TICKS or values == {_fold(option)}))


def _id_index(columns: Sequence[_Column]) -> int | None:
    """Return the column whose cells name each row: by its name first, by its cells in the first columns else."""
    named = [c for c in columns if c.name.casefold() in ID_NAMES]
    named.sort(key=lambda c: (ID_NAMES.index(c.name.casefold()), c.index))
    for c in (*named, *(c for c in columns if _ID.fullmatch(c.folded))):
        if len(c.filled) == c.n_rows and c.n_rows and not c.n_repeated and all(_CODE.fullmatch(v) for v in c.counts):
            return c.index
    return None


def _guess(c: _Column, group: tuple[str, str] | None, ticks: Mapping[int, str], keys: int | None) -> ColumnRole:
    """Return a column's role: the first rule that fits, the surest rules first."""
    question, option = group or (None, None)
    asked = _ASKED.search(c.folded) is not None
    is_text_name = c.folded in TEXT_NAMES or c.name.casefold() in TEXT_NAMES

    def role(role: Role, reason: str) -> ColumnRole:
        return ColumnRole(c.name, role, reason)

    if c.index == keys:
        return role(Role.ID, f"named like an id, and all cells differ ({c.n_rows})")
    if c.index in ticks and question is not None:
        return ColumnRole(c.name, Role.TICK, ticks[c.index], AnswerKind.MULTI, question, option)
    if option is not None and _OTHER.search(_fold(option)) is not None:
        return role(Role.OPEN, "words beside the options of a question")
    if not c.filled:
        if is_text_name or asked:
            return role(Role.OPEN, "named like an open question; no one has answered")
        return role(Role.IGNORE, "every cell is blank")
    if _CONTACT.fullmatch(c.folded) and not asked:
        return role(Role.IGNORE, "named like who someone is or how to reach them")
    if (dated := _share_of_dates(c)) >= _MIN_DATES:
        return role(Role.DATE, f"{dated:.0%} of the cells are dates")
    if _ADMIN.fullmatch(c.folded):
        return role(Role.IGNORE, "named like something that the survey tool adds")
    if c.name.casefold() in ID_NAMES or (_ID.fullmatch(c.folded) and all(_CODE.fullmatch(v) for v in c.counts)):
        return role(Role.IGNORE, NO_ID)
    if is_text_name:
        return role(Role.OPEN, "named like an open question")
    if _ABOUT.search(c.folded) and not _looks_open(c, asked=asked):
        return _demographic(c, role(Role.DEMOGRAPHIC, "named like a question about the person"))
    closed = _closed(c, question, option, asked=asked)
    if closed is not None:
        return closed
    if _looks_open(c, asked=asked):
        share = len(c.counts) / len(c.filled)
        why = f"{share:.0%} of {counted(len(c.filled), 'answer differs', 'answers differ')}, with {counted(_typical_words(c), 'word')} as a rule"
        return role(Role.OPEN, why + ("; named like an open question" if asked else ""))
    return role(
        Role.IGNORE, f"{counted(len(c.counts), 'short cell fits', 'different short cells fit')} no kind of question"
    )


def _closed(c: _Column, question: str | None, option: str | None, *, asked: bool) -> ColumnRole | None:
    """Return the role of a closed question, or None: few answers that come again, or points of a scale."""
    if asked:
        question = option = None
    labels = c.facts.labels
    if labels and set(c.counts) <= set(labels):
        if c.facts.is_ordered or find_scale(labels) is not None:
            scale = find_scale(labels)
            order = labels if c.facts.is_ordered or scale is None else scale.order
            return ColumnRole(
                c.name, Role.SCALE, "the file names its points in order", AnswerKind.ORDERED, question, option, order
            )
        return ColumnRole(c.name, Role.SINGLE, "the file names its options", AnswerKind.NOMINAL, question, option)
    scale = find_scale(c.counts)
    if scale is not None and (c.n_repeated or question is not None or scale.name != "points"):
        reason = f"{counted(len(scale.order), 'different answer')} on a scale ({scale.name})"
        return ColumnRole(c.name, Role.SCALE, reason, AnswerKind.ORDERED, question, option, scale.order)
    separator = _separator(c)
    if separator is not None:
        n = len(_items(c, separator))
        shown = {"\n": "a new line", ", ": "a comma", ",": "a comma", ";": "a semicolon", "|": "a bar"}[separator]
        reason = f"cells join {counted(n, 'option')} with {shown}"
        return ColumnRole(c.name, Role.MULTI, reason, AnswerKind.MULTI, separator=separator)
    if _is_few(c) and not (asked and _typical_words(c) > 3):  # noqa: PLR2004 -- "no" and "nothing" come again under open questions
        reason = f"{counted(len(c.counts), 'different answer')} among {len(c.filled)}"
        return ColumnRole(c.name, Role.SINGLE, reason, AnswerKind.NOMINAL, question, option)
    return None


def _demographic(c: _Column, told: ColumnRole) -> ColumnRole:
    postcodes = sum(_FULL_POSTCODE.fullmatch(v) is not None for v in c.filled)
    if postcodes > len(c.filled) / 2 and told.reason != "as told":
        return replace(told, role=Role.IGNORE, reason="full postcodes: personal data, kept out of the results")
    scale = find_scale(c.facts.labels or c.counts)
    if scale is not None and scale.name != "points":
        reason = f"{told.reason}; {counted(len(scale.order), 'answer')} in order ({scale.name})"
        return replace(told, kind=AnswerKind.ORDERED, order=scale.order, reason=reason)
    separator = _separator(c)
    if separator is not None:
        return replace(told, kind=AnswerKind.MULTI, separator=separator)
    return replace(told, kind=AnswerKind.NOMINAL)


def _is_few(c: _Column) -> bool:
    if len(c.counts) > _MAX_OPTIONS or max(len(v) for v in c.counts) > _MAX_OPTION_CHARS:
        return False
    return c.n_repeated >= _MIN_REPEATED * len(c.filled) or (len(c.counts) == 1 and len(c.filled) > 1)


def _items(c: _Column, separator: str) -> Counter[str]:
    items: Counter[str] = Counter()
    for value, n in c.counts.items():
        for item in value.split(separator):
            if item.strip():
                items[item.strip()] += n
    return items


def _separator(c: _Column) -> str | None:
    """Return what stands between the options in the cells of a question with several answers, or None.

    The options must come again in other company: there are fewer options than different cells, or each cell ends with the separator.
    """
    for separator in _SEPARATORS:
        joined = sum(n for v, n in c.counts.items() if separator in v.strip(separator))
        ended = separator == ";" and all(v.endswith(";") for v in c.counts)
        if joined < max(1.0, _MIN_JOINED * len(c.filled)) and not ended:
            continue
        items = _items(c, separator)
        if not items or len(items) > _MAX_OPTIONS or max(len(i) for i in items) > _MAX_OPTION_CHARS:
            continue
        n_said = sum(items.values())
        again = 1 - len(items) / n_said
        if ended or (
            again >= _MIN_REPEATED and len(c.counts) > 1 and (len(items) <= len(c.counts) or separator == ";")
        ):
            return separator
    return None


def _share_of_dates(c: _Column) -> float:
    named = _DATE_NAME.search(c.folded) is not None
    n = 0
    for value, times in c.counts.items():
        serial = value.partition(".")[0]
        is_serial = (
            named and _SERIAL.fullmatch(serial) is not None and _SERIAL_DAYS[0] <= int(serial) <= _SERIAL_DAYS[1]
        )
        if is_serial or (len(value) <= 48 and _DATE.fullmatch(value.casefold()) is not None):  # noqa: PLR2004
            n += times
    return n / len(c.filled)


def _typical_words(c: _Column) -> int:
    words = sorted(len(v.split()) for v in c.filled)
    return words[len(words) // 2]


def _looks_open(c: _Column, *, asked: bool) -> bool:
    """Return whether cells are people's own words: long, different, spaced, of letters; less is asked where the name asks for words."""
    n_chars = sum(len(v) for v in c.filled)
    if (
        not n_chars or sum(ch.isalpha() for v in c.filled for ch in v) < _MIN_LETTERS * n_chars
    ):  # dates, phone numbers, codes
        return False
    lengths = sorted(len(v) for v in c.filled)
    spaced = sum(" " in v for v in c.filled) / len(c.filled)
    distinct = len(c.counts) / len(c.filled)
    if asked:
        return distinct >= _MIN_DISTINCT_ASKED and (spaced >= _MIN_DISTINCT / 2 or len(c.filled) < 3)  # noqa: PLR2004
    return lengths[len(lengths) // 2] >= _MIN_OPEN_CHARS and distinct >= _MIN_DISTINCT and spaced >= _MIN_DISTINCT
