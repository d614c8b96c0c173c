"""A round: which comments people look at, what they are shown, and what their answers in Label Studio's export come to.

Everything here is a plain function of a round's plan and of an export. Whatever happened on the way there, lost calls, edits,
deletions, the same answer twice, only what the export holds counts.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from annotation.display import Display, Swap
from annotation.interface import (
    EVIDENCE,
    MISSING,
    NONE,
    TEXT,
    THEMES,
    UNSURE,
    make_result,
    sides_line,
    suggestion_line,
)
from models.codebook import codebook_from_document, codebook_to_document
from models.counts import counted
from models.vocabulary import Codebook, Comment, CommentId, Problem, RespondentId, Segment, ThemeId, ThemesError

FORMAT: Final = 1
KEY_CHARS: Final = 32
MAX_MISSING_CHARS: Final = 500
ADJUDICATED: Final = "adjudicated"
"""The coder of what was settled after coders disagreed."""


class RoundError(ThemesError):
    """A round cannot be started, read or closed."""

    code = "round_refused"


class Kind(StrEnum):
    """The projects of a round."""

    BLIND = "blind"
    ASSISTED = "assisted"
    ADJUDICATION = "adjudication"


@dataclass(frozen=True, slots=True)
class Suggested:
    """What the model suggests for one comment, shown or not: what it coded, with evidence, and what it is unsure about."""

    coded: tuple[tuple[ThemeId, float, tuple[Segment, ...]], ...] = ()
    unsure: tuple[tuple[ThemeId, float], ...] = ()
    probabilities: tuple[tuple[ThemeId, float], ...] = ()
    """Of every theme; never sent."""


@dataclass(frozen=True, slots=True)
class Task:
    """A comment in one project of a round."""

    key: str
    """Hash of the round, the project's kind, the comment and what is shown: how an answer finds its way back."""
    kind: Kind
    comment: Comment
    display: Display
    suggested: Suggested
    sides: tuple[tuple[str, tuple[ThemeId, ...]], ...] = ()
    """For adjudication: what each coder said, by turns named "Coder 1" and so on."""
    blind: bool = False
    """Whether the people who decide it see no suggestion."""


@dataclass(frozen=True, slots=True)
class Round:
    """What was planned, and where it was put."""

    id: str
    codebook: Codebook
    model: str
    tasks: tuple[Task, ...]
    coders: int
    overlap: float
    seed: int
    shows_question: bool = False
    url: str = ""
    projects: tuple[tuple[Kind, int], ...] = ()

    def of(self, kind: Kind) -> tuple[Task, ...]:
        """Return the tasks of one project, in the order in which they are shown."""
        return tuple(t for t in self.tasks if t.kind is kind)

    def find_project(self, kind: Kind) -> int | None:
        """Return a project's id on the server, or None if it was not made yet."""
        return dict(self.projects).get(kind)

    def with_project(self, kind: Kind, project: int) -> "Round":
        """Return the round with a project's id."""
        return replace(self, projects=tuple(sorted({**dict(self.projects), kind: project}.items())))

    def mark(self, kind: Kind) -> str:
        """Return what a project's description holds, so that it is found again."""
        return f"themes-round:{self.id}:{kind}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one coder last said of one task. Without themes it is no decision: a skip, or unsure."""

    task: Task
    coder: str
    themes: frozenset[ThemeId] | None
    evidence: tuple[tuple[ThemeId, tuple[Segment, ...]], ...]
    """Slices of the comment as it came in."""
    missing: str
    """A theme that the codebook lacks, in the coder's words."""
    seconds: float | None
    decided_at: datetime | None
    why: str = ""
    """`skipped` or `unsure`, where there are no themes."""
    tentative: frozenset[ThemeId] = frozenset()
    """Themes ticked together with unsure."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What an export of a project comes to."""

    answers: tuple[Answer, ...]
    problems: tuple[Problem, ...]


def make_key(round_id: str, kind: Kind, comment_id: str, shown: str) -> str:
    """Return the id of a task."""
    return _digest([round_id, kind.value, comment_id, shown])[:KEY_CHARS]


def make_round(
    *,
    blind: Sequence[tuple[Comment, Display, Suggested]],
    assisted: Sequence[tuple[Comment, Display, Suggested]],
    codebook: Codebook,
    model: str,
    coders: int,
    overlap: float,
    seed: int,
    shows_question: bool = False,
) -> Round:
    """Return the plan of a round; its id is a hash of all of it, so that the same plan is the same round.

    Raises
    ------
    RoundError
        If a comment is in it twice.
    """
    comments = [(c, d) for c, d, _ in (*blind, *assisted)]
    if len({c.id for c, _ in comments}) != len(comments):
        raise RoundError(
            "a comment is in the round twice.", allowed="each comment once.", next_step="report it: this is our fault."
        )
    plan = [
        [c.id, d.text, c.text] for c, d in comments
    ] + [len(blind), codebook_to_document(codebook), model, coders, overlap, seed, shows_question]  # fmt: skip
    round_id = _digest(plan)[:12]

    def task(kind: Kind, comment: Comment, display: Display, suggested: Suggested) -> Task:
        key = make_key(round_id, kind, comment.id, display.text)
        return Task(key, kind, comment, display, suggested, blind=kind is Kind.BLIND)

    tasks = (
        *(task(Kind.BLIND, c, d, s) for c, d, s in blind),
        *(task(Kind.ASSISTED, c, d, s) for c, d, s in assisted),
    )
    return Round(round_id, codebook, model, tasks, coders, overlap, seed, shows_question)


def project_settings(round_: Round, kind: Kind, interface: str) -> dict[str, Any]:
    """Return the settings of a project that is being filled; `READY` says that it is."""
    shared = kind is not Kind.ADJUDICATION and round_.coders > 1 and round_.overlap > 0
    return {
        "title": f"Being prepared: round {round_.id}, {kind}",
        "description": f"{_ABOUT[kind]} {round_.mark(kind)}",
        "label_config": interface,
        "expert_instruction": _INSTRUCTION[kind],
        "show_instruction": True,
        "show_skip_button": True,
        "enable_empty_annotation": False,
        "show_collab_predictions": kind is not Kind.BLIND,
        "sampling": "Sequential sampling",
        "maximum_annotations": round_.coders if shared else 1,
        "overlap_cohort_percentage": max(1, round(100 * round_.overlap)) if shared else 100,
        "show_overlap_first": False,
    }


def ready_settings(round_: Round, kind: Kind) -> dict[str, Any]:
    """Return what changes once all tasks of a project are there."""
    shown = {} if kind is Kind.BLIND else {"model_version": _version(round_, kind)}
    return {"title": f"Round {round_.id}, {kind}", "is_published": True, **shown}


_ABOUT: Final = {
    Kind.BLIND: "Comments drawn at random; no suggestions are shown.",
    Kind.ASSISTED: "Comments worth a look; the model's suggestions are shown.",
    Kind.ADJUDICATION: "Comments on which coders disagree or were unsure.",
}
_ASK: Final = (
    "Tick every theme that the comment raises, and no other. If none applies, tick 'None of these'. If you cannot tell, tick "
    "'Unsure'. Hold the pointer over a theme to see what belongs to it."
)
_INSTRUCTION: Final = {
    Kind.BLIND: _ASK,
    Kind.ASSISTED: f"{_ASK} Themes that the model suggests are ticked already: take out what is wrong, add what is missing.",
    Kind.ADJUDICATION: f"{_ASK} You see what each coder said; your answer settles it.",
}


def _version(round_: Round, kind: Kind) -> str:
    return "what all coders said" if kind is Kind.ADJUDICATION else round_.model


def task_document(round_: Round, task: Task) -> dict[str, Any]:
    """Return a task as Label Studio imports it. The comment's id and respondent stay here."""
    data: dict[str, Any] = {"key": task.key, TEXT: task.display.text}
    document: dict[str, Any] = {"data": data}
    if round_.shows_question:
        data["question"] = task.comment.question or ""
    if task.kind is Kind.ASSISTED:
        coded = [(t, p, _shown(task.display, evidence)) for t, p, evidence in task.suggested.coded]
        data["suggested"] = suggestion_line(round_.codebook, [(t, p) for t, p, _ in coded], task.suggested.unsure)
        score = max((p for _, p, _ in coded), default=0.0)
        document["predictions"] = [
            {"model_version": round_.model, "score": score, "result": make_result(coded, task.display.text)}
        ]
    if task.kind is Kind.ADJUDICATION:
        data["sides"] = sides_line(round_.codebook, dict(task.sides))
        agreed = set.intersection(*(set(themes) for _, themes in task.sides)) if task.sides else set()
        result = make_result([(t, 1.0, ()) for t in sorted(agreed)], task.display.text)
        document["predictions"] = [{"model_version": _version(round_, task.kind), "score": 1.0, "result": result}]
    return document


def _shown(display: Display, evidence: Sequence[Segment]) -> list[Segment]:
    return [shown for segment in evidence if (shown := display.to_display(segment)) is not None]


def keys_in(export: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the keys of the tasks in an export."""
    return {str(key) for key in (_data(t).get("key") for t in export) if isinstance(key, str)}


def tasks_with(keys: Iterable[str], export: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return the server's own numbers of the tasks in an export that have one of the keys."""
    wanted = set(keys)
    return [t["id"] for t in export if _data(t).get("key") in wanted and isinstance(t.get("id"), int)]


def read_export(
    tasks: Sequence[Task], codebook: Codebook, export: Sequence[Mapping[str, Any]], users: Mapping[int, str]
) -> Pulled:
    """Return the last word of each coder on each task, in the order of the tasks and then of the coders.

    Parameters
    ----------
    tasks
        The planned tasks of the project.
    codebook
        The round's codebook: themes outside it are problems.
    export
        What the server says, in any order.
    users
        E-mail addresses by id.
    """
    planned = {t.key: t for t in tasks}
    problems: list[Problem] = []
    last: dict[tuple[str, str], tuple[tuple[str, int], Mapping[str, Any]]] = {}
    seen: set[str] = set()
    for row, found in enumerate(export, 1):
        data = _data(found)
        key = data.get("key")
        task = planned.get(key) if isinstance(key, str) else None
        annotations = found.get("annotations")
        if task is None or data.get(TEXT) != task.display.text:
            code, what = ("unplanned_task", "a task that the round did not plan") if task is None else (
                "changed_task", "a task whose text was changed after the start")  # fmt: skip
            problems.append(Problem(code, what, "its answers are left out; delete it in Label Studio", row=row))
            continue
        seen.add(task.key)
        for annotation in annotations if isinstance(annotations, list) else []:
            if not isinstance(annotation, dict) or not isinstance(annotation.get("id"), int):
                problems.append(_malformed(row, "it has no id"))
                continue
            coder = _coder(annotation, users)
            if coder is None:
                problems.append(
                    Problem("no_coder", "an answer that names nobody", "its account was deleted; ask again", row=row)
                )
                continue
            when = (str(annotation.get("updated_at") or ""), annotation["id"])
            before = last.get((task.key, coder))
            if before is not None:
                problems.append(
                    Problem(
                        "replaced_answer",
                        f"the task has two answers of one coder ({coder}); the later counts",
                        "nothing to do",
                        row=row,
                    )
                )
            if before is None or when > before[0]:
                last[task.key, coder] = when, annotation
    gone = len(planned) - len(seen)
    if gone:
        problems.append(
            Problem("missing_task", f"{counted(gone, 'task of the round is', 'tasks of the round are')} not on the server any more", "give `themes round start` again to put them back")
        )  # fmt: skip
    codable = {t.id for t in codebook.codable}
    place = {t.key: i for i, t in enumerate(tasks)}
    answers: list[Answer] = []
    for (key, coder), (_, annotation) in sorted(last.items(), key=lambda item: (place[item[0][0]], item[0][1])):
        answer, more = _read_answer(planned[key], coder, annotation, codable, place[key] + 1)
        problems.extend(more)
        if answer is not None:
            answers.append(answer)
    return Pulled(tuple(answers), tuple(problems))


def _read_answer(
    task: Task, coder: str, annotation: Mapping[str, Any], codable: set[ThemeId], row: int
) -> tuple[Answer | None, list[Problem]]:
    problems: list[Problem] = []
    seconds, at = annotation.get("lead_time"), _time(annotation.get("updated_at"))
    spent = round(float(seconds), 1) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
    empty = Answer(task, coder, None, (), "", spent, at)
    if annotation.get("was_cancelled"):
        return replace(empty, why="skipped"), problems
    result = annotation.get("result")
    if not isinstance(result, list):
        return None, [_malformed(row, "it has no result")]
    chosen: set[str] = set()
    marks: dict[ThemeId, set[Segment]] = {}
    missing: list[str] = []
    for item in result:
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(value, dict):
            return None, [_malformed(row, "a part of it is no object")]
        name = item.get("from_name")
        if name == THEMES:
            chosen.update(_texts(value.get("choices")))
        elif name == MISSING:
            missing.extend(" ".join(t.split())[:MAX_MISSING_CHARS] for t in _texts(value.get("text")))
        elif name == EVIDENCE:
            labels, segment = _texts(value.get("labels")), _segment(task.display, value)
            if segment is None or not set(labels) <= codable:
                problems.append(
                    Problem(
                        "bad_evidence",
                        "marked words that are not in the comment, or no theme's",
                        "the mark is left out",
                        row=row,
                    )
                )
                continue
            for label in labels:
                marks.setdefault(ThemeId(label), set()).add(segment)
    unknown = sorted(chosen - codable - {NONE, UNSURE})
    if unknown:
        problems.append(
            Problem("unknown_theme", f"{unknown[0][:60]!r} is no theme of the codebook", "its answer is left out; answer again", row=row)
        )  # fmt: skip
        return None, problems
    themes = frozenset(ThemeId(t) for t in chosen & codable)
    if UNSURE in chosen:
        return replace(empty, why="unsure", tentative=themes, missing="; ".join(missing)), problems
    if (NONE in chosen) == bool(themes):
        found = "themes and 'none of these' together" if themes else "no theme, and not 'none of these' either"
        problems.append(Problem("unclear_answer", found, "its answer is left out; answer again", row=row))
        return None, problems
    evidence = tuple((t, tuple(sorted(marks[t]))) for t in sorted(marks) if t in themes)
    return replace(empty, themes=themes, evidence=evidence, missing="; ".join(missing)), problems


def decision_line(round_: Round, answer: Answer) -> dict[str, Any]:
    """Return an answer as a line of a decisions file, with its provenance. It must have themes."""
    task = answer.task
    return _line(
        round_, task, sorted(answer.themes or ()), answer.coder,
        evidence=[[t, [[s.start, s.end] for s in segments]] for t, segments in answer.evidence],
        seconds=answer.seconds, decided_at=answer.decided_at, missing=answer.missing,
    )  # fmt: skip


def _line(
    round_: Round,
    task: Task,
    themes: Sequence[ThemeId],
    coder: str,
    *,
    evidence: Sequence[Any] = (),
    seconds: float | None = None,
    decided_at: datetime | None = None,
    missing: str = "",
    history: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    comment = task.comment
    line: dict[str, Any] = {"comment_id": comment.id, "text": comment.text, "themes": list(themes)}
    line |= {"group": comment.respondent} if comment.respondent is not None else {}
    line |= {"question": comment.question} if comment.question is not None else {}
    line |= {"coder": coder, "blind": task.blind, "kind": task.kind.value}
    line |= {"decided_at": decided_at.isoformat() if decided_at is not None else None, "seconds": seconds}
    line |= {"evidence": dict(evidence)} if evidence else {}
    line |= {"missing_theme": missing} if missing else {}
    shown = task.suggested if task.kind is Kind.ASSISTED else Suggested()
    line["suggested"] = {t: p for t, p, _ in shown.coded} if task.kind is Kind.ASSISTED else None
    line |= {"model": round_.model, "codebook": round_.codebook.ref, "round": round_.id, "key": task.key}
    line |= {"history": list(history)} if history else {}
    return line


@dataclass(frozen=True, slots=True)
class Settled:
    """Where each comment stands after all coders were heard."""

    lines: tuple[dict[str, Any], ...]
    """One decision a comment: what all its coders say, or what was adjudicated."""
    open: tuple[Task, ...]
    """Adjudication tasks of comments on which coders disagree or were unsure, and nobody settled it yet."""
    n_agreed: int
    n_adjudicated: int


def settle(round_: Round, answers: Sequence[Answer], outcomes: Sequence[Answer]) -> Settled:
    """Return one decision for each comment that is decided, with its history, and what is left to adjudicate.

    Parameters
    ----------
    round_
        The round.
    answers
        Of the blind and the assisted project.
    outcomes
        Of the third project. Where several people adjudicated, the latest outcome counts.
    """
    said: dict[CommentId, list[Answer]] = {}
    for answer in answers:
        if answer.themes is not None or answer.why == "unsure":
            said.setdefault(answer.task.comment.id, []).append(answer)
    outcome: dict[CommentId, Answer] = {}
    for answer in sorted(
        (o for o in outcomes if o.themes is not None), key=lambda o: (o.decided_at or _EPOCH, o.coder)
    ):
        outcome[answer.task.comment.id] = answer
    lines: list[dict[str, Any]] = []
    left: list[Task] = []
    n_agreed = n_adjudicated = 0
    for task in round_.tasks:
        mine, final = said.get(task.comment.id, []), outcome.get(task.comment.id)
        if final is not None:
            n_adjudicated += 1
            lines.append(_adjudicated_line(round_, task, mine, final))
        elif mine and len({a.themes for a in mine}) == 1 and mine[0].themes is not None:
            n_agreed += len(mine) > 1
            one = mine[0]
            history = [_said(a) for a in mine] if len(mine) > 1 else []
            line = decision_line(round_, one)
            lines.append(line | ({"history": history, "coder": " + ".join(a.coder for a in mine)} if history else {}))
        elif mine:
            left.append(_adjudication_task(round_, task, mine))
    return Settled(tuple(lines), tuple(left), n_agreed, n_adjudicated)


def _adjudicated_line(round_: Round, task: Task, mine: Sequence[Answer], final: Answer) -> dict[str, Any]:
    history = [*(_said(a) for a in mine), _said(final)]
    return _line(
        round_, task, sorted(final.themes or ()), ADJUDICATED,
        evidence=[[t, [[s.start, s.end] for s in segments]] for t, segments in final.evidence],
        seconds=final.seconds, decided_at=final.decided_at, missing=final.missing, history=history,
    )  # fmt: skip


def _said(answer: Answer) -> dict[str, Any]:
    return {
        "coder": answer.coder,
        "kind": answer.task.kind.value,
        "themes": sorted(answer.themes if answer.themes is not None else answer.tentative),
        "unsure": answer.why == "unsure",
        "decided_at": answer.decided_at.isoformat() if answer.decided_at is not None else None,
    }


def _adjudication_task(round_: Round, task: Task, mine: Sequence[Answer]) -> Task:
    sides = tuple(
        (
            f"Coder {i}" + (" (unsure)" if a.why == "unsure" else ""),
            tuple(sorted(a.themes if a.themes is not None else a.tentative)),
        )
        for i, a in enumerate(mine, 1)
    )
    key = make_key(round_.id, Kind.ADJUDICATION, task.comment.id, task.display.text)
    return Task(key, Kind.ADJUDICATION, task.comment, task.display, Suggested(), sides, task.blind)


def round_document(round_: Round) -> dict[str, Any]:
    """Return a round without its tasks, as JSON holds it."""
    return {
        "format": FORMAT, "round": round_.id, "url": round_.url, "projects": {k.value: p for k, p in round_.projects},
        "model": round_.model, "coders": round_.coders, "overlap": round_.overlap, "seed": round_.seed,
        "shows_question": round_.shows_question, "codebook": codebook_to_document(round_.codebook),
    }  # fmt: skip


def stored_task(task: Task) -> dict[str, Any]:
    """Return a task as the round's folder holds it."""
    c = task.comment
    return {
        "key": task.key, "kind": task.kind.value, "comment_id": c.id, "text": c.text, "question": c.question,
        "group": c.respondent, "row": c.row, "session": c.session, "blind": task.blind,
        "swaps": [[s.start, s.end, s.shown] for s in task.display.swaps], "shown": task.display.text,
        "coded": [[t, p, [[s.start, s.end] for s in evidence]] for t, p, evidence in task.suggested.coded],
        "unsure": [[t, p] for t, p in task.suggested.unsure],
        "probabilities": dict(task.suggested.probabilities), "sides": [[who, list(themes)] for who, themes in task.sides],
    }  # fmt: skip


def round_from_document(document: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]]) -> Round:
    """Return the round that `round_document` and `stored_task` wrote.

    Raises
    ------
    RoundError
        If it is of another format, or not whole.
    """
    if document.get("format") != FORMAT:
        raise RoundError(
            "the round's folder is of another version.", allowed=f"format {FORMAT}.", next_step="start a new round."
        )
    try:
        read = tuple(_task(t) for t in tasks)
        projects = tuple(sorted((Kind(k), int(p)) for k, p in document["projects"].items()))
        return Round(
            str(document["round"]), codebook_from_document(document["codebook"]), str(document["model"]), read,
            int(document["coders"]), float(document["overlap"]), int(document["seed"]), bool(document["shows_question"]),
            str(document["url"]), projects,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RoundError(
            f"the round's folder is not whole ({type(error).__name__}).",
            allowed="what `themes round start` wrote.",
            next_step="give `themes round start` again with the same files and options.",
        ) from error


def _task(entry: Mapping[str, Any]) -> Task:
    group = entry["group"]
    comment = Comment(
        CommentId(entry["comment_id"]), entry["text"], entry["question"], RespondentId(group) if group is not None else None,
        entry["row"], entry["session"],
    )  # fmt: skip
    coded = tuple(
        (ThemeId(t), float(p), tuple(Segment(s, e) for s, e in evidence)) for t, p, evidence in entry["coded"]
    )
    return Task(
        entry["key"],
        Kind(entry["kind"]),
        comment,
        Display(entry["shown"], tuple(Swap(s, e, shown) for s, e, shown in entry["swaps"])),
        Suggested(
            coded,
            tuple((ThemeId(t), float(p)) for t, p in entry["unsure"]),
            tuple((ThemeId(t), float(p)) for t, p in entry["probabilities"].items()),
        ),
        tuple((who, tuple(ThemeId(t) for t in themes)) for who, themes in entry["sides"]),
        bool(entry["blind"]),
    )


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def _data(task: Mapping[str, Any]) -> Mapping[str, Any]:
    data = task.get("data")
    return data if isinstance(data, dict) else {}


def _coder(annotation: Mapping[str, Any], users: Mapping[int, str]) -> str | None:
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("id")
    if not isinstance(who, int) or isinstance(who, bool):
        return None
    return users.get(who) or f"user-{who}"


def _texts(value: Any) -> list[str]:
    return [v for v in _flat(value) if isinstance(v, str)]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for v in value:
            yield v[-1] if isinstance(v, list) and v else v
    elif value is not None:
        yield value


def _segment(display: Display, value: Mapping[str, Any]) -> Segment | None:
    start, end = _offset(value.get("start")), _offset(value.get("end"))
    if start is None or end is None or not 0 <= start < end <= len(display.text):
        return None
    return display.to_original(Segment(start, end))


def _offset(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value) if len(value) < 10 else None  # noqa: PLR2004 -- no comment is that long
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)


def _malformed(row: int, why: str) -> Problem:
    return Problem("malformed_answer", f"an answer that cannot be read: {why}", "it is left out; answer again", row=row)
