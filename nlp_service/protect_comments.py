"""The use case: comments as they may be shown, and what a person should look at before anything else."""

import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from models.disclosure import find_disclosures
from models.vocabulary import CodedComment, Coding, Comment, Problem, RespondentId, Segment
from nlp_service.privacy.language import ENGLISH, find_language
from nlp_service.privacy.redaction import Redacted, redact
from nlp_service.processes import make_context, stops_held_back
from nlp_service.report.run import Disclosure

OTHER_LANGUAGE: Final = "other_language"
_CHUNK_TEXTS: Final = 500
_MIN_TEXTS_A_PROCESS: Final = 2_000
"""Fewer than this are redacted before another process would have started."""


@dataclass(frozen=True, slots=True)
class Readable:
    """Comments in English, as it seems, and the others as problems."""

    comments: tuple[Comment, ...]
    problems: tuple[Problem, ...]
    n_other_languages: int


def set_languages_apart(comments: Sequence[Comment], *, file: str | None, all_languages: bool) -> Readable:
    """Return the comments that can be coded; those in other languages become problems, unless all are to be coded.

    Rows in = comments out + problems, as before. `file` names the input where there is one only.
    """
    kept: list[Comment] = []
    problems: list[Problem] = []
    n_others = 0
    for comment in comments:
        language = find_language(comment.text)
        n_others += language != ENGLISH
        if language == ENGLISH or all_languages:
            kept.append(comment)
            continue
        found = f"written in another language, as it seems ({language})"
        step = "have someone who reads it code it, or say --all-languages"
        problems.append(Problem(OTHER_LANGUAGE, found, step, comment.row, comment.question, file))
    return Readable(tuple(kept), tuple(problems), n_others)


@dataclass(frozen=True, slots=True)
class Protected:
    """What is known of one text: how it may be shown (None: not asked for), and whether it may disclose harm."""

    redacted: Redacted | None
    disclosure: float | None
    """The probability, where it is high enough for the list."""


def protect_distinct(texts: Sequence[str], *, with_redaction: bool, jobs: int) -> dict[str, Protected]:
    """Return what is known of each distinct text; it does not depend on `jobs`."""
    distinct = list(dict.fromkeys(texts))
    jobs = max(1, min(jobs, len(distinct) // _MIN_TEXTS_A_PROCESS))
    chunks = [distinct[i : i + _CHUNK_TEXTS] for i in range(0, len(distinct), _CHUNK_TEXTS)]
    wanted = [with_redaction] * len(chunks)
    if jobs == 1:
        done = list(map(_protect, chunks, wanted))
    else:
        context = make_context()
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_stopping_to_the_first) as pool:
            with stops_held_back():
                coming = pool.map(_protect, chunks, wanted)
            done = list(coming)
    return {text: one for chunk, part in zip(chunks, done, strict=True) for text, one in zip(chunk, part, strict=True)}


def _leave_stopping_to_the_first() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one alone answers it


def _protect(texts: list[str], with_redaction: bool) -> list[Protected]:
    flagged = find_disclosures(texts)
    return [Protected(redact(t) if with_redaction else None, flagged.get(i)) for i, t in enumerate(texts)]


def list_disclosures(comments: Sequence[Comment], known: Mapping[str, Protected]) -> tuple[Disclosure, ...]:
    """Return the comments that may disclose harm, the likeliest first, then in input order."""
    found = [Disclosure(c.id, p, c.row, c.question) for c in comments if (p := known[c.text].disclosure) is not None]
    return tuple(sorted(found, key=lambda d: -d.probability))


def as_shown(
    pairs: Sequence[tuple[Comment, CodedComment]], known: Mapping[str, Protected]
) -> tuple[tuple[Comment, CodedComment], ...]:
    """Return the pairs with each text redacted and its evidence where it stands in the redacted text.

    A workshop's speakers are numbered in the order they speak ("Speaker 2"): their names are personal data too.
    """
    speakers: dict[str, dict[RespondentId, RespondentId]] = {}
    out: list[tuple[Comment, CodedComment]] = []
    for comment, coded in pairs:
        one = known[comment.text].redacted
        if one is None:
            out.append((comment, coded))
            continue
        if comment.session is not None and comment.respondent is not None:
            here = speakers.setdefault(comment.session, {})
            number = here.setdefault(comment.respondent, RespondentId(f"{comment.session}: speaker {len(here) + 1}"))
            comment = replace(comment, respondent=number)
        codings = tuple(Coding(c.theme, c.probability, _moved(one, c.evidence)) for c in coded.codings)
        out.append((replace(comment, text=one.text), replace(coded, codings=codings)))
    return tuple(out)


def _moved(one: Redacted, evidence: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return the evidence in the redacted text; pieces that meet in one replacement become one."""
    moved: list[Segment] = []
    for segment in sorted(evidence):
        there = one.to_redacted(segment.start, segment.end)
        if moved and there.start < moved[-1].end:
            moved[-1] = Segment(moved[-1].start, max(moved[-1].end, there.end))
        else:
            moved.append(there)
    return tuple(moved)
