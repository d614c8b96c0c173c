"""What changed from one codebook to another, theme by theme, and what a change means for labels that exist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from models.codebook_changes import CodebookChange, FollowedTheme, follow_theme
from models.vocabulary import Codebook, Theme, ThemeId

Kind = Literal["added", "removed", "moved", "renamed", "redefined", "hints", "merged", "widened", "split", "retired"]
_MEANING: Final = ("definition", "include", "exclude")
_HINTS: Final = ("cues", "examples")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one theme.

    `touches_labels` says whether comments coded before may be coded otherwise now: true where a theme came, went or means something
    else, false where only its name, id, place or hints changed.
    """

    theme: ThemeId
    kind: Kind
    text: str
    touches_labels: bool


def compare_codebooks(old: Codebook, new: Codebook, changes: Sequence[CodebookChange] = ()) -> list[Change]:
    """Return every change, in the new codebook's order, themes that went last.

    Parameters
    ----------
    changes
        The way from the old version to the new one, where it is known: it tells what was merged, split, retired or given another
        id. Without it, themes are the same if their ids are, and all others came or went.
    """
    way = _Way(old, new, changes)
    return [*_of_new(way), *_of_gone(way)]


class _Way:
    """Where the labels of each old theme go."""

    def __init__(self, old: Codebook, new: Codebook, changes: Sequence[CodebookChange]) -> None:
        self.old, self.new = old, new
        self._goes = {t.id: follow_theme(changes, t.id) for t in old.themes}

    def of(self, theme: ThemeId) -> FollowedTheme:
        """Return where they go; to the theme itself where the new version lacks what the changes say, as after an edit by hand."""
        told = self._goes[theme]
        there = tuple(t for t in told.to if self.new.find_theme(t) is not None)
        return replace(told, to=there) if there or not told.to else FollowedTheme((theme,), is_open=False)

    def joined(self, theme: ThemeId) -> list[Theme]:
        """Return the old themes of other ids whose labels are all of a new theme now."""
        alone = FollowedTheme((theme,), is_open=False)
        return [t for t in self.old.themes if t.id != theme and self.of(t.id) == alone]

    def parts(self, theme: ThemeId) -> list[Theme]:
        """Return the old themes that were split, and of which a new theme is a part."""
        return [t for t in self.old.themes if self.of(t.id).is_open and theme in self.of(t.id).to]

    def before(self, theme: ThemeId) -> Theme | None:
        """Return what a new theme was: the same id, or the one that was given its id."""
        same, joined = self.old.find_theme(theme), self.joined(theme)
        if same is not None and theme in self.of(same.id).to:
            return same
        return joined[0] if len(joined) == 1 else None


def _of_new(way: _Way) -> Iterator[Change]:
    for theme in way.new.themes:
        before, parts = way.before(theme.id), way.parts(theme.id)
        joined = [t for t in way.joined(theme.id) if t != before]
        if joined:
            names = ", ".join(f"{t.id} ({t.label})" for t in joined)
            yield Change(theme.id, "widened", f"takes the labels of {names}", touches_labels=True)
        if before is not None:
            yield from _changes(before, theme, way)
            continue
        text = theme.label + (f" under {theme.parent}" if theme.parent else "")
        text += f"; a part of {', '.join(t.id for t in parts)}" if parts else ""
        yield Change(theme.id, "added", text, touches_labels=True)


def _of_gone(way: _Way) -> Iterator[Change]:
    for theme in way.old.themes:
        goes = way.of(theme.id)
        if not goes.to:
            text = f"{theme.label}: its labels stay under the old version and count in none"
            yield Change(theme.id, "retired", text, touches_labels=True)
        elif goes.is_open:
            text = f"{theme.label} -> {', '.join(goes.to)}: a person says which part each label means"
            yield Change(theme.id, "split", text, touches_labels=True)
        elif way.new.find_theme(goes.to[0]) is None:
            is_coded = theme in way.old.codable
            why = "its labels have no place to go" if is_coded else "it had themes below it and no labels"
            yield Change(theme.id, "removed", f"{theme.label}: {why}", touches_labels=is_coded)
        elif way.before(goes.to[0]) != theme:
            text = f"{theme.label} -> {goes.to[0]}: its labels are labels of that theme now"
            yield Change(theme.id, "merged", text, touches_labels=True)


def _changes(before: Theme, after: Theme, way: _Way) -> Sequence[Change]:
    found: list[Change] = []
    if before.id != after.id:
        text = f"from the id {before.id}: its labels go with it"
        found.append(Change(after.id, "renamed", text, touches_labels=False))
    if before.parent != after.parent and (before.parent is None or way.of(before.parent).to != (after.parent,)):
        text = f"from {before.parent or 'the upper level'} to {after.parent or 'the upper level'}"
        found.append(Change(after.id, "moved", text, touches_labels=False))
    if before.label != after.label:
        found.append(Change(after.id, "renamed", f"{before.label} -> {after.label}", touches_labels=False))
    changed = [field for field in _MEANING if getattr(before, field) != getattr(after, field)]
    changed += ["residual"] if before.residual != after.residual else []
    if changed:
        found.append(Change(after.id, "redefined", ", ".join(changed), touches_labels=True))
    hints = []
    for field in _HINTS:
        was, now = set(getattr(before, field)), set(getattr(after, field))
        if was != now:
            hints.append(f"{field} +{len(now - was)} -{len(was - now)}")
    if hints:
        found.append(Change(after.id, "hints", ", ".join(hints), touches_labels=False))
    return found
