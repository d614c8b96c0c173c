"""Changes of a codebook that lose no label: promote, merge, split, rename, retire. Each gives a new version, a map from old ids, and the way back.

Decisions and codings are never rewritten in place: `view_themes` says what a set of themes of the old version means in the new one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from models.codebook import codebook_from_document, codebook_to_document
from models.vocabulary import Codebook, CodebookRef, Theme, ThemeId, ThemesError

Operation = Literal["promote", "merge", "split", "rename", "retire"]
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.&/,:()-]{0,99}")
_NUMBERS: Final = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


class CodebookChangeError(ThemesError):
    """A codebook cannot be changed as asked."""

    code = "codebook_change"


@dataclass(frozen=True, slots=True)
class CodebookChange:
    """One operation. `old` and `new` are whole codebooks: undoing is going back to `old`."""

    operation: Operation
    old: Codebook
    new: Codebook
    moves: tuple[tuple[ThemeId, tuple[ThemeId, ...]], ...]
    """Where a label of the old version goes: to one theme; to one of several, for a person to say which; or nowhere. Ids not named stay."""


@dataclass(frozen=True, slots=True)
class ViewedThemes:
    """What a comment's themes of the old version mean in the new one. Nothing is dropped: each old theme is in one of three places."""

    themes: frozenset[ThemeId]
    """Themes that hold."""
    undecided: frozenset[ThemeId]
    """Old themes that were split: a person says which part holds."""
    retired: frozenset[ThemeId]
    """Old themes that are no more."""


@dataclass(frozen=True, slots=True)
class FollowedTheme:
    """Where a label of the old version goes."""

    to: tuple[ThemeId, ...]
    """Empty if the theme is no more."""
    is_open: bool
    """The theme was split: a person says where each label goes."""


def promote(codebook: Codebook, theme: Theme) -> CodebookChange:
    """Return the codebook with one more theme, after its sisters or at the end.

    Raises
    ------
    CodebookChangeError
        If the id is taken or cannot be one, a field is empty, or the parent is not of the upper level.
    """
    _check_new(codebook, theme)
    places = [i for i, t in enumerate(codebook.themes) if theme.parent in (t.id, t.parent)] if theme.parent else []
    at = places[-1] + 1 if places else len(codebook.themes)
    return _change("promote", codebook, (*codebook.themes[:at], theme, *codebook.themes[at:]), {})


def merge(codebook: Codebook, theme_ids: Sequence[str], into: str) -> CodebookChange:
    """Return the codebook in which labels of several themes are labels of `into`, itself one of them or another; it gains their cues and examples.

    Raises
    ------
    CodebookChangeError
        If a theme is not there or has themes below it, or there is nothing to merge.
    """
    target = _codable(codebook, into)
    gone = [_codable(codebook, t) for t in dict.fromkeys(theme_ids) if t != into]
    if not gone:
        raise _refused("there is nothing to merge", "two themes or more", "name the themes that go into the other")
    joined = replace(
        target,
        cues=tuple(dict.fromkeys((*target.cues, *(c for t in gone for c in t.cues)))),
        examples=tuple(dict.fromkeys((*target.examples, *(e for t in gone for e in t.examples)))),
    )
    names = {t.id for t in gone}
    themes = tuple(joined if t.id == target.id else t for t in codebook.themes if t.id not in names)
    return _change("merge", codebook, themes, {t.id: (target.id,) for t in gone})


def split(codebook: Codebook, theme_id: str, parts: Sequence[Theme]) -> CodebookChange:
    """Return the codebook in which a theme's parts stand in its place, under its parent. A part may keep the id.

    Raises
    ------
    CodebookChangeError
        If the theme is not there, has themes below it, or the parts are fewer than two or clash.
    """
    old = _codable(codebook, theme_id)
    if len({p.id for p in parts}) < 2 or len({p.id for p in parts}) < len(parts):  # noqa: PLR2004 -- a split gives two parts
        raise _refused("a split needs parts with different ids", "two parts or more", "name each part")
    placed = [replace(p, parent=old.parent, residual=old.residual) for p in parts]
    rest = replace(codebook, themes=tuple(t for t in codebook.themes if t.id != old.id))
    for part in placed:
        _check_new(rest, part)
    i = codebook.themes.index(old)
    themes = (*codebook.themes[:i], *placed, *codebook.themes[i + 1 :])
    return _change("split", codebook, themes, {old.id: tuple(p.id for p in placed)})


def rename(codebook: Codebook, theme_id: str, *, label: str | None = None, new_id: str | None = None) -> CodebookChange:
    """Return the codebook in which a theme has another label, another id, or both. Labels go with it.

    Raises
    ------
    CodebookChangeError
        If the theme is not there, nothing changes, or the new id is taken or cannot be one.
    """
    old = _theme(codebook, theme_id)
    name = " ".join((label if label is not None else old.label).split())
    theme = replace(old, label=name, id=ThemeId(new_id if new_id is not None else old.id))
    if theme == old:
        raise _refused(f"{theme_id} has that name", "another label or id", "give --label or --new-id")
    _check_new(
        replace(codebook, themes=tuple(t for t in codebook.themes if t.id != old.id)), replace(theme, parent=None)
    )
    themes = tuple(
        theme if t.id == old.id else replace(t, parent=theme.id) if t.parent == old.id else t for t in codebook.themes
    )
    return _change("rename", codebook, themes, {} if theme.id == old.id else {old.id: (theme.id,)})


def retire(codebook: Codebook, theme_id: str) -> CodebookChange:
    """Return the codebook without a theme. Its labels are kept under the old version and count in none.

    Raises
    ------
    CodebookChangeError
        If the theme is not there, has themes below it, or is the last.
    """
    old = _codable(codebook, theme_id)
    themes = tuple(t for t in codebook.themes if t.id != old.id)
    if not themes:
        raise _refused(f"{theme_id} is the last theme", "a codebook with a theme", "promote another first")
    return _change("retire", codebook, themes, {old.id: ()})


def view_themes(changes: Sequence[CodebookChange], themes: Iterable[str]) -> ViewedThemes:
    """Return what themes of the first change's old version mean in the last one's new version."""
    held = {ThemeId(t) for t in themes}
    undecided: set[ThemeId] = set()
    retired: set[ThemeId] = set()
    for change in changes:
        moves = dict(change.moves)
        new: set[ThemeId] = set()
        for theme in held:
            targets = moves.get(theme, (theme,))
            if len(targets) == 1:
                new.add(targets[0])
            else:
                (undecided if targets else retired).add(theme)
        held = new
    return ViewedThemes(frozenset(held), frozenset(undecided), frozenset(retired))


def follow_theme(changes: Sequence[CodebookChange], theme: ThemeId) -> FollowedTheme:
    """Return where a label of the first change's old version goes in the last one's new version."""
    to: tuple[ThemeId, ...] = (theme,)
    is_open = False
    for change in changes:
        moves = dict(change.moves)
        places = [moves.get(place, (place,)) for place in to]
        is_open = is_open or any(len(p) > 1 for p in places)
        to = tuple(dict.fromkeys(t for p in places for t in p))
    return FollowedTheme(to, is_open)


def change_to_document(change: CodebookChange) -> dict[str, Any]:
    """Return the change as plain lists and dicts: both versions whole, so that it can be read, followed and undone alone."""
    return {
        "operation": change.operation,
        "from": change.old.ref,
        "to": change.new.ref,
        "moves": {old: list(new) for old, new in change.moves},
        "old": codebook_to_document(change.old),
        "new": codebook_to_document(change.new),
    }


def change_from_document(document: Mapping[str, Any]) -> CodebookChange:
    """Return the change that `change_to_document` wrote; KeyError, TypeError or ValueError if it is none."""
    moves = tuple((ThemeId(o), tuple(ThemeId(n) for n in new)) for o, new in document["moves"].items())
    old, new = codebook_from_document(document["old"]), codebook_from_document(document["new"])
    if (document["from"], document["to"]) != (old.ref, new.ref):
        raise ValueError("a change's versions are those of its codebooks")
    if any(old.find_theme(o) is None or any(new.find_theme(n) is None for n in targets) for o, targets in moves):
        raise ValueError("a change moves themes that are there")
    return CodebookChange(document["operation"], old, new, moves)


def next_version(version: str, operation: Operation) -> str:
    """Return the version after an operation: 1.2.0 becomes 1.3.0, or 1.2.1 if only a name changed; another form gets `.1`, or its last number one more."""
    match = _NUMBERS.fullmatch(version)
    if match:
        major, minor, patch = map(int, match.groups())
        return f"{major}.{minor}.{patch + 1}" if operation == "rename" else f"{major}.{minor + 1}.0"
    head, dot, last = version.rpartition(".")
    return f"{head}{dot}{int(last) + 1}" if last.isdecimal() and last.isascii() else f"{version}.1"


def _change(
    operation: Operation, old: Codebook, themes: tuple[Theme, ...], moves: Mapping[ThemeId, tuple[ThemeId, ...]]
) -> CodebookChange:
    above, still = {t.parent for t in old.themes}, {t.parent for t in themes}
    kept = tuple(t for t in themes if t.id in still or t.id not in above)  # a family without themes goes too
    new = Codebook(old.id, next_version(old.version, operation), kept, old.title)
    return CodebookChange(operation, old, new, tuple(moves.items()))


def _theme(codebook: Codebook, theme_id: str) -> Theme:
    theme = codebook.find_theme(theme_id)
    if theme is None:
        raise _refused(
            f"{codebook.ref} has no theme {theme_id!r}", "an id of the codebook", "run `themes codebook check` on it"
        )
    return theme


def _codable(codebook: Codebook, theme_id: str) -> Theme:
    theme = _theme(codebook, theme_id)
    if any(t.parent == theme.id for t in codebook.themes):
        raise _refused(f"{theme_id} has themes below it", "a theme that comments are coded with", "change those first")
    return theme


def _check_new(codebook: Codebook, theme: Theme) -> None:
    if codebook.find_theme(theme.id) is not None:
        raise _refused(f"the id {theme.id!r} is taken", "an id that no theme has", "give another with --id")
    if not _ID.fullmatch(theme.id):
        raise _refused(
            "that cannot be an id", "1 to 100 letters, digits, spaces and _.&/,:()-", "give another with --id"
        )
    if not theme.label.strip() or not theme.definition.strip():
        raise _refused(f"{theme.id} has no label or no definition", "both", "give both")
    if any(t.label.casefold() == theme.label.casefold() and t.parent == theme.parent for t in codebook.themes):
        raise _refused(f"the label of {theme.id} is taken", "a label that no sister has", "give another with --label")
    if theme.parent is not None:
        parent = codebook.find_theme(theme.parent)
        if parent is None or parent.parent is not None:
            raise _refused(
                f"{theme.parent!r} is no theme of the upper level", "a theme without a parent", "give another parent"
            )
        if parent in codebook.codable:
            raise _refused(
                f"comments are coded with {theme.parent!r} itself",
                "a parent that has themes below it already",
                "split that theme",
            )


def _refused(found: str, allowed: str, next_step: str) -> CodebookChangeError:
    return CodebookChangeError(f"{found}.", allowed=f"{allowed}.", next_step=f"{next_step}.")


def changes_fit(changes: Sequence[CodebookChange], ref: CodebookRef) -> bool:
    """Return whether changes follow one on another, from a version on."""
    at = ref
    for change in changes:
        if change.old.ref != at:
            return False
        at = change.new.ref
    return True
