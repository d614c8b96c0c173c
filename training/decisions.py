"""Decisions files: JSON lines, each a comment with the complete set of themes that a person gave it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from models.calibration import MIN_POSITIVES
from models.counts import counted
from models.text import normalise
from models.vocabulary import Codebook, Comment, CommentId, DecidedComment, Problem, RespondentId, ThemeId, ThemesError

MIN_COMMENTS: Final = 8
MAX_FILE_BYTES: Final = 300_000_000
_OPTIONAL: Final = ("group", "source", "question", "coder")


class DecisionsError(ThemesError):
    """A decisions file cannot be used."""

    code = "decisions_invalid"


def read_decisions(
    path: Path, codebook: Codebook, *, at_least: int = MIN_COMMENTS
) -> tuple[list[DecidedComment], list[Problem]]:
    """Return the decisions in a file, in order, and the lines that cannot be taken, each with its number.

    Raises
    ------
    DecisionsError
        If the file cannot be read at all or holds fewer than `at_least` usable lines.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DecisionsError(
                f"{path.name} is too large.", allowed=f"at most {MAX_FILE_BYTES} bytes.", next_step="split the file."
            )
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DecisionsError(
            f"{path.name} cannot be read ({type(error).__name__}).",
            allowed="UTF-8 JSON lines.",
            next_step="check the path.",
        ) from error
    decided: list[DecidedComment] = []
    problems: list[Problem] = []
    first_line: dict[tuple[str, str | None], int] = {}
    themes_of: dict[tuple[str, str | None], frozenset[ThemeId]] = {}
    codable = {t.id for t in codebook.codable}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        taken = _take(line, codable, number)
        if isinstance(taken, DecidedComment):
            key = (taken.comment.id, taken.coder)
            if key not in first_line:
                first_line[key], themes_of[key] = number, taken.themes
                decided.append(taken)
                continue
            first = first_line[key]
            taken = (
                ("duplicate_id", f"the comment of line {first}, by the same coder, again", "keep one of the two")
                if taken.themes == themes_of[key]
                else (
                    "conflicting_decisions",
                    f"the comment of line {first}, by the same coder, with other themes: both yes and no",
                    "keep the line that holds, or name the two coders",
                )
            )
        problems.append(Problem(*taken, row=number, file=path.name))
    if len(decided) < at_least:
        why = f"; line {problems[0].row}: {problems[0].code}, {problems[0].found}" if problems else ""
        raise DecisionsError(
            f"{path.name} holds {counted(len(decided), 'usable decision')}{why}.",
            allowed=f'at least {counted(at_least, "line")} such as {{"comment_id": "1", "text": "…", "themes": ["A"]}}, themes of {codebook.ref}.',
            next_step="mend the lines, or check that --codebook is the one they were coded with.",
        )
    return decided, problems


def find_doubts(decided: Sequence[DecidedComment], codebook: Codebook) -> list[Problem]:
    """Return what can be trained on but should be known: the same text decided in two ways, themes without positives."""
    doubts: list[Problem] = []
    first: dict[tuple[str, str | None], DecidedComment] = {}
    for d in decided:
        seen = first.setdefault((normalise(d.comment.text).text.casefold(), d.coder), d)
        if seen.themes != d.themes:
            doubts.append(
                Problem(
                    "conflicting_text",
                    f"the same text as line {seen.comment.row}, by the same coder, with other themes",
                    "decide once for both, if the question is the same",
                    row=d.comment.row,
                )
            )
    counts = Counter(t for d in decided for t in d.themes)
    for theme in codebook.codable:
        if counts[theme.id] == 0:
            found, code = "no comment has it: the model knows it by definition and examples alone", "no_positives"
        elif counts[theme.id] < MIN_POSITIVES:
            found, code = (
                f"{counted(counts[theme.id], 'comment has', 'comments have')} it: too few to calibrate it by itself",
                "few_positives",
            )
        else:
            continue
        doubts.append(Problem(code, f"{theme.id}: {found}", "decide more comments that raise it"))
    return doubts


def leave_out(decided: Sequence[DecidedComment], gold: Sequence[DecidedComment]) -> list[DecidedComment]:
    """Return the decisions that share no text and no respondent with a gold set."""
    texts = {normalise(d.comment.text).text.casefold() for d in gold}
    respondents = {d.comment.respondent for d in gold} - {None}
    return [
        d
        for d in decided
        if normalise(d.comment.text).text.casefold() not in texts and d.comment.respondent not in respondents
    ]


def _take(line: str, codable: set[ThemeId], number: int) -> DecidedComment | tuple[str, str, str]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return "not_json", "the line is not JSON", "write one object a line"
    if not isinstance(entry, dict):
        return "not_an_object", "the line is no {…} object", "write one object a line"
    text, themes, comment_id = entry.get("text"), entry.get("themes"), entry.get("comment_id", entry.get("id"))
    if not isinstance(text, str) or not normalise(text).text:
        return "empty_text", "the text is missing or empty", "leave the line out"
    if not isinstance(comment_id, str | int) or str(comment_id) == "":
        return "blank_id", "comment_id is missing or empty", "give each comment an id"
    if not isinstance(themes, list) or not all(isinstance(t, str) for t in themes):
        return "no_themes", "themes is no list of theme ids", "give [] where no theme applies"
    unknown = sorted(set(themes) - codable)
    if unknown:
        return (
            "unknown_theme",
            f"{unknown[0][:60]!r} is no codable theme of the codebook",
            "correct the id, or give the codebook that has it",
        )
    optional = _optional(entry)
    blind = entry.get("blind")
    comment = Comment(
        CommentId(str(comment_id)),
        text,
        optional["question"],
        RespondentId(optional["group"]) if optional["group"] is not None else None,
        number,
    )
    return DecidedComment(
        comment,
        frozenset(ThemeId(t) for t in themes),
        optional["source"],
        optional["coder"],
        blind if isinstance(blind, bool) else None,
    )


def _optional(entry: Mapping[str, Any]) -> dict[str, str | None]:
    return {key: str(entry[key]) if isinstance(entry.get(key), str | int) else None for key in _OPTIONAL}
