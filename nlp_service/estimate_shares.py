"""The use case: codings of all comments and people's decisions on a random part of them in, shares of respondents out."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.artefact import STARTER, read_artefact
from models.codebook import read_codebook
from models.counts import counted
from models.prevalence import Prevalence, estimate_prevalence, to_document
from models.vocabulary import Codebook, DecidedComment, Problem, Theme, ThemeId, ThemesError
from nlp_service.ingest.comments import GUESSED, ReadingOptions, read_comments
from nlp_service.output import keep_inputs
from nlp_service.report.codings_file import written_aside
from nlp_service.weights import Weights, rake, read_margins
from training.decisions import read_decisions

_ENOUGH: Final = 5.0
"""Respondents to be expected before their absence says something."""
Weigh = Callable[[Sequence[str]], Weights]
"""From respondents to their weights."""
MAX_FILE_BYTES: Final = 2_000_000_000


class CodingsError(ThemesError):
    """A codings file cannot be used."""

    code = "codings_invalid"


@dataclass(frozen=True, slots=True)
class CodingsTable:
    """A codings file as arrays: one row a comment."""

    comment_ids: tuple[str, ...]
    respondents: tuple[str, ...]
    themes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    """Shape (n_comments, n_themes)."""
    codebook: str
    model: str
    sessions: tuple[str | None, ...] = ()
    """The workshop in which each was said, None for a survey answer; empty where no line says."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What came of it: a line for each theme, upper level and lower, and what the reader should know."""

    lines: tuple[dict[str, Any], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def estimate_shares(
    codings: Path,
    decisions: Path | None,
    out: Path,
    *,
    codebook: Path | None = None,
    seed: int = 0,
    margins: Path | None = None,
    survey: Sequence[Path] = (),
    reading_options: ReadingOptions = GUESSED,
) -> Shares:
    """Write a shares file and return what it says.

    Parameters
    ----------
    codings
        All comments of a consultation, coded.
    decisions
        People's decisions. If any line says `blind`, those with `true` count as the random sample and all others are left out.
    codebook
        For the upper level, whose shares are of respondents who raised any theme below; the shipped one is known by itself.
    margins, survey
        Stated shares of answers to closed questions, which the respondents are weighted to match; and the survey files that were coded,
        which hold the answers.
    reading_options
        As the survey files were read when they were coded.

    Raises
    ------
    CodingsError, DecisionsError, CodebookError
        If a file cannot be used. Nothing is written then.
    """
    keep_inputs([out], [codings, decisions, codebook, margins, *survey, reading_options.mapping_file])
    table = read_codings(codings)
    book = find_codebook(table.codebook, table.themes, codebook)
    decided: list[DecidedComment] = []
    problems: list[Problem] = []
    if decisions is not None:
        decided, problems = read_decisions(decisions, book, at_least=0)
    notes: list[str] = []
    table = _survey_alone(table, notes)
    sample = random_sample(decided, notes)
    weigh: Weigh | None = None
    if margins is not None:
        weigh = partial(rake, read_margins(margins), read_comments(survey, reading_options).answers)
    estimates = estimate_themes(table, book, sample, seed=seed, notes=notes, problems=problems, weigh=weigh)
    lines = [to_document(t, p, len(table.comment_ids)) for t, p in estimates.items()]
    with written_aside(out) as aside:
        aside.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    return Shares(tuple(lines), tuple(problems), tuple(notes))


def read_codings(path: Path) -> CodingsTable:
    """Return a codings file's probabilities; CodingsError if a line is not one, or ids repeat."""
    ids: list[str] = []
    respondents: list[str] = []
    sessions: list[str | None] = []
    rows: list[list[float]] = []
    themes: list[str] | None = None
    versions: set[tuple[str, str]] = set()
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(path, "it is too large", f"at most {MAX_FILE_BYTES} bytes")
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                entry = json.loads(line)
                probabilities = entry["probabilities"]
                themes = list(probabilities) if themes is None else themes
                if list(probabilities) != themes:
                    raise _refused(path, f"line {number} has other themes than line 1", "one run's codings")
                ids.append(str(entry["comment_id"]))
                respondents.append(str(entry.get("respondent", entry["comment_id"])))
                sessions.append(None if entry.get("session") is None else str(entry["session"]))
                rows.append([float(p) for p in probabilities.values()])
                versions.add((str(entry["model"]), str(entry["codebook"])))
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"it cannot be read ({type(error).__name__})", "a readable UTF-8 file") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        found = f"line {len(ids) + 1} is no coding ({type(error).__name__})"
        raise _refused(path, found, "lines as `themes code --out FILE.jsonl` writes them") from error
    if themes is None:
        raise _refused(path, "it holds no codings", "a line for each comment")
    twice = next((i for i, n in Counter(ids).items() if n > 1), None)
    if twice is not None:
        raise _refused(path, f"a comment_id occurs twice (line {ids.index(twice) + 1} first)", "one line a comment")
    if len(versions) > 1:
        raise _refused(
            path, f"it mixes {counted(len(versions), 'model or codebook', 'models or codebooks')}", "one run's codings"
        )
    array = np.array(rows, np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise _refused(path, "a probability lies outside 0 to 1", "probabilities from 0 to 1")
    model, codebook = versions.pop()
    return CodingsTable(tuple(ids), tuple(respondents), tuple(themes), array, codebook, model, tuple(sessions))


def _survey_alone(table: CodingsTable, notes: list[str]) -> CodingsTable:
    """Return the codings without what was said in workshops: a few people in a room are no share of respondents."""
    kept = [i for i, session in enumerate(table.sessions) if session is None]
    if len(kept) == len(table.comment_ids):
        return table
    notes.append(
        f"{counted(len(table.comment_ids) - len(kept), 'turn of a workshop was', 'turns of workshops were')} left out: shares are of the survey's respondents"
    )
    if not kept:
        raise CodingsError(
            "the codings hold turns of workshops alone.",
            allowed="codings of a survey.",
            next_step="see `themes report` for workshops: it counts sessions and speakers.",
        )
    return CodingsTable(
        tuple(table.comment_ids[i] for i in kept),
        tuple(table.respondents[i] for i in kept),
        table.themes,
        table.probabilities[kept],
        table.codebook,
        table.model,
    )


def _refused(path: Path, found: str, allowed: str) -> CodingsError:
    return CodingsError(
        f"{path.name}: {found}.", allowed=f"{allowed}.", next_step="code the comments again into a .jsonl file."
    )


def find_codebook(ref: str, themes: Sequence[str], given: Path | None) -> Codebook:
    """Return the codebook of codings: the given one, the shipped one if it is that, else flat themes of those names.

    Raises
    ------
    CodingsError
        If the given one has other themes than the codings.
    """
    if given is not None:
        book = read_codebook(given)
        if {t.id for t in book.codable} != set(themes):
            raise CodingsError(
                f"the codings were made with {ref}, whose themes are not those of {book.ref}.",
                allowed="the codebook that the comments were coded with.",
                next_step="give that one with --codebook.",
            )
        return book
    shipped = read_artefact(STARTER).codebook
    if shipped.ref == ref and {t.id for t in shipped.codable} == set(themes):
        return shipped
    name, _, version = ref.partition("@")
    return Codebook(name, version, tuple(Theme(ThemeId(t), t, "") for t in themes))


def random_sample(decided: Sequence[DecidedComment], notes: list[str]) -> list[DecidedComment]:
    """Return the decisions that are a random sample: the blind ones, or all if none says; `notes` gains what was done."""
    if not decided:
        return []
    if all(d.blind is None for d in decided):
        notes.append("no decision says whether it is blind: all were taken for a random sample of the comments")
        return list(decided)
    blind = [d for d in decided if d.blind]
    if len(blind) < len(decided):
        notes.append(
            f"{counted(len(decided) - len(blind), 'decision that is not blind was', 'decisions that are not blind were')} left out: "
            "no random sample"
        )
    return blind


def estimate_themes(
    table: CodingsTable,
    book: Codebook,
    sample: Sequence[DecidedComment],
    *,
    seed: int,
    notes: list[str],
    problems: list[Problem],
    weigh: Weigh | None = None,
) -> dict[ThemeId, Prevalence]:
    """Return the share of each theme of both levels, in the codebook's order; `notes` and `problems` gain what was found."""
    place = {c: i for i, c in enumerate(table.comment_ids)}
    column = {t: k for k, t in enumerate(table.themes)}
    names_of, index = np.unique(np.array(table.respondents), return_inverse=True)
    n = int(index.max()) + 1
    proxy, truth = np.zeros((n, len(table.themes))), np.zeros((n, len(table.themes)), np.bool_)
    np.maximum.at(proxy, index, table.probabilities)
    n_comments = np.bincount(index, minlength=n)
    n_decided = np.zeros(n, np.int64)
    seen: set[str] = set()
    for d in sample:
        if d.comment.id not in place:
            problems.append(
                Problem("not_coded", "the comment is not among the codings", "code it too", row=d.comment.row)
            )
            continue
        if d.comment.id in seen:
            problems.append(
                Problem("second_coder", "another coder decided the comment before", "adjudicate", row=d.comment.row)
            )
            continue
        seen.add(d.comment.id)
        person = index[place[d.comment.id]]
        n_decided[person] += 1
        truth[person, [column[t] for t in d.themes]] = True
    labelled = n_decided == n_comments
    part = int(((n_decided > 0) & ~labelled).sum())
    if part:
        notes.append(
            f"{counted(part, 'respondent counts', 'respondents count')} as not labelled: some comments are decided and others not"
        )
    notes.extend(_say_if_few_wrote_several(n_comments, labelled))
    weights: NDArray[np.float64] | None = None
    if weigh is not None:
        weighed = weigh([str(who) for who in names_of])
        weights = weighed.values
        notes.append(weighed.note)
    estimates: dict[ThemeId, Prevalence] = {}
    for names, columns in _levels(table, book):
        of_proxy = np.stack([proxy[:, c].max(axis=1) for c in columns], axis=1)
        of_truth = np.stack([truth[:, c].any(axis=1) for c in columns], axis=1)
        ranked = [i for i, name in enumerate(names) if not book.get_theme(name).residual]
        found = estimate_prevalence(
            of_proxy, of_truth, labelled, n_comments=n_comments, weights=weights, ranked=ranked, seed=seed
        )
        estimates |= dict(zip(map(ThemeId, names), found, strict=True))
    return {t.id: estimates[t.id] for t in book.themes if t.id in estimates}


def _say_if_few_wrote_several(n_comments: NDArray[np.int64], labelled: NDArray[np.bool_]) -> list[str]:
    """Return a note if people with several comments are far rarer among the labelled than among all: comments were drawn, not people."""
    several = n_comments > 1
    found, expected = int(several[labelled].sum()), float(several.mean() * labelled.sum())
    if expected < _ENOUGH or found >= expected / 2:
        return []
    return [
        f"{several.mean():.0%} of respondents wrote several comments, but only {found} of the {int(labelled.sum())} who were read in full: "
        "what they raise counts for too little; draw people with all their comments, as `themes round start` does"
    ]


def _levels(table: CodingsTable, book: Codebook) -> list[tuple[list[str], list[list[int]]]]:
    """Return the themes of each level with their columns: those that comments are coded with, and those above, if any."""
    column: Mapping[str, int] = {t: k for k, t in enumerate(table.themes)}
    codable = [t for t in book.codable if t.id in column]
    lower = ([str(t.id) for t in codable], [[column[t.id]] for t in codable])
    parents = list(dict.fromkeys(t.parent for t in codable if t.parent is not None))
    upper = (
        [str(p) for p in parents],
        [[column[t.id] for t in codable if t.parent == p] for p in parents],
    )
    return [lower, upper] if parents else [lower]
