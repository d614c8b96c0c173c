"""What workshops raised: by sessions and speakers, never as shares, and never added to a survey's."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.counts import counted
from models.vocabulary import Codebook, CodedComment, Comment, ThemeId


@dataclass(frozen=True, slots=True)
class Raised:
    """A theme, in how many of the sessions it came up, and how many of all speakers raised it."""

    theme: ThemeId
    n_sessions: int
    of_sessions: int
    n_speakers: int
    of_speakers: int


def count_raised(codebook: Codebook, pairs: Sequence[tuple[Comment, CodedComment]]) -> list[Raised]:
    """Return the themes that came up, those of most speakers first; a speaker is one within a session."""
    sessions = {c.session for c, _ in pairs}
    speakers = {(c.session, c.respondent) for c, _ in pairs}
    found: list[Raised] = []
    for theme in codebook.codable:
        by = {(c.session, c.respondent) for c, coded in pairs if theme.id in coded.themes}
        if by and not theme.residual:
            found.append(Raised(theme.id, len({s for s, _ in by}), len(sessions), len(by), len(speakers)))
    return sorted(found, key=lambda r: (-r.n_speakers, -r.n_sessions))


def workshops_table(codebook: Codebook, pairs: Sequence[tuple[Comment, CodedComment]], *, most: int = 8) -> str:
    """Return the first lines as a table."""
    rows = count_raised(codebook, pairs)
    lines = [f"{'Theme':<44} sessions  speakers"]
    lines += [
        f"{codebook.get_theme(r.theme).label[:44]:<44} {r.n_sessions:>3} of {r.of_sessions} {r.n_speakers:>4} of {r.of_speakers}"
        for r in rows[:most]
    ]
    return "\n".join(lines if len(rows) <= most else [*lines, f"and {counted(len(rows) - most, 'more theme')}"])
