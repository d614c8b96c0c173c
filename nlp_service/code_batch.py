"""The use case: files in, coded comments out."""

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from models.artefact import read_artefact
from models.classifier import attach_coding
from models.counts import counted
from models.model import find_model_folder
from models.vocabulary import CodedComment, Comment
from nlp_service.coding_pool import ModelChoice, Progress, code_distinct
from nlp_service.duplicates import find_duplicates
from nlp_service.ingest.comments import Reading, ReadingOptions, read_comments
from nlp_service.ingest.table import InputRefusedError
from nlp_service.output import OutputRefusedError, beside, keep_inputs
from nlp_service.privacy.redaction import count_kinds
from nlp_service.protect_comments import as_shown, list_disclosures, protect_distinct, set_languages_apart
from nlp_service.report.codings_file import (
    write_csv,
    write_disclosures,
    write_jsonl,
    write_parquet,
    write_problems,
    written_aside,
)
from nlp_service.report.run import Protection, Run, count_themes
from nlp_service.report.workbook import write_workbook

Line = TypeVar("Line")
OUTPUTS: Final = (".jsonl", ".csv", ".xlsx", ".parquet")
PROBLEMS: Final = "problems"
SAFEGUARDING: Final = "safeguarding"
BESIDE: Final = (PROBLEMS, SAFEGUARDING)
"""Lists that go beside an output that has no place for them."""


StartProgress = Callable[[int], AbstractContextManager[Progress]]


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What an analyst asks for."""

    inputs: tuple[Path, ...]
    out: Path
    choice: ModelChoice
    reading_options: ReadingOptions = field(default_factory=ReadingOptions)
    jobs: int = 1
    with_personal_data: bool = False
    """Texts in the output as they were written, and not redacted."""
    all_languages: bool = False
    """Code comments that seem not to be in English too; they are listed as problems otherwise."""


@dataclass(frozen=True, slots=True)
class CodedBatch:
    """What came of it."""

    run: Run
    pairs: tuple[tuple[Comment, CodedComment], ...]
    """Comments as they were written."""
    shown: tuple[tuple[Comment, CodedComment], ...]
    """The same as the output shows them: redacted where it is."""
    problems_file: Path | None
    """Where problems were written, if there are any and the output itself has no place for them."""
    safeguarding_file: Path | None = None
    """Where the comments to read first were written, likewise."""


@dataclass(frozen=True, slots=True)
class CodedReading:
    """The inputs read and every comment coded, nothing written yet."""

    reading: Reading
    run: Run
    pairs: tuple[tuple[Comment, CodedComment], ...]
    n_other_languages: int = 0
    """Comments that seem not to be in English: among the pairs if they were to be coded, problems if not."""


def code_batch(request: CodeRequest, *, start: StartProgress) -> CodedBatch:
    """Read the inputs, code every comment, and write the output whole or not at all.

    Parameters
    ----------
    request
        Files, columns, model and output.
    start
        Called with the number of comments once it is known; returns what is told of progress.

    Raises
    ------
    ThemesError
        If an input, the model or the output cannot be used. Nothing is left behind then.
    """
    check_output(request.out)
    keep_inputs(
        [request.out, *(beside(request.out, what) for what in BESIDE)],
        [*request.inputs, request.reading_options.mapping_file],
    )
    began = time.monotonic()
    coded = code_inputs(request, start=start)
    shown, protection = protect_pairs(
        coded.pairs,
        coded.n_other_languages,
        has_text=request.out.suffix.lower() != ".jsonl",
        with_personal_data=request.with_personal_data,
        jobs=request.jobs,
    )
    run = replace(coded.run, protection=protection, seconds=time.monotonic() - began)
    return CodedBatch(run, coded.pairs, shown, *_write(request.out, shown, run))


def code_inputs(request: CodeRequest, *, start: StartProgress) -> CodedReading:
    """Read the inputs and code every comment; `request.out` is not looked at. ThemesError as above."""
    began, started_at = time.monotonic(), datetime.now(UTC)
    artefact = read_artefact(find_model_folder(request.choice.model))
    reading = read_comments(request.inputs, request.reading_options)
    name = request.inputs[0].name if len(request.inputs) == 1 else None
    readable = set_languages_apart(reading.comments, file=name, all_languages=request.all_languages)
    reading = replace(reading, comments=readable.comments, problems=(*reading.problems, *readable.problems))
    if not reading.comments:
        raise InputRefusedError(
            "no_comments",
            f"none of {counted(reading.n_rows, 'row')} holds a comment that can be coded ({_why(reading.problems)}).",
            allowed="at least one row with text.",
            next_step="check the columns given with --text and --id.",
        )
    with start(len(reading.comments)) as progress:
        codings = code_distinct(
            [c.text for c in reading.comments], request.choice, jobs=request.jobs, progress=progress
        )
    coded = [attach_coding(artefact, comment, codings[comment.text]) for comment in reading.comments]
    run = Run(
        inputs=tuple(p.name for p in request.inputs),
        n_rows=reading.n_rows,
        n_comments=len(coded),
        n_distinct=len(codings),
        problems=reading.problems,
        notes=reading.notes,
        model=str(artefact.model_id),
        model_version=artefact.version,
        codebook=artefact.codebook,
        encoder=artefact.encoder,
        backend=request.choice.backend.value,
        service_version=importlib.metadata.version("theme-coding"),
        started_at=started_at,
        seconds=time.monotonic() - began,
        counts=count_themes(artefact.codebook, coded),
    )
    pairs = tuple(zip(reading.comments, coded, strict=True))
    return CodedReading(reading, run, pairs, readable.n_other_languages)


def protect_pairs(
    pairs: Sequence[tuple[Comment, CodedComment]],
    n_other_languages: int,
    *,
    has_text: bool,
    with_personal_data: bool,
    jobs: int,
) -> tuple[tuple[tuple[Comment, CodedComment], ...], Protection]:
    """Return the pairs as an output shows them, and what was done for the residents behind them.

    An output without text (`has_text` false), such as a codings file, holds offsets into the original.
    """
    comments = [c for c, _ in pairs]
    redacting = has_text and not with_personal_data
    known = protect_distinct([c.text for c in comments], with_redaction=redacting, jobs=jobs)
    counts = count_kinds(one for c in comments if (one := known[c.text].redacted) is not None)
    protection = Protection(
        list_disclosures(comments, known),
        find_duplicates([(c.id, c.text) for c in comments]),
        n_other_languages,
        tuple((kind.value, n) for kind, n in counts.items()),
        with_personal_data if has_text else None,
    )
    return as_shown(pairs, known), protection


def check_output(out: Path) -> None:
    """Raise OutputRefusedError unless a file of that name can be written."""
    if out.suffix.lower() not in OUTPUTS:
        raise OutputRefusedError(
            f"{out.name} names no output format.",
            allowed=", ".join(OUTPUTS) + ".",
            next_step="change the extension of --out.",
        )
    if not out.parent.is_dir() or out.is_dir():
        raise OutputRefusedError(
            f"{out.name} cannot be written there: {'it is a folder' if out.is_dir() else 'the folder does not exist'}.",
            allowed="a file in an existing folder.",
            next_step="make the folder first, or change --out.",
        )


def _write(out: Path, pairs: Sequence[tuple[Comment, CodedComment]], run: Run) -> tuple[Path | None, Path | None]:
    """Write the output, and beside it what it has no place for; return the paths of problems and comments to read first."""
    kind = out.suffix.lower()
    try:
        with written_aside(out) as aside:
            if kind == ".jsonl":
                write_jsonl(aside, pairs)
            elif kind == ".csv":
                write_csv(aside, pairs, run.codebook)
            elif kind == ".parquet":
                write_parquet(aside, pairs, run.codebook)
            else:
                write_workbook(aside, pairs, run)
            disclosures = run.protection.disclosures if run.protection else ()
            return (
                _write_beside(out, PROBLEMS, run.problems, write_problems),
                _write_beside(out, SAFEGUARDING, disclosures, write_disclosures),
            )
    except OSError as error:
        raise OutputRefusedError(
            f"{out.name} cannot be written ({error.strerror}).",
            allowed="a place with room and the right to write.",
            next_step="change --out, or make room.",
        ) from error


def _write_beside(
    out: Path, what: str, lines: Sequence[Line], write: Callable[[Path, Sequence[Line]], None]
) -> Path | None:
    """Write lines beside an output that is no workbook; remove what an earlier run left there."""
    path = beside(out, what)
    path.unlink(missing_ok=True)
    if out.suffix.lower() == ".xlsx" or not lines:
        return None
    with written_aside(path) as aside:
        write(aside, lines)
    return path


def _why(problems: Sequence[object]) -> str:
    codes = sorted({getattr(p, "code", "") for p in problems})
    return f"problems: {', '.join(codes)}" if codes else "there are no rows"
