"""The use case: coded comments in, themes that the codebook misses out, with evidence and a definition to start from."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.candidates import (
    MIN_RESIDUAL_SEGMENTS,
    MIN_RESPONDENTS,
    MIN_STABILITY,
    MIN_UNEXPLAINED,
    CandidateTheme,
    Known,
    carries_theme,
    find_candidates,
    is_shown,
    known_from_document,
    make_material,
    suggested_theme,
)
from models.counts import counted
from models.segment_vectors import SegmentReader
from models.text import make_segments
from models.vocabulary import Codebook, CodedComment, Comment, Segment, ThemesError
from nlp_service.estimate_shares import CodingsError, find_codebook
from nlp_service.ingest.comments import Reading, ReadingOptions, read_comments
from nlp_service.make_report import read_coded
from nlp_service.output import OutputRefusedError, keep_inputs
from nlp_service.privacy.redaction import redact
from nlp_service.report.codings_file import written_aside

N_EXAMPLES: Final = 3
_EXAMPLE_CHARS: Final = (25, 300)
_MAX_EARLIER_BYTES: Final = 50_000_000
_OFFERED: Final = 20

StartProgress = Callable[[int], AbstractContextManager[Callable[[int], None]]]


class EarlierCandidatesError(ThemesError):
    """An earlier candidates file cannot be used."""

    code = "candidates_invalid"


@dataclass(frozen=True, slots=True)
class CandidatesRequest:
    """What an analyst asks for: codings hold no words, so the files that were coded are read beside them."""

    codings: Path
    comments: tuple[Path, ...]
    out: Path
    reading_options: ReadingOptions = field(default_factory=ReadingOptions)
    """As the files were read when they were coded."""
    codebook: Path | None = None
    since: Path | None = None
    show_all: bool = False
    seed: int = 0

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        """Return the files that are read, which no output may take the place of."""
        return (self.codings, *self.comments, self.codebook, self.since, self.reading_options.mapping_file)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What came of it."""

    shown: tuple[dict[str, Any], ...]
    n_hidden: int
    n_residual_segments: int
    notes: tuple[str, ...]


def write_candidates(request: CandidatesRequest, *, start: StartProgress) -> Candidates:
    """Write a candidates file and return what it says.

    Raises
    ------
    ThemesError
        If a file cannot be used or they don't belong together. Nothing is written then.
    """
    if not request.out.parent.is_dir() or request.out.is_dir():
        raise OutputRefusedError(
            f"{request.out.name} cannot be written there.",
            allowed="a file in an existing folder.",
            next_step="make the folder first, or change --out.",
        )
    keep_inputs([request.out], request.inputs)
    pairs, book = read_pairs(request)
    document, found = search(pairs, book, request, start=start)
    with written_aside(request.out) as aside:
        aside.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def search(
    pairs: Sequence[tuple[Comment, CodedComment]],
    book: Codebook,
    request: CandidatesRequest,
    *,
    start: StartProgress,
) -> tuple[dict[str, Any], Candidates]:
    """Return the document of a candidates file, and what it says."""
    segments = [make_segments(c.text) for c, _ in pairs]
    flat = [(i, s) for i, own in enumerate(segments) for s in own]
    texts = [s.of(pairs[i][0].text) for i, s in flat]
    reader = SegmentReader()
    known = _read_earlier(request.since, reader.name) if request.since is not None else []
    with start(len(texts)) as progress:
        vectors = reader.vectors(texts, progress=progress)
    coded = [c for _, c in pairs]
    carries = carries_theme(coded, segments, book)
    themes = [str(t.id) for t in book.codable if not t.residual]
    probabilities = np.array([[dict(c.probabilities)[t] for t in themes] for c in coded], np.float64)  # type: ignore[index]
    holds = np.array([[t in c.themes for t in themes] for c in coded], np.bool_)
    owner = np.array([i for i, _ in flat], np.intp)
    aside = carries & ~holds[owner].any(axis=1)
    respondents = [str(c.respondent) if c.respondent is not None else str(c.id) for c, _ in pairs]
    found = find_candidates(
        make_material(vectors, owner, probabilities, holds, aside),
        texts,
        [str(c.id) for c, _ in pairs],
        respondents,
        ~carries,
        book,
        reader.vectors,
        n_candidates=max(_OFFERED if request.show_all else 10, len(known)),
        seed=request.seed,
        known=known,
        allowed=lambda phrase: not redact(phrase.title()).found,
        cautious=request.show_all,
    )
    shown = [c for c in found.candidates if request.show_all or c.is_old or is_shown(c)]
    entries = tuple(_entry(c, pairs, respondents, flat, book) for c in shown)
    n_hidden = len(found.candidates) - len(shown)
    notes = _notes(request, found.n_residual_segments, found.too_few, n_hidden)
    document = {
        "codebook": book.ref,
        "model": str(coded[0].model),
        "encoder": reader.name,
        "seed": request.seed,
        "n_comments": len(pairs),
        "n_respondents": len(set(respondents)),
        "n_segments": len(texts),
        "n_residual_segments": found.n_residual_segments,
        "shown_from": {
            "stability": MIN_STABILITY,
            "respondents": MIN_RESPONDENTS,
            "unexplained": MIN_UNEXPLAINED,
            "all": request.show_all,
        },
        "notes": list(notes),
        "candidates": list(entries),
    }
    return document, Candidates(entries, n_hidden, found.n_residual_segments, notes)


def _notes(request: CandidatesRequest, n_residual: int, too_few: bool, n_hidden: int) -> tuple[str, ...]:
    notes = []
    if too_few and request.show_all:
        notes.append(
            f"only {counted(n_residual, 'segment carries', 'segments carry')} no theme: read these candidates as hints, not as findings"
        )
    elif too_few:
        notes.append(
            f"too few: {counted(n_residual, 'segment carries', 'segments carry')} no theme, at least {MIN_RESIDUAL_SEGMENTS} are needed; --all looks all the same"
        )
    if n_hidden:
        notes.append(
            f"{counted(n_hidden, 'candidate is', 'candidates are')} hidden: under {MIN_RESPONDENTS} respondents, under stability {MIN_STABILITY}, mostly explained by "
            "themes, or without a phrase that several people used; --all shows them"
        )
    return tuple(notes)


def _entry(
    candidate: CandidateTheme,
    pairs: Sequence[tuple[Comment, CodedComment]],
    respondents: Sequence[str],
    flat: Sequence[tuple[int, Segment]],
    book: Codebook,
) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "name": candidate.name,
        "phrases": list(candidate.phrases),
        "n_respondents": candidate.n_respondents,
        "n_comments": len(candidate.comments),
        "novelty": candidate.novelty,
        "nearest_theme": candidate.nearest,
        "overlap": candidate.overlap,
        "unexplained": candidate.unexplained,
        "stability": candidate.stability,
        "earlier": candidate.is_old,
        "examples": _examples(candidate, pairs, respondents, flat),
        "suggested": suggested_theme(candidate, book),
        "comment_ids": [str(pairs[i][0].id) for i in candidate.comments],
        "scorer": {"weights": candidate.discriminant.weights.tolist(), "bias": candidate.discriminant.bias},
    }


def _examples(
    candidate: CandidateTheme,
    pairs: Sequence[tuple[Comment, CodedComment]],
    respondents: Sequence[str],
    flat: Sequence[tuple[int, Segment]],
) -> list[dict[str, Any]]:
    """Return examples of different people: slices of the comment as it may be shown, personal data replaced."""
    scored = list(zip(candidate.comments, candidate.segments, strict=True))
    low, high = _EXAMPLE_CHARS
    fits = [(i, s) for i, s in scored if low <= flat[s][1].end - flat[s][1].start <= high]
    told = re.compile("|".join(rf"\b{re.escape(p)}\b" for p in candidate.phrases) or r"(?!)", re.IGNORECASE)
    ordered = sorted(
        fits or scored, key=lambda pair: -len(set(told.findall(flat[pair[1]][1].of(pairs[pair[0]][0].text))))
    )
    out: list[dict[str, Any]] = []
    people: set[str] = set()
    words: set[str] = set()
    for i, s in ordered:
        comment, segment = pairs[i][0], flat[s][1]
        said = " ".join(segment.of(comment.text).lower().split())
        if respondents[i] in people or said in words:
            continue
        shown = redact(comment.text)
        place = shown.to_redacted(segment.start, segment.end)
        people.add(respondents[i])
        words.add(said)
        out.append(
            {
                "comment_id": str(comment.id),
                "start": place.start,
                "end": place.end,
                "text": place.of(shown.text),
                "redacted": bool(shown.found),
            }
        )
        if len(out) == N_EXAMPLES:
            break
    return out


def read_pairs(request: CandidatesRequest) -> tuple[list[tuple[Comment, CodedComment]], Codebook]:
    """Return comments with their codings, in the codings' order, and the codebook."""
    pairs, book, _ = read_coded_comments(request)
    return pairs, book


def read_coded_comments(
    request: CandidatesRequest,
) -> tuple[list[tuple[Comment, CodedComment]], Codebook, Reading]:
    """Return the same, and all else that the comments' files hold."""
    codings = read_coded(request.codings)
    everything = replace(request.reading_options, with_facilitators=True)  # the codings say which of them were coded
    reading = read_comments(request.comments, everything)
    comments = {str(c.id): c for c in reading.comments}
    missing = sum(str(c.comment_id) not in comments for c in codings)
    if missing:
        raise CodingsError(
            f"{request.codings.name} holds {counted(len(codings), 'comment')}, and the files given with --comments lack {missing} of them.",
            allowed="the files that were coded.",
            next_step="give the same files, with the same options for reading them (--text, --id, --role, --mapping, --sheet) as to `themes code`.",
        )
    book = find_codebook(str(codings[0].codebook), [str(t) for t, _ in codings[0].probabilities], request.codebook)
    pairs = [(comments[str(c.comment_id)], c) for c in codings]
    for comment, coded in pairs:
        if any(e.end > len(comment.text) for c in coded.codings for e in c.evidence):
            raise CodingsError(
                f"{request.codings.name}: evidence of a comment lies beyond its end.",
                allowed="codings of just these texts.",
                next_step="code the files again.",
            )
    return pairs, book, reading


def _read_earlier(path: Path, encoder: str) -> list[Known]:
    try:
        if path.stat().st_size > _MAX_EARLIER_BYTES:
            raise _refused(path, "it is too large", f"at most {_MAX_EARLIER_BYTES} bytes")
        document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document["encoder"] != encoder:
            raise _refused(path, "it was made with another encoder", f"a file made with {encoder}")
        known = [known_from_document(entry) for entry in document["candidates"]]
        dim = {len(k.discriminant.weights) for k in known}
        if len({k.id for k in known}) < len(known) or len(dim) > 1:
            raise _refused(path, "ids repeat or scorers differ in length", "a file that `themes candidates` wrote")
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})", "a readable file") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(
            path, f"it is no candidates file ({type(error).__name__})", "a file that `themes candidates` wrote"
        ) from error
    return known


def _refused(path: Path, found: str, allowed: str) -> EarlierCandidatesError:
    return EarlierCandidatesError(
        f"{path.name}: {found}.", allowed=f"{allowed}.", next_step="run `themes candidates` without --since."
    )
