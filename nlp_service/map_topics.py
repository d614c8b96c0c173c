"""The use case: topics of everything that was said, which themes each consists of, and a map to look at."""

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.candidates import MIN_PHRASE_RESPONDENTS, MIN_RESPONDENTS, carries_theme
from models.counts import counted
from models.segment_vectors import SegmentReader
from models.text import make_segments
from models.topics import OUTSIDE, fit_topics, flatten
from models.vocabulary import Codebook, CodedComment, Comment, RespondentId, Segment
from nlp_service.find_candidates import CandidatesRequest, StartProgress, read_coded_comments
from nlp_service.ingest.comments import Reading
from nlp_service.output import OutputRefusedError, keep_inputs
from nlp_service.privacy.redaction import redact
from nlp_service.protect_comments import protect_distinct
from nlp_service.report.codings_file import written_aside
from nlp_service.report.topic_map import Point, write_topic_map

UNCOVERED_BELOW: Final = 0.5
"""A topic of whose segments fewer carry a theme is listed as one that no theme covers."""
_MIN_SHARE: Final = 0.05
_TOPIC_WORDS: Final = 4
_NO_THEME: Final = "no theme"


@dataclass(frozen=True, slots=True)
class TopicMap:
    """What came of it."""

    topics: tuple[dict[str, Any], ...]
    n_outside: int
    """Segments in no topic."""


def map_topics(request: CandidatesRequest, picture: Path | None, *, start: StartProgress) -> TopicMap:
    """Write a topics file, and a map as HTML if asked.

    Raises
    ------
    ThemesError
        If a file cannot be used or they don't belong together. Nothing is written then.
    """
    outs = [request.out, *([picture] if picture is not None else [])]
    for path in outs:
        if not path.parent.is_dir() or path.is_dir():
            raise OutputRefusedError(
                f"{path.name} cannot be written there.",
                allowed="a file in an existing folder.",
                next_step="change --out or --map.",
            )
    keep_inputs(outs, request.inputs, option="--out or --map")
    pairs, book, reading = read_coded_comments(request)
    segments = [make_segments(c.text) for c, _ in pairs]
    flat = [(i, s) for i, own in enumerate(segments) for s in own]
    texts = [s.of(pairs[i][0].text) for i, s in flat]
    with start(len(texts)) as progress:
        vectors = SegmentReader().vectors(texts, progress=progress)
    found = fit_topics(texts, vectors, seed=request.seed)
    carries = carries_theme([c for _, c in pairs], segments, book)
    people = [str(pairs[i][0].respondent or pairs[i][0].id) for i, _ in flat]
    names = [
        _name(words, [(people[row], texts[row].lower()) for row in np.flatnonzero(found.labels == t).tolist()])
        for t, words in enumerate(found.words)
    ]
    topics = tuple(
        _topic(t, name, np.flatnonzero(found.labels == t).tolist(), pairs, flat, carries.tolist(), book, reading)
        for t, name in enumerate(names)
    )
    of_comments: list[list[int]] = [[] for _ in pairs]
    for (i, _), topic in zip(flat, found.labels.tolist(), strict=True):
        if topic != OUTSIDE and topic not in of_comments[i]:
            of_comments[i].append(topic)
    document = {
        "codebook": book.ref,
        "seed": request.seed,
        "n_comments": len(pairs),
        "n_segments": len(texts),
        "n_segments_outside": int((found.labels == OUTSIDE).sum()),
        "respondents": _who_and_when({str(c.respondent or c.id) for c, _ in pairs}, reading),
        "topics": list(topics),
        "comments": [{"comment_id": str(c.id), "topics": own} for (c, _), own in zip(pairs, of_comments, strict=True)],
    }
    with written_aside(request.out) as aside:
        aside.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if picture is not None:
            owner = np.array([i for i, _ in flat])
            means = np.stack([vectors[owner == i].mean(axis=0) for i in range(len(pairs))])
            with written_aside(picture) as drawn:
                points = _points(pairs, flatten(means, seed=request.seed), of_comments, names, book)
                write_topic_map(
                    drawn, points, title=f"{counted(len(pairs), 'comment')} by topic, coloured by theme ({book.ref})"
                )
    return TopicMap(topics, document["n_segments_outside"])  # type: ignore[arg-type]


def _name(words: Sequence[str], said: Sequence[tuple[str, str]]) -> str:
    """Return a topic's name: its most telling words that several people used and that are no personal data."""
    told: list[str] = []
    for word in words:
        pattern = re.compile(rf"\b{re.escape(word)}\b")
        users = {person for person, text in said if pattern.search(text)}
        if len(users) >= MIN_PHRASE_RESPONDENTS and not redact(word.title()).found:
            told.append(word)
        if len(told) == _TOPIC_WORDS:
            break
    return ", ".join(told) or "mixed"


def _topic(
    number: int,
    name: str,
    rows: Sequence[int],
    pairs: Sequence[tuple[Comment, CodedComment]],
    flat: Sequence[tuple[int, Segment]],
    carries: Sequence[bool],
    book: Codebook,
    reading: Reading,
) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    questions: Counter[str] = Counter()
    people: set[str] = set()
    for row in rows:
        i, segment = flat[row]
        comment, coded = pairs[i]
        people.add(str(comment.respondent or comment.id))
        if comment.question is not None:
            questions[comment.question] += 1
        for coding in coded.codings:
            theme = book.find_theme(coding.theme)
            residual = theme is not None and theme.residual
            if not residual and any(segment.start < e.end and e.start < segment.end for e in coding.evidence):
                counts[str(coding.theme)] += 1
    covered = sum(carries[row] for row in rows) / len(rows)
    shares = [
        {"theme": t, "share": round(n / len(rows), 4)} for t, n in sorted(counts.items(), key=lambda e: (-e[1], e[0]))
    ]
    return {
        "topic": number,
        "name": name,
        "n_segments": len(rows),
        "n_respondents": len(people),
        "covered": round(covered, 4),
        "uncovered": covered < UNCOVERED_BELOW,
        "themes": [s for s in shares if s["share"] >= _MIN_SHARE],  # type: ignore[operator]
        "questions": dict(sorted(questions.items())),
        **_who_and_when(people, reading),
    }


def _who_and_when(people: Collection[str], reading: Reading) -> dict[str, Any]:
    """Return how many of the people gave each answer to each closed question, and answered in each month; few are left out."""
    answers: Counter[tuple[str, str]] = Counter()
    months: Counter[str] = Counter()
    for who in map(RespondentId, people):
        answers.update((name, option) for name, options in reading.answers.of(who).items() for option in options)
        if who in reading.months:
            months[reading.months[who]] += 1
    counted = {
        q.name: {o: n for o in q.options if (n := answers[q.name, o]) >= MIN_RESPONDENTS}
        for q in reading.answers.questions
    }
    return {
        "answers": {name: options for name, options in counted.items() if options},
        "months": {month: n for month, n in sorted(months.items()) if n >= MIN_RESPONDENTS},
    }


def _points(
    pairs: Sequence[tuple[Comment, CodedComment]],
    places: np.ndarray[Any, Any],
    topics: Sequence[Sequence[int]],
    names: Sequence[str],
    book: Codebook,
) -> list[Point]:
    known = protect_distinct([c.text for c, _ in pairs], with_redaction=True, jobs=1)
    points = []
    for (comment, coded), (x, y), own in zip(pairs, places.tolist(), topics, strict=True):
        best = max(coded.codings, key=lambda c: c.probability, default=None)
        theme = None if best is None else book.find_theme(best.theme)
        redacted = known[comment.text].redacted
        assert redacted is not None  # noqa: S101 -- asked for above; for the type checker
        topic = f"topic: {names[own[0]]}" if own else "no topic"
        points.append(Point(x, y, theme.label if theme is not None else _NO_THEME, topic, redacted.text))
    return points
