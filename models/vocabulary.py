"""The words of the house, one class each, all frozen values.

Nothing here reads a file, loads a library or knows how a value came about.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

CommentId = NewType("CommentId", str)
RespondentId = NewType("RespondentId", str)
ThemeId = NewType("ThemeId", str)
ModelId = NewType("ModelId", str)
CodebookRef = NewType("CodebookRef", str)
"""`id@version` of a codebook, as written beside every coding."""


class ThemesError(Exception):
    """Something outside the program is wrong, and the message says what to do about it.

    A message holds the code, what was found, what is allowed and the next step; never a resident's words.

    Parameters
    ----------
    found
        What is there.
    allowed
        What may be there.
    next_step
        What the reader can do now.
    """

    code = "error"

    def __init__(self, found: str, *, allowed: str, next_step: str) -> None:
        self.found, self.allowed, self.next_step = found, allowed, next_step
        super().__init__(f"{self.code}: {found} Allowed: {allowed} Next: {next_step}")


class Verdict(StrEnum):
    """What a machine or a person says of one theme on one comment."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Comment:
    """One answer by one person to one open question, or one transcript turn."""

    id: CommentId
    text: str
    question: str | None = None
    respondent: RespondentId | None = None
    row: int | None = None
    """Row of the file it came from, counted as the file's reader counts them (header is row 1)."""
    session: str | None = None
    """The workshop in which it was said; None for a survey answer."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A sentence-sized slice of a comment: half-open offsets in code points of the original text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a segment runs forward and holds something: [{self.start}, {self.end})")

    def of(self, text: str) -> str:
        """Return the words that the segment stands for."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Theme:
    """An approved concept of a codebook. `parent` is None on the upper of the two levels."""

    id: ThemeId
    label: str
    definition: str
    include: str = ""
    exclude: str = ""
    parent: ThemeId | None = None
    cues: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    residual: bool = False
    """True where the theme says that a comment carries nothing to report (off topic, no answer ...)."""
    references: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names of the same thing in other schemes: `(("police_uk", ("drugs",)), ...)`."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """An ordered, versioned set of themes. Comments are coded with `codable`: the themes without children."""

    id: str
    version: str
    themes: tuple[Theme, ...]
    title: str = ""
    codable: tuple[Theme, ...] = field(init=False)
    _by_id: dict[ThemeId, Theme] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parents = {theme.parent for theme in self.themes}
        object.__setattr__(self, "codable", tuple(t for t in self.themes if t.id not in parents))
        object.__setattr__(self, "_by_id", {t.id: t for t in self.themes})

    @property
    def ref(self) -> CodebookRef:
        """Return `id@version`."""
        return CodebookRef(f"{self.id}@{self.version}")

    def get_theme(self, theme_id: str) -> Theme:
        """Return the theme of that id; KeyError if the codebook has none."""
        return self._by_id[ThemeId(theme_id)]

    def find_theme(self, theme_id: str) -> Theme | None:
        """Return the theme of that id, or None."""
        return self._by_id.get(ThemeId(theme_id))


@dataclass(frozen=True, slots=True)
class Coding:
    """A theme on a comment, with its calibrated probability and the segments that carry it."""

    theme: ThemeId
    probability: float
    evidence: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class CodedComment:
    """All that one run says of one comment: a line of a codings file."""

    comment_id: CommentId
    codings: tuple[Coding, ...]
    unsure: tuple[ThemeId, ...]
    probabilities: tuple[tuple[ThemeId, float], ...]
    """Every codable theme in codebook order, rounded to four decimals."""
    model: ModelId
    codebook: CodebookRef

    @property
    def themes(self) -> tuple[ThemeId, ...]:
        """Return the ids of the themes coded, in codebook order."""
        return tuple(coding.theme for coding in self.codings)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A machine's yes, no or unsure for one theme on one comment. Never becomes a Decision by itself."""

    comment_id: CommentId
    theme: ThemeId
    verdict: Verdict
    probability: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's yes or no for one theme on one comment."""

    comment_id: CommentId
    theme: ThemeId
    verdict: Verdict
    coder: str | None = None
    decided_at: datetime | None = None
    blind: bool | None = None
    """True: made without seeing a suggestion. False: assisted. None: the file does not say."""


@dataclass(frozen=True, slots=True)
class DecidedComment:
    """A comment with the complete set of themes that one coder gave it: a line of a decisions file."""

    comment: Comment
    themes: frozenset[ThemeId]
    source: str | None = None
    coder: str | None = None
    blind: bool | None = None

    @property
    def written(self) -> tuple[str, str]:
        """Return who wrote it, by the respondent's id or the comment's where there is none, and the text."""
        return self.comment.respondent or self.comment.id, self.comment.text

    def decisions(self, codebook: Codebook) -> tuple[Decision, ...]:
        """Return one Decision for each codable theme: yes if named, else no."""
        return tuple(
            Decision(
                self.comment.id,
                theme.id,
                Verdict.YES if theme.id in self.themes else Verdict.NO,
                coder=self.coder,
                blind=self.blind,
            )
            for theme in codebook.codable
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that could not be taken: where it is, what it is, and what to do."""

    code: str
    found: str
    next_step: str
    row: int | None = None
    column: str | None = None
    file: str | None = None
