"""The report as one typed value: every figure, quote and limit that its pages, documents and files show."""

from dataclasses import dataclass

from nlp_service.report.closed import ClosedResult
from nlp_service.report.crosstabs import Crosstab, Finding
from nlp_service.report.quotes import Quote
from nlp_service.report.workshops import Raised

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ShareFigure:
    """Estimated share of respondents who raised a theme. Without an interval, `why` says why there is none."""

    share: float | None
    """None where so few raised it that the figure is hidden."""
    low: float | None
    high: float | None
    rank_low: int | None
    rank_high: int | None
    method: str
    n_labelled: int
    n_respondents: int
    labels_to_halve: int | None
    why: str


@dataclass(frozen=True, slots=True)
class ThemeFigure:
    """A theme of either level with its share, the quotes under it, and its sub-themes, largest share first."""

    theme: str
    label: str
    definition: str
    figure: ShareFigure
    n_coded: int | None
    """Respondents with at least one comment that the model coded with it; None where hidden."""
    question: str | None
    """The open question that most of its comments answer, where there are several."""
    quotes: tuple[Quote, ...]
    parts: tuple["ThemeFigure", ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the consultation was: questions, files, how many took part."""

    title: str
    open_questions: tuple[str, ...]
    closed_questions: tuple[str, ...]
    first_day: str | None
    last_day: str | None
    n_rows: int
    """Rows of survey files, answered or not."""
    n_respondents: int
    """Of these, people who wrote at least one comment."""
    n_comments: int


@dataclass(frozen=True, slots=True)
class WorkshopTheme:
    """A theme that came up, with quotes of those who spoke."""

    raised: Raised
    label: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Workshops:
    """What was said in workshops: beside the survey, never added to it."""

    n_sessions: int
    n_speakers: int
    n_turns: int
    themes: tuple[WorkshopTheme, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of this wave beside the last one's, and the 95 % interval of their difference."""

    kind: str
    """theme, option or net."""
    key: str
    label: str
    question: str | None
    before: float
    now: float
    n_before: int
    n_now: int
    low: float | None
    high: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What moved since the last wave, and what cannot be compared."""

    title: str
    codebook: str
    changes: tuple[Change, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Emergent:
    """A candidate theme that the codebook misses, found by the topic model; not approved by anybody."""

    label: str
    n_comments: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the model's card says of it; `measured` names the figures with their intervals."""

    model: str
    codebook: str
    codebook_title: str
    n_themes: int
    trained_on: int | None
    measured: tuple[tuple[str, float, float | None, float | None], ...]
    split_note: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """How the figures came about and what they cannot say."""

    files: tuple[str, ...]
    n_problems: int
    problems: tuple[tuple[str, int], ...]
    """Codes of problems and how often each occurred."""
    model: ModelFacts
    n_labelled: int
    has_intervals: bool
    threshold: int
    n_hidden_closed: int
    n_hidden_crosstabs: int
    n_hidden_themes: int
    n_tests: int
    false_discoveries: float
    redacted: bool
    n_not_quoted: int
    notes: tuple[str, ...]
    seed: int
    service_version: str
    n_disclosing: int = 0
    """Comments that may disclose harm to somebody: never quoted."""
    weighted_by: tuple[str, ...] = ()
    """Closed questions to whose stated shares the respondents are weighted, in shares of themes alone."""


@dataclass(frozen=True, slots=True)
class Report:
    """We asked, you said, we did (to fill in)."""

    asked: Asked
    priorities: tuple[ThemeFigure, ...]
    closed: tuple[ClosedResult, ...]
    workshops: Workshops | None
    crosstabs: tuple[Crosstab, ...]
    findings: tuple[Finding, ...]
    changes: Changes | None
    emergent: tuple[Emergent, ...]
    method: Method
