"""The use case: comments to people in Label Studio, their answers back, disagreements settled, a better model from them."""

import contextlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout

from annotation.agreement import (
    Agreement,
    Drift,
    Sway,
    make_answers,
    measure_agreement,
    measure_drift,
    measure_sway,
    to_document,
)
from annotation.display import Display, Swap, make_display
from annotation.interface import make_interface
from annotation.label_studio import LabelStudio, NothingThereError
from annotation.progress import Outlook, expect_gain, measure_curve, suggest
from annotation.queue import Pick, draw_blind_sample, order_queue
from annotation.round import (
    Answer,
    Kind,
    Pulled,
    Round,
    RoundError,
    Settled,
    Suggested,
    Task,
    decision_line,
    keys_in,
    make_round,
    project_settings,
    read_export,
    ready_settings,
    settle,
    task_document,
    tasks_with,
)
from annotation.vectors import make_vectors
from models.artefact import STARTER, Artefact, read_artefact
from models.counts import counted
from models.vocabulary import Comment, CommentId, Decision, Problem, Segment, Suggestion, ThemeId, Verdict
from nlp_service.estimate_shares import CodingsTable, read_codings
from nlp_service.find_model import find_model
from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.privacy.redaction import find_personal_data
from nlp_service.round_folder import (
    AGREEMENT,
    DECISIONS,
    PROBLEMS,
    SETTLED,
    find_round,
    read_erased,
    read_round,
    with_adjudication,
    without_erased,
    write_erased,
    write_json,
    write_lines,
    write_round,
)

MAX_SHOWN_CHARS: Final = 200_000
_EDGE: Final = 1e-6


class RoundBusyError(RoundError):
    """Another process works on the same round."""

    code = "round_busy"


@dataclass(frozen=True, slots=True)
class Server:
    """Which Label Studio, and as whom."""

    url: str
    token: str = field(repr=False)
    timeout_s: float = 60.0
    webhook: str | None = None
    """Where it shall call when something changes: the service's `/label-studio/webhook`."""
    secret: str | None = field(default=None, repr=False)
    """What it shows there."""

    def connect(self) -> LabelStudio:
        """Return a client."""
        return LabelStudio(self.url, self.token, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True)
class Source:
    """Files with comments, and how to read them, as for `themes code`."""

    files: tuple[Path, ...]
    reading_options: ReadingOptions = field(default_factory=ReadingOptions)


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What an analyst asks for."""

    codings: Path
    source: Source
    out: Path
    registry: Path
    labels: int
    """Comments to look at, both projects together."""
    coders: int = 2
    overlap: float = 0.2
    """Share of each project's comments that `coders` people decide; one does the others."""
    blind_share: float = 0.3
    """Share of the comments that is drawn at random and shown without suggestions."""
    model: str | None = None
    """The model of the codings, if it is not the shipped one or in the registry."""
    seed: int = 0
    shows_question: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """What came of it."""

    round: Round
    n_added: int
    """Tasks that were not on the server before."""
    notes: tuple[str, ...]


def start_round(request: StartRequest, server: Server) -> Started:
    """Put a round on a server: the same request again completes it and doubles nothing.

    Projects are titled "Being prepared" until every task is in them. If that fails, those that this call made are deleted, as far as
    the server lets it; what could not be deleted is found again by the next start. The folder is written last.

    Raises
    ------
    ThemesError
        If a file, the model or the server cannot be used, or another round lies in the folder.
    """
    notes: list[str] = []
    plan = _plan(request, notes)
    with locked(request.out):
        before = find_round(request.out)
        if before is not None and before.id != plan.id:
            raise RoundError(
                f"{request.out.name} holds another round ({before.id}; this would be {plan.id}).",
                allowed="a new folder, or the one of the same round, to complete it.",
                next_step="change --out, or give the files and options that the round was started with.",
            )
        if before is not None:
            plan = with_adjudication(replace(plan, projects=before.projects), before.of(Kind.ADJUDICATION))
            plan = without_erased(plan, request.out)
        plan = replace(plan, url=server.url)
        n_added = 0
        with server.connect() as studio:
            studio.who_am_i()
            made: list[int] = []
            try:
                for kind in (Kind.BLIND, Kind.ASSISTED):
                    if plan.of(kind):
                        project, added = _fill_project(studio, server, plan, kind, made)
                        plan, n_added = plan.with_project(kind, project), n_added + added
            except BaseException:
                _delete(studio, made)
                raise
        write_round(request.out, plan)
    return Started(plan, n_added, tuple(notes))


def _fill_project(studio: LabelStudio, server: Server, plan: Round, kind: Kind, made: list[int]) -> tuple[int, int]:
    found = studio.find_projects(plan.mark(kind))
    if len(found) > 1:
        raise RoundError(
            f"the server has {len(found)} projects of round {plan.id}, {kind}.",
            allowed="one.",
            next_step="delete the one without answers in Label Studio, then give the same command again.",
        )
    if found:
        project = int(found[0]["id"])
    else:
        interface = make_interface(
            plan.codebook,
            suggestions=kind is Kind.ASSISTED,
            question=plan.shows_question,
            sides=kind is Kind.ADJUDICATION,
        )
        project = studio.make_project(project_settings(plan, kind, interface))
        made.append(project)
    tasks = plan.of(kind)
    there = keys_in(studio.export(project)) if found else set()
    missing = [t for t in tasks if t.key not in there]
    studio.import_tasks(project, [task_document(plan, t) for t in missing])
    if missing:
        left = {t.key for t in tasks} - keys_in(studio.export(project))
        if left:
            raise RoundError(
                f"of {counted(len(tasks), 'task')} that the server took, {counted(len(left), 'is', 'are')} not there.",
                allowed="all of them.",
                next_step="give the same command again; nothing is doubled.",
            )
    if server.webhook is not None and server.secret is not None:
        studio.add_webhook(project, server.webhook, server.secret)
    studio.change_project(project, ready_settings(plan, kind))
    return project, len(missing)


def _delete(studio: LabelStudio, projects: Sequence[int]) -> None:
    for project in projects:
        with contextlib.suppress(Exception):  # the first error is the one to tell; the next start finds what is left
            studio.delete_project(project)


def _plan(request: StartRequest, notes: list[str]) -> Round:
    table = read_codings(request.codings)
    artefact = _artefact(request, table)
    reading = read_comments(request.source.files, request.source.reading_options)
    comments = {c.id: c for c in reading.comments}
    absent = [i for i in table.comment_ids if CommentId(i) not in comments]
    if absent:
        raise RoundError(
            f"of {counted(len(table.comment_ids), 'coding')}, {counted(len(absent), 'is of a comment', 'are of comments')} that the files do not hold.",
            allowed="the files, in the order and with the columns, that the codings were made from.",
            next_step="give the same files, with the same options for reading them (--text, --id, --role, --mapping, --sheet) as to `themes code`.",
        )
    if request.labels > len(table.comment_ids):
        notes.append(
            f"{counted(len(table.comment_ids), 'comment is there: it is', 'comments are there: all of them are')} in the round"
        )
    long = {i for i in table.comment_ids if len(comments[CommentId(i)].text) > MAX_SHOWN_CHARS}
    if long:
        notes.append(
            f"{counted(len(long), 'comment is', 'comments are')} too long to show (over {MAX_SHOWN_CHARS} characters) and left out"
        )
    candidates = [comments[CommentId(i)] for i in table.comment_ids if i not in long]
    n_all = min(request.labels, len(candidates))
    n_blind, people = round(n_all * request.blind_share), [c.respondent for c in candidates]
    drawn = draw_blind_sample([c.id for c in candidates], n_blind, seed=request.seed, respondents=people)
    blind = [comments[i] for i in drawn]
    rest = [c for c in candidates if c.id not in set(drawn)]
    picks = _queue(table, artefact, rest, n_all - len(blind), request.seed)
    reasons = Counter(p.reason.value for p in picks)
    notes.extend(
        [f"assisted comments by reason: {', '.join(f'{n} {why}' for why, n in reasons.items())}"] if picks else []
    )
    queue = [comments[p.comment_id] for p in picks]
    suggested = _suggestions(request.codings, {c.id for c in (*blind, *queue)})
    shown = dict(zip([c.id for c in (*blind, *queue)], _displays([*blind, *queue]), strict=True))
    return make_round(
        blind=[(c, shown[c.id], suggested[c.id]) for c in blind],
        assisted=[(c, shown[c.id], suggested[c.id]) for c in queue],
        codebook=artefact.codebook,
        model=table.model,
        coders=request.coders,
        overlap=request.overlap,
        seed=request.seed,
        shows_question=request.shows_question and any(c.question for c in candidates),
    )


def _queue(table: CodingsTable, artefact: Artefact, rest: Sequence[Comment], n: int, seed: int) -> tuple[Pick, ...]:
    """Return the picks of the assisted project, in the order in which people see them."""
    row = {CommentId(i): k for k, i in enumerate(table.comment_ids)}
    threshold = dict(zip((t.id for t in artefact.codebook.codable), artefact.calibration.threshold, strict=True))
    return order_queue(
        [c.id for c in rest],
        table.probabilities[[row[c.id] for c in rest]],
        np.clip([threshold[ThemeId(t)] for t in table.themes], _EDGE, 1 - _EDGE),
        make_vectors([c.text for c in rest]),
        themes=[ThemeId(t) for t in table.themes],
        budget=n,
        seed=seed,
    )


def _displays(comments: Sequence[Comment]) -> list[Display]:
    """Return what is shown of each comment: personal data replaced."""
    return [
        make_display(c.text, [Swap(f.start, f.end, f.replacement) for f in find_personal_data(c.text)])
        for c in comments
    ]


def _suggestions(codings: Path, wanted: set[CommentId]) -> dict[CommentId, Suggested]:
    found: dict[CommentId, Suggested] = {}
    with codings.open(encoding="utf-8-sig") as file:
        for line in file:
            entry: dict[str, Any] = json.loads(line) if line.strip() else {}
            comment_id = CommentId(str(entry.get("comment_id")))
            if comment_id not in wanted:
                continue
            try:
                coded = tuple(
                    (ThemeId(c["theme"]), float(c["probability"]), tuple(Segment(s, e) for s, e in c["evidence"]))
                    for c in entry["themes"]
                )
                unsure = tuple((ThemeId(t), float(entry["probabilities"][t])) for t in entry["unsure"])
                all_of_them = tuple((ThemeId(t), float(p)) for t, p in entry["probabilities"].items())
            except (KeyError, TypeError, ValueError) as error:
                raise RoundError(
                    f"{codings.name} holds a line whose themes cannot be read ({type(error).__name__}).",
                    allowed="lines as `themes code --out FILE.jsonl` writes them.",
                    next_step="code the comments again into a .jsonl file.",
                ) from error
            found[comment_id] = Suggested(coded, unsure, all_of_them)
    return found


def _artefact(request: StartRequest, table: CodingsTable) -> Artefact:
    if request.model is not None:
        artefact = read_artefact(find_model(request.registry, request.model))
    else:
        artefact = read_artefact(STARTER)
        if artefact.model_id != table.model:
            artefact = read_artefact(find_model(request.registry, table.model))
    if artefact.model_id != table.model:
        raise RoundError(
            f"{request.codings.name} was made by {table.model}, and the model is {artefact.model_id}.",
            allowed="the model that made the codings.",
            next_step="code the comments again with this model, or leave --model out.",
        )
    return artefact


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a round for oneself; RoundBusyError if another process does."""
    if not folder.parent.is_dir():
        raise RoundError(
            f"{folder.name} cannot be written there: the folder above does not exist.",
            allowed="a new folder in one that exists.",
            next_step="make the folder above first, or change --out.",
        )
    lock = folder.with_name(f".{folder.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            yield
            lock.unlink(missing_ok=True)
    except Timeout as error:
        raise RoundBusyError(
            "another process works on this round.", allowed="one at a time.", next_step="try again when it is done."
        ) from error
    except BaseException:
        lock.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class PulledRound:
    """What the server holds of a round, read now."""

    round: Round
    answers: tuple[Answer, ...]
    """Of the blind and the assisted project."""
    outcomes: tuple[Answer, ...]
    problems: tuple[tuple[Kind, Problem], ...]
    settled: Settled


def pull_round(folder: Path, server: Server) -> PulledRound:
    """Read the export of every project and write decisions, settled decisions, agreement and problems into the round's folder.

    What is written depends on the exports alone: the same exports give the same bytes, whatever was pulled before.

    Raises
    ------
    ThemesError
        If the round or the server cannot be used. The files stay as they were then.
    """
    with locked(folder):
        delete_erased(folder, server)
        pulled = look_at_round(folder, server)
        decided = [a for a in (*pulled.answers, *pulled.outcomes) if a.themes is not None]
        write_lines(folder / DECISIONS, (decision_line(pulled.round, a) for a in decided))
        write_lines(folder / SETTLED, pulled.settled.lines)
        write_json(folder / AGREEMENT, _agreement(pulled.round, pulled.answers).to_document())
        write_lines(folder / PROBLEMS, (_problem_line(kind, p) for kind, p in pulled.problems))
    return pulled


def delete_erased(folder: Path, server: Server) -> int:
    """Delete from the server what was erased from a round, and return how many tasks those were. The caller holds the round.

    Raises
    ------
    ThemesError
        If the server cannot be used. Given again, it deletes what is left.
    """
    erased, n_tasks = read_erased(folder), 0
    if erased.left:
        round_ = read_round(folder)
        with server.connect() as studio:
            for kind, project in round_.projects:
                for task in _tasks_left(studio, server, round_, kind, project, erased.left):
                    with contextlib.suppress(NothingThereError):
                        studio.delete_task(task)
                    n_tasks += 1
        write_erased(folder, replace(erased, left=frozenset()))
    return n_tasks


def _tasks_left(
    studio: LabelStudio, server: Server, round_: Round, kind: Kind, project: int, keys: Collection[str]
) -> list[int]:
    """Return the tasks of a project that are to go; none where the project was deleted on the server that it was made on."""
    is_other = server.url.rstrip("/") != round_.url.rstrip("/")
    if is_other and project not in {p.get("id") for p in studio.find_projects(round_.mark(kind))}:
        raise RoundError(
            "the server is another than the round was started on, and does not have its projects.",
            allowed="the Label Studio that has the round's projects.",
            next_step="name that one: --url, or THEMES_LABEL_STUDIO_URL.",
        )
    try:
        return tasks_with(keys, studio.export(project))
    except NothingThereError:
        return []


def look_at_round(folder: Path, server: Server) -> PulledRound:
    """Read the export of every project; write nothing."""
    round_ = read_round(folder)
    read: dict[Kind, Pulled] = {}
    with server.connect() as studio:
        users = studio.users()
        for kind, project in round_.projects:
            read[kind] = read_export(round_.of(kind), round_.codebook, studio.export(project), users)
    answers = tuple(a for kind in (Kind.BLIND, Kind.ASSISTED) if kind in read for a in read[kind].answers)
    outcomes = read[Kind.ADJUDICATION].answers if Kind.ADJUDICATION in read else ()
    problems = tuple((kind, p) for kind, pulled in sorted(read.items()) for p in pulled.problems)
    plain = replace(round_, tasks=tuple(t for t in round_.tasks if t.kind is not Kind.ADJUDICATION))
    return PulledRound(round_, answers, outcomes, problems, settle(plain, answers, outcomes))


def _problem_line(kind: Kind, p: Problem) -> dict[str, Any]:
    return {"project": kind.value, "row": p.row, "code": p.code, "found": p.found, "next_step": p.next_step}


def adjudicate_round(folder: Path, server: Server) -> tuple[PulledRound, int]:
    """Put every comment that is open into the third project; return what was pulled and how many tasks are new.

    Raises
    ------
    ThemesError
        If the round or the server cannot be used. Given again, it completes what it left.
    """
    pulled = pull_round(folder, server)
    with locked(folder):
        round_ = with_adjudication(pulled.round, pulled.settled.open)
        if not round_.of(Kind.ADJUDICATION):
            return pulled, 0
        with server.connect() as studio:
            made: list[int] = []
            try:
                project, added = _fill_project(studio, server, round_, Kind.ADJUDICATION, made)
            except BaseException:
                _delete(studio, made)
                raise
        write_round(folder, round_.with_project(Kind.ADJUDICATION, project))
    return pulled, added


@dataclass(frozen=True, slots=True)
class CodersAgreement:
    """How well coders agree: on all comments, without suggestions, with them, over time; and how suggestions sway them."""

    both: Agreement
    blind: Agreement
    assisted: Agreement
    drift: Drift
    sway: Sway

    def to_document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        parts: dict[str, Agreement | Drift | Sway] = {
            "all": self.both,
            "blind": self.blind,
            "assisted": self.assisted,
            "drift": self.drift,
            "sway": self.sway,
        }
        return {name: to_document(part) for name, part in parts.items()}


def _agreement(round_: Round, answers: Sequence[Answer]) -> CodersAgreement:
    themes = [t.id for t in round_.codebook.codable]

    def of(*kinds: Kind) -> list[Decision]:
        return [d for a in answers if a.task.kind in kinds and a.themes is not None for d in _decisions(a, themes)]

    everything = of(Kind.BLIND, Kind.ASSISTED)
    both = make_answers(everything, themes)
    return CodersAgreement(
        measure_agreement(both),
        measure_agreement(make_answers(of(Kind.BLIND), themes)),
        measure_agreement(make_answers(of(Kind.ASSISTED), themes)),
        measure_drift(both),
        measure_sway(
            everything, (s for t in round_.tasks if t.kind is not Kind.ADJUDICATION for s in _said(t)), themes
        ),
    )


def _said(task: Task) -> Iterator[Suggestion]:
    """Yield what the model says of each theme on a task's comment."""
    coded, unsure = {t for t, _, _ in task.suggested.coded}, {t for t, _ in task.suggested.unsure}
    for theme, probability in task.suggested.probabilities:
        verdict = Verdict.UNSURE if theme in unsure else Verdict.YES if theme in coded else Verdict.NO
        yield Suggestion(task.comment.id, theme, verdict, probability)


def _outlook(pulled: PulledRound, agreement: CodersAgreement) -> Outlook:
    """Return whether to go on, from the decisions so far."""
    themes = [t.id for t in pulled.round.codebook.codable]
    lines = pulled.settled.lines
    truth = np.array([[t in line["themes"] for t in themes] for line in lines], np.bool_).reshape(
        len(lines), len(themes)
    )
    curve = measure_curve(make_vectors([line["text"] for line in lines]), truth)
    decided = {a.task.key for a in pulled.answers if a.themes is not None}
    return suggest(
        n_left=sum(t.key not in decided for t in pulled.round.of(Kind.ASSISTED)),
        gain=expect_gain(curve, max(1, len(lines))),
        alpha=agreement.both.alpha,
        ceiling=agreement.both.micro_f1,
        n_positive=dict(zip(themes, truth.sum(axis=0).tolist(), strict=True)),
    )


def _decisions(answer: Answer, themes: Sequence[ThemeId]) -> list[Decision]:
    yes = answer.themes or frozenset()
    task = answer.task
    return [
        Decision(
            task.comment.id, t, Verdict.YES if t in yes else Verdict.NO, answer.coder, answer.decided_at, task.blind
        )
        for t in themes
    ]


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """How far one project is."""

    kind: Kind
    project: int
    n_tasks: int
    n_wanted: int
    """Answers that the coders are asked for, the overlap included."""
    n_answers: int
    n_decided: int
    """Tasks with at least one decision."""
    n_skipped: int
    n_unsure: int
    seconds: float | None
    """Median time for an answer."""


@dataclass(frozen=True, slots=True)
class RoundStatus:
    """How far a round is."""

    round: Round
    projects: tuple[ProjectStatus, ...]
    coders: tuple[tuple[str, int, float | None], ...]
    """Of each coder: name, answers, median seconds."""
    n_agreed: int
    n_adjudicated: int
    n_open: int
    n_problems: int
    agreement: CodersAgreement
    outlook: Outlook
    missing_themes: tuple[tuple[str, int], ...]
    """What coders wrote where the codebook lacks a theme, by how often."""


def round_status(folder: Path, server: Server) -> RoundStatus:
    """Return how far a round is, from the server's export.

    Raises
    ------
    ThemesError
        If the round or the server cannot be used.
    """
    pulled = look_at_round(folder, server)
    everything = (*pulled.answers, *pulled.outcomes)
    by_coder: dict[str, list[Answer]] = {}
    for answer in everything:
        by_coder.setdefault(answer.coder, []).append(answer)
    agreement = _agreement(pulled.round, pulled.answers)
    missing = Counter(" ".join(a.missing.casefold().split()) for a in everything if a.missing)
    return RoundStatus(
        pulled.round,
        tuple(_project_status(pulled.round, kind, project, everything) for kind, project in pulled.round.projects),
        tuple((who, len(answers), _median(answers)) for who, answers in sorted(by_coder.items())),
        pulled.settled.n_agreed,
        pulled.settled.n_adjudicated,
        len(pulled.settled.open),
        len(pulled.problems),
        agreement,
        _outlook(pulled, agreement),
        tuple(missing.most_common()),
    )


def _project_status(round_: Round, kind: Kind, project: int, answers: Sequence[Answer]) -> ProjectStatus:
    mine = [a for a in answers if a.task.kind is kind]
    n = len(round_.of(kind))
    extra = 0 if kind is Kind.ADJUDICATION else round(n * round_.overlap) * (round_.coders - 1)
    return ProjectStatus(
        kind,
        project,
        n,
        n + extra,
        sum(a.themes is not None for a in mine),
        len({a.task.key for a in mine if a.themes is not None}),
        sum(a.why == "skipped" for a in mine),
        sum(a.why == "unsure" for a in mine),
        _median(mine),
    )


def _median(answers: Sequence[Answer]) -> float | None:
    seconds = [a.seconds for a in answers if a.seconds is not None]
    return median(seconds) if seconds else None
