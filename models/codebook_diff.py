"""What changed from one codebook to another, theme by theme, and what a change means for labels that exist."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from models.vocabulary import Codebook, Theme, ThemeId

Kind = Literal["added", "removed", "moved", "renamed", "redefined", "hints"]
_MEANING: Final = ("definition", "include", "exclude")
_HINTS: Final = ("cues", "examples")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one theme.

    `touches_labels` says whether comments coded before may be coded otherwise now: true where a theme came, went or means something
    else, false where only its name, place or hints changed.
    """

    theme: ThemeId
    kind: Kind
    text: str
    touches_labels: bool


def compare_codebooks(old: Codebook, new: Codebook) -> list[Change]:
    """Return every change, in the new codebook's order, themes that went last. Themes are the same if their ids are."""
    changes: list[Change] = []
    for theme in new.themes:
        before = old.find_theme(theme.id)
        if before is None:
            where = f" under {theme.parent}" if theme.parent else ""
            changes.append(Change(theme.id, "added", f"{theme.label}{where}", touches_labels=True))
            continue
        changes.extend(_changes(before, theme))
    changes.extend(
        Change(t.id, "removed", f"{t.label}: its labels have no place to go", touches_labels=True)
        for t in old.themes
        if new.find_theme(t.id) is None
    )
    return changes


def _changes(before: Theme, after: Theme) -> Sequence[Change]:
    found: list[Change] = []
    if before.parent != after.parent:
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
