"""Decisions files: JSON lines, each a comment with the complete set of themes that a person gave it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from models.text import normalise
from models.vocabulary import Codebook, Comment, CommentId, DecidedComment, Problem, RespondentId, ThemeId, ThemesError

MIN_COMMENTS: Final = 8
MAX_FILE_BYTES: Final = 300_000_000
_OPTIONAL: Final = ("group", "source", "question", "coder")


class DecisionsError(ThemesError):
    """A decisions file cannot be used."""

    code = "decisions_invalid"


def read_decisions(path: Path, codebook: Codebook) -> tuple[list[DecidedComment], list[Problem]]:
    """Return the decisions in a file, in order, and the lines that cannot be taken, each with its number.

    Raises
    ------
    DecisionsError
        If the file cannot be read at all or holds fewer than `MIN_COMMENTS` usable lines.
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
    codable = {t.id for t in codebook.codable}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        taken = _take(line, codable)
        if isinstance(taken, DecidedComment):
            key = (taken.comment.id, taken.coder)
            if key not in first_line:
                first_line[key] = number
                decided.append(taken)
                continue
            taken = (
                "duplicate_id",
                f"the comment of line {first_line[key]}, by the same coder, again",
                "keep one of the two",
            )
        problems.append(Problem(*taken, row=number, file=path.name))
    if len(decided) < MIN_COMMENTS:
        why = f"; line {problems[0].row}: {problems[0].code}, {problems[0].found}" if problems else ""
        raise DecisionsError(
            f"{path.name} holds {len(decided)} usable decisions{why}.",
            allowed=f'at least {MIN_COMMENTS} lines such as {{"comment_id": "1", "text": "…", "themes": ["A"]}}, themes of {codebook.ref}.',
            next_step="mend the lines, or check that --codebook is the one they were coded with.",
        )
    return decided, problems


def _take(line: str, codable: set[ThemeId]) -> DecidedComment | tuple[str, str, str]:
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
