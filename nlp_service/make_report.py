"""The use case: a consultation's files in, the "You said" report out, as a page, a Word document, a workbook or JSON."""

import importlib.metadata
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.artefact import read_artefact
from models.counts import counted
from models.model import find_model_folder
from models.prevalence import Prevalence
from models.vocabulary import (
    Codebook,
    CodebookRef,
    CodedComment,
    Coding,
    Comment,
    CommentId,
    DecidedComment,
    ModelId,
    Problem,
    Segment,
    Theme,
    ThemeId,
    ThemesError,
)
from nlp_service.code_batch import CodeRequest, StartProgress, code_inputs
from nlp_service.coding_pool import ModelChoice
from nlp_service.estimate_shares import (
    CodingsError,
    CodingsTable,
    Weigh,
    estimate_themes,
    find_codebook,
    random_sample,
    read_codings,
)
from nlp_service.ingest.answers import ClosedAnswers
from nlp_service.ingest.comments import Reading, ReadingOptions, read_comments
from nlp_service.ingest.roles import AnswerKind
from nlp_service.ingest.table import InputRefusedError
from nlp_service.output import OutputRefusedError, keep_inputs
from nlp_service.privacy.redaction import redact
from nlp_service.protect_comments import protect_distinct, set_languages_apart
from nlp_service.report.changes import compare_waves, read_previous
from nlp_service.report.closed import ClosedQuestion, ClosedResult, Kind, count_answers, make_question
from nlp_service.report.codings_file import written_aside
from nlp_service.report.content import (
    Asked,
    Changes,
    Method,
    ModelFacts,
    Report,
    ShareFigure,
    ThemeFigure,
    Workshops,
    WorkshopTheme,
)
from nlp_service.report.crosstabs import FALSE_DISCOVERIES, Crosstab, hidden_everywhere, make_crosstabs
from nlp_service.report.emergent import read_emergent
from nlp_service.report.html_page import read_axis_titles, render_page, write_page
from nlp_service.report.pictures import make_pictures
from nlp_service.report.quotes import MAX_CHARS, PER_THEME, Pin, Quote, check_ban, check_pin, choose_quotes
from nlp_service.report.report_json import write_report_json
from nlp_service.report.report_workbook import write_report_workbook
from nlp_service.report.suppression import DEFAULT_THRESHOLD
from nlp_service.report.word_document import write_document
from nlp_service.report.workshops import count_raised
from nlp_service.weights import rake, read_margins
from training.decisions import read_decisions

FORMATS: Final = (".html", ".docx", ".xlsx", ".json")
QUOTED_PARTS: Final = 5
"""Sub-themes of a theme that carry quotes: those with the largest shares."""
QUOTED_IN_WORKSHOPS: Final = 8

Pairs = Sequence[tuple[Comment, CodedComment]]


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What an analyst asks for. The inputs are read as `themes code` reads them."""

    inputs: tuple[Path, ...]
    outs: tuple[Path, ...]
    """Files to write; the format is by extension."""
    choice: ModelChoice
    codings: Path | None = None
    """Codings of just these inputs; None: they are coded now."""
    decisions: Path | None = None
    codebook: Path | None = None
    title: str = "Consultation"
    reading_options: ReadingOptions = field(default_factory=ReadingOptions)
    closed: tuple[str, ...] = ()
    """Closed questions to report; none given: all."""
    store: str | None = None
    """Where batches are kept: an input that is no file is then taken for the id of one."""
    with_personal_data: bool = False
    """Quote comments as they are, personal data and all."""
    previous: Path | None = None
    candidates: Path | None = None
    """What `themes candidates` found in these codings."""
    margins: Path | None = None
    """Stated shares of closed answers, which those who wrote are weighted to match in shares of themes."""
    pinned: tuple[Pin, ...] = ()
    banned: tuple[str, ...] = ()
    templates: Path | None = None
    threshold: int = DEFAULT_THRESHOLD
    max_quote_chars: int = MAX_CHARS
    per_theme: int = PER_THEME
    seed: int = 0
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class MadeReport:
    """What came of it."""

    report: Report
    problems: tuple[Problem, ...]
    """Of the decisions, not of the inputs."""


def make_report(request: ReportRequest, *, start: StartProgress) -> MadeReport:
    """Write the report and return it as a value.

    Raises
    ------
    ThemesError
        If an input, the codings, decisions, pins, the last wave or the output cannot be used. Nothing is left behind then.
    """
    for out in request.outs:
        check_report_output(out)
    read = (request.codings, request.decisions, request.codebook, request.previous, request.candidates, request.margins)
    keep_inputs(request.outs, [*request.inputs, *read, request.reading_options.mapping_file])
    previous = None if request.previous is None else read_previous(request.previous)
    emergent = () if request.candidates is None else read_emergent(request.candidates)
    reading, pairs, book = _coded(request, start)
    problems: list[Problem] = []
    notes: list[str] = []
    decided: list[DecidedComment] = []
    if request.decisions is not None:
        decided, problems = read_decisions(request.decisions, book, at_least=0)
    sample = random_sample(decided, notes)
    for pin in request.pinned:
        check_pin(pin, {str(c.id) for c, _ in pairs})
    for comment_id in request.banned:
        check_ban(comment_id, {str(c.id) for c, _ in pairs})
    known = protect_distinct([c.text for c, _ in pairs], with_redaction=False, jobs=request.jobs)
    disclosed = {str(c.id) for c, _ in pairs if known[c.text].disclosure is not None}
    request = replace(request, banned=(*request.banned, *sorted(disclosed - set(request.banned))))
    survey = [(c, coded) for c, coded in pairs if c.session is None]
    said = [(c, coded) for c, coded in pairs if c.session is not None]
    report = _report(request, reading, book, survey, said, sample, previous, notes, problems)
    report = replace(report, emergent=emergent, method=replace(report.method, n_disclosing=len(disclosed)))
    _write(request, report)
    return MadeReport(report, tuple(problems))


def check_report_output(out: Path) -> None:
    """Raise OutputRefusedError unless a report of that name can be written."""
    if out.suffix.lower() not in FORMATS:
        raise OutputRefusedError(
            f"{out.name} names no format of a report.",
            allowed=f"{', '.join(FORMATS)}.",
            next_step="change the extension of --out.",
        )
    if not out.parent.is_dir() or out.is_dir():
        raise OutputRefusedError(
            f"{out.name} cannot be written there: {'it is a folder' if out.is_dir() else 'the folder does not exist'}.",
            allowed="a file in an existing folder.",
            next_step="make the folder first, or change --out.",
        )


def _coded(request: ReportRequest, start: StartProgress) -> tuple[Reading, Pairs, Codebook]:
    if request.store is not None and len(request.inputs) == 1 and _is_batch_id(request.inputs[0]):
        return _stored(str(request.inputs[0]), request.store)
    if request.codings is None:
        coded = code_inputs(
            CodeRequest(request.inputs, request.outs[0], request.choice, request.reading_options, jobs=request.jobs),
            start=start,
        )
        return coded.reading, coded.pairs, coded.run.codebook
    reading = read_comments(request.inputs, request.reading_options)
    codings = read_coded(request.codings)
    table = {str(c.comment_id): c for c in codings}
    reading = _without_other_languages(reading, table)
    missing = sum(str(c.id) not in table for c in reading.comments)
    if missing or len(table) != len(reading.comments):
        raise CodingsError(
            f"{request.codings.name} holds {counted(len(table), 'comment')}, the files {len(reading.comments)}; {counted(missing, 'has', 'have')} no coding.",
            allowed="codings of just these files.",
            next_step="code the same files, in one command, with the same options for reading them (--text, --id, --role, --mapping, --sheet).",
        )
    pairs = [(c, table[str(c.id)]) for c in reading.comments]
    themes = [str(t) for t, _ in codings[0].probabilities]
    return reading, pairs, find_codebook(str(codings[0].codebook), themes, request.codebook)


def _without_other_languages(reading: Reading, coded: Collection[str]) -> Reading:
    """Return the reading without comments that were left uncoded since they seem not to be in English: these are problems."""
    missing = [c for c in reading.comments if str(c.id) not in coded]
    readable = set_languages_apart(missing, file=None, all_languages=False)
    others = {c.id for c in missing} - {c.id for c in readable.comments}
    kept = tuple(c for c in reading.comments if c.id not in others)
    return replace(reading, comments=kept, problems=(*reading.problems, *readable.problems))


def _is_batch_id(given: Path) -> bool:
    return str(given).startswith("b-") and not given.exists()


def _stored(batch_id: str, store: str) -> tuple[Reading, Pairs, Codebook]:
    """Return what the latest run of a batch said. The store keeps comments and no closed answers, and a note says so."""
    from nlp_service.export_codings import check_done  # noqa: PLC0415 -- the store, for batches alone
    from nlp_service.store import batches  # noqa: PLC0415
    from nlp_service.store.database import open_store  # noqa: PLC0415

    database = open_store(store)
    try:
        batch = batches.get_batch(database, batch_id)
        check_done(batch)
        book = batches.run_codebook(database, batch.run.id)
        pairs = [(comment, coded) for _, comment, coded in batches.read_codings(database, batch.run, book)]
        problems = batches.read_problems(database, batch.id, batch.run.id)
    finally:
        database.close()
    note = f"{batch_id}: a batch keeps comments and no closed answers; make the report from the files to have these."
    return Reading(tuple(c for c, _ in pairs), problems, (*batch.notes, note), batch.n_rows), pairs, book


def read_coded(path: Path) -> list[CodedComment]:
    """Return a codings file's lines as values; CodingsError if one is not a coding."""
    read_codings(path)
    coded: list[CodedComment] = []
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if line.strip():
                coded.append(_coding(path, line, len(coded) + 1))
    return coded


def _coding(path: Path, line: str, number: int) -> CodedComment:
    try:
        entry = json.loads(line)
        probabilities = {ThemeId(t): float(p) for t, p in entry["probabilities"].items()}
        codings = tuple(
            Coding(ThemeId(t["theme"]), probabilities[t["theme"]], tuple(Segment(a, b) for a, b in t["evidence"]))
            for t in entry["themes"]
        )
        return CodedComment(
            CommentId(str(entry["comment_id"])),
            codings,
            tuple(map(ThemeId, entry["unsure"])),
            tuple(probabilities.items()),
            ModelId(entry["model"]),
            CodebookRef(entry["codebook"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodingsError(
            f"{path.name}: line {number} is no coding ({type(error).__name__}).",
            allowed="lines as `themes code --out FILE.jsonl` writes them.",
            next_step="code the comments again into a .jsonl file.",
        ) from error


def _report(
    request: ReportRequest,
    reading: Reading,
    book: Codebook,
    survey: Pairs,
    said: Pairs,
    sample: Sequence[DecidedComment],
    previous: Mapping[str, Any] | None,
    notes: list[str],
    problems: list[Problem],
) -> Report:
    people, raised = _raised(book, survey)
    questions = _questions(request, reading.answers)
    hidden = {q.name: hidden_everywhere(q, people, request.threshold) for q in questions}
    closed = [count_answers(q, threshold=request.threshold, also=hidden[q.name]) for q in questions]
    lower = [k for k, t in enumerate(book.codable) if not t.residual]
    crosstabs, findings = make_crosstabs(
        questions,
        people,
        raised[:, lower],
        [(str(book.codable[k].id), book.codable[k].label) for k in lower],
        threshold=request.threshold,
        seed=request.seed,
    )
    margins = None if request.margins is None else read_margins(request.margins)
    weigh = None if margins is None else partial(rake, margins, reading.answers)
    estimates = _estimates(book, survey, sample, request.seed, notes, problems, weigh)
    tops = _priorities(request, book, survey, people, raised, estimates)
    workshops = _workshops(request, book, said)
    changes: Changes | None = None
    if previous is not None:
        changes = compare_waves(previous, str(book.ref), tops, closed)
    asked = _asked(request, reading, survey, people, questions)
    method = _method(request, reading, book, survey or said, estimates, tops, closed, crosstabs, notes)
    method = replace(method, weighted_by=tuple(margins or ()))
    return Report(asked, tops, tuple(closed), workshops, tuple(crosstabs), tuple(findings), changes, (), method)


def _raised(book: Codebook, survey: Pairs) -> tuple[list[str], NDArray[np.bool_]]:
    """Return who wrote, and which codable themes each raised in any comment: shape (n_respondents, n_themes)."""
    people = list(dict.fromkeys(_who(c) for c, _ in survey))
    place = {p: i for i, p in enumerate(people)}
    column = {t.id: k for k, t in enumerate(book.codable)}
    raised = np.zeros((len(people), len(column)), np.bool_)
    for comment, coded in survey:
        raised[place[_who(comment)], [column[t] for t in coded.themes]] = True
    return people, raised


def _who(comment: Comment) -> str:
    return str(comment.respondent or comment.id)


_KINDS: Final = {AnswerKind.NOMINAL: Kind.SINGLE, AnswerKind.ORDERED: Kind.ORDERED, AnswerKind.MULTI: Kind.MULTI}


def _questions(request: ReportRequest, answers: ClosedAnswers) -> list[ClosedQuestion]:
    """Return the closed questions of all survey files, or those of them that were asked for."""
    names = [q.name for q in answers.questions]
    for name in request.closed:
        if name not in names:
            raise InputRefusedError(
                "missing_column",
                f"no survey file has a closed question {name!r}.",
                allowed=f"one of: {', '.join(map(repr, names[:20]))}.",
                next_step="name one with --closed; `themes inspect FILE` shows what each column was taken for.",
            )
    return [
        make_question(
            q.name,
            _KINDS[q.kind],
            q.options,
            {str(who): of.get(q.name, ()) for who, of in answers.by_respondent.items()},
            outside=q.outside,
            about_person=q.is_demographic,
        )
        for q in answers.questions
        if q.options and q.name in (request.closed or names)
    ]


def _estimates(
    book: Codebook,
    survey: Pairs,
    sample: Sequence[DecidedComment],
    seed: int,
    notes: list[str],
    problems: list[Problem],
    weigh: Weigh | None,
) -> dict[ThemeId, Prevalence]:
    if not survey:
        return {}
    order = {t.id: k for k, t in enumerate(book.codable)}
    probabilities = np.zeros((len(survey), len(order)))
    for i, (_, coded) in enumerate(survey):
        for theme, p in coded.probabilities:
            probabilities[i, order[theme]] = p
    first = survey[0][1]
    table = CodingsTable(
        tuple(str(c.id) for c, _ in survey),
        tuple(_who(c) for c, _ in survey),
        tuple(str(t) for t in order),
        probabilities,
        str(first.codebook),
        str(first.model),
    )
    return estimate_themes(table, book, sample, seed=seed, notes=notes, problems=problems, weigh=weigh)


def _priorities(
    request: ReportRequest,
    book: Codebook,
    survey: Pairs,
    people: Sequence[str],
    raised: NDArray[np.bool_],
    estimates: Mapping[ThemeId, Prevalence],
) -> tuple[ThemeFigure, ...]:
    column = {t.id: k for k, t in enumerate(book.codable)}
    residual = {t.id for t in book.themes if t.residual}
    tops = [t for t in book.themes if t.parent is None and t.id not in residual]
    several = len({c.question for c, _ in survey}) > 1

    answered: dict[ThemeId, Counter[str]] = {t.id: Counter() for t in book.themes}
    above = {t.id: t.parent for t in book.themes}
    for comment, coded in survey:
        if comment.question is not None:
            for theme_id in {t for one in coded.themes for t in (one, above[one]) if t is not None}:
                answered[theme_id][comment.question] += 1

    def figure(theme: Theme, of: Sequence[ThemeId], parts: tuple[ThemeFigure, ...] = ()) -> ThemeFigure:
        n = int(raised[:, [column[t] for t in of]].any(axis=1).sum()) if of else 0
        hidden = 0 < n < request.threshold
        asked = answered[theme.id]
        most = min(asked, key=lambda q: (-asked[q], q), default=None)
        share = _share(estimates.get(theme.id), len(people), hidden=hidden)
        label = theme.label
        return ThemeFigure(str(theme.id), label, theme.definition, share, None if hidden else n, most if several else None, (), parts)  # fmt: skip

    made: list[ThemeFigure] = []
    for top in tops:
        children = [t for t in book.codable if t.parent == top.id]
        parts = tuple(sorted((figure(t, [t.id]) for t in children), key=_order))
        of = [t.id for t in children] or ([top.id] if top.id in column else [])
        if any(t in estimates for t in (top.id, *of)):
            made.append(figure(top, of, parts))
    made.sort(key=_order)
    served = [t.theme for top in made for t in (top.parts[:QUOTED_PARTS] or (top,)) if t.n_coded]
    quotes = choose_quotes(
        survey,
        served,
        per_theme=request.per_theme,
        max_chars=request.max_quote_chars,
        pinned=[p for p in request.pinned if any(str(c.id) == p.comment_id for c, _ in survey)],
        banned=request.banned,
        show=None if request.with_personal_data else redact,
    )
    return tuple(_with_quotes(top, quotes) for top in made)


def _with_quotes(figure: ThemeFigure, quotes: Mapping[str, tuple[Quote, ...]]) -> ThemeFigure:
    parts = tuple(_with_quotes(p, quotes) for p in figure.parts)
    return replace(figure, quotes=quotes.get(figure.theme, ()), parts=parts)


def _order(figure: ThemeFigure) -> tuple[float, str]:
    return (-(figure.figure.share if figure.figure.share is not None else -1.0), figure.theme)


def _share(p: Prevalence | None, n: int, *, hidden: bool) -> ShareFigure:
    if p is None:
        return ShareFigure(0.0, None, None, None, None, "model_only", 0, n, None, "nobody wrote a comment")
    if hidden:
        why = "so few raised it that the figure is hidden"
        return ShareFigure(None, None, None, None, None, p.method, p.n_labelled, n, None, why)
    return ShareFigure(
        p.share,
        p.low,
        p.high,
        p.rank_low,
        p.rank_high,
        p.method,
        p.n_labelled,
        p.n_respondents,
        p.labels_to_halve,
        p.why,
    )


def _workshops(request: ReportRequest, book: Codebook, said: Pairs) -> Workshops | None:
    if not said:
        return None
    raised = count_raised(book, said)
    quotes = choose_quotes(
        said,
        [str(r.theme) for r in raised[:QUOTED_IN_WORKSHOPS]],
        per_theme=1,
        max_chars=request.max_quote_chars,
        pinned=[p for p in request.pinned if any(str(c.id) == p.comment_id for c, _ in said)],
        banned=request.banned,
        show=None if request.with_personal_data else redact,
    )
    themes = tuple(WorkshopTheme(r, book.get_theme(r.theme).label, quotes.get(str(r.theme), ())) for r in raised)
    speakers = {(c.session, c.respondent) for c, _ in said}
    return Workshops(len({c.session for c, _ in said}), len(speakers), len(said), themes)


def _asked(
    request: ReportRequest,
    reading: Reading,
    survey: Pairs,
    people: Sequence[str],
    questions: Sequence[ClosedQuestion],
) -> Asked:
    return Asked(
        request.title,
        _open_questions(survey),
        tuple(q.name for q in questions if not q.about_person),
        reading.days[0].isoformat() if reading.days else None,
        reading.days[1].isoformat() if reading.days else None,
        len(reading.answers.by_respondent) or len(people),
        len(people),
        len(survey),
    )


def _open_questions(survey: Pairs) -> tuple[str, ...]:
    """Return the questions in the order of their columns, which number the ids of a respondent's comments."""
    place = {c.question: str(c.id).rpartition("/")[2].zfill(9) for c, _ in reversed(survey) if c.question is not None}
    return tuple(sorted(place, key=lambda q: (place[q], q)))


def _method(
    request: ReportRequest,
    reading: Reading,
    book: Codebook,
    pairs: Pairs,
    estimates: Mapping[ThemeId, Prevalence],
    tops: Sequence[ThemeFigure],
    closed: Sequence[ClosedResult],
    crosstabs: Sequence[Crosstab],
    notes: Sequence[str],
) -> Method:
    n_labelled = max((p.n_labelled for p in estimates.values()), default=0)
    tests = sum(row.chance is not None for table in crosstabs for row in table.rows)
    themes = [t for top in tops for t in (top, *top.parts)]
    return Method(
        files=tuple(p.name for p in request.inputs),
        n_problems=len(reading.problems),
        problems=tuple(sorted(Counter(p.code for p in reading.problems).items())),
        model=_model_facts(request.choice, book, pairs),
        n_labelled=n_labelled,
        has_intervals=n_labelled > 0,
        threshold=request.threshold,
        n_hidden_closed=sum(r.n_hidden for r in closed),
        n_hidden_crosstabs=sum(t.n_hidden for t in crosstabs),
        n_hidden_themes=sum(t.n_coded is None for t in themes),
        n_tests=tests,
        false_discoveries=FALSE_DISCOVERIES,
        redacted=not request.with_personal_data,
        n_not_quoted=len(request.banned),
        notes=(*reading.notes, *notes),
        seed=request.seed,
        service_version=importlib.metadata.version("theme-coding"),
    )


_MEASURED: Final = ("micro_f1", "macro_f1", "samples_f1", "exact_match", "ece")


def _model_facts(choice: ModelChoice, book: Codebook, pairs: Pairs) -> ModelFacts:
    """Return what the model's card says, if the model at hand is the one that coded; else its name alone."""
    model = str(pairs[0][1].model) if pairs else ""
    bare = ModelFacts(model, str(book.ref), book.title, len(book.codable), None, (), "", ())
    try:
        artefact = read_artefact(find_model_folder(choice.model))
    except ThemesError:
        return bare
    if str(artefact.model_id) != model:
        return bare
    card = artefact.card
    scores, intervals = card.get("out_of_sample") or {}, card.get("intervals") or {}
    measured = tuple(
        (name, float(scores[name]), *(map(float, intervals[name]) if name in intervals else (None, None)))
        for name in _MEASURED
        if isinstance(scores.get(name), int | float)
    )
    return replace(
        bare,
        trained_on=int(card["n_comments"]) if isinstance(card.get("n_comments"), int) else None,
        measured=measured,
        split_note=str(card.get("split_note") or ""),
        limits=tuple(map(str, card.get("limits") or ())),
    )


def _write(request: ReportRequest, report: Report) -> None:
    """Write every form, all or none."""
    kinds = {out.suffix.lower() for out in request.outs}
    page, pictures = _page(request, report) if kinds & {".html", ".docx"} else ("", {})
    writers: dict[str, Callable[[Path], None]] = {
        ".json": lambda path: write_report_json(path, report),
        ".xlsx": lambda path: write_report_workbook(path, report),
        ".html": lambda path: write_page(path, page),
        ".docx": lambda path: write_document(path, page, pictures),
    }
    with ExitStack() as stack:
        for out in request.outs:
            try:
                writers[out.suffix.lower()](stack.enter_context(written_aside(out)))
            except OSError as error:
                raise OutputRefusedError(
                    f"{out.name} cannot be written ({error.strerror}).",
                    allowed="a place with room and the right to write.",
                    next_step="change --out, or make room.",
                ) from error


def _page(request: ReportRequest, report: Report) -> tuple[str, dict[str, bytes]]:
    pictures = make_pictures(report, read_axis_titles(request.templates))
    return render_page(report, pictures, request.templates), pictures
