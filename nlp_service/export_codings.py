"""The use case: what a run said, as the files that `themes code` writes."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from models.counts import counted
from models.vocabulary import CodedComment, Comment, ThemesError
from nlp_service.code_batch import protect_pairs
from nlp_service.protect_comments import OTHER_LANGUAGE, list_disclosures, protect_distinct
from nlp_service.report.codings_file import write_csv, write_jsonl, write_parquet
from nlp_service.report.run import Disclosure, Run, count_themes
from nlp_service.report.workbook import write_workbook
from nlp_service.store.batches import read_codings, read_problems, run_codebook
from nlp_service.store.database import Database
from nlp_service.store.values import BatchRecord, RunState

FORMATS: Final = ("jsonl", "csv", "xlsx", "parquet")


class NotDoneError(ThemesError):
    """The batch is not coded to its end, so there is no whole file of its codings."""

    code = "not_done"


def check_done(batch: BatchRecord) -> None:
    """Raise NotDoneError unless the batch's latest run is coded to its end."""
    run = batch.run
    if run.state is not RunState.DONE:
        raise NotDoneError(
            f"the batch is {run.state.value}: {run.n_done} of {counted(batch.n_comments, 'comment')} done.",
            allowed="a batch that is done.",
            next_step="wait for it, or read the codings that are there as JSON pages.",
        )


def export_codings(
    database: Database, batch: BatchRecord, kind: str, path: Path, *, with_personal_data: bool = False, jobs: int = 1
) -> None:
    """Write the codings of a batch's latest run; JSONL, CSV and Parquet byte for byte as `themes code` writes them.

    Texts are redacted, unless `with_personal_data` says otherwise; `jobs` processes do that.

    Raises
    ------
    NotDoneError
        If the run is not done.
    """
    check_done(batch)
    run = batch.run
    codebook = run_codebook(database, run.id)
    pairs: list[tuple[Comment, CodedComment]] = [(c, k) for _, c, k in read_codings(database, run, codebook)]
    if kind == "jsonl":
        write_jsonl(path, pairs)
        return
    story = run_story(database, batch, pairs)
    n_others = sum(p.code == OTHER_LANGUAGE for p in story.problems)
    shown, protection = protect_pairs(pairs, n_others, has_text=True, with_personal_data=with_personal_data, jobs=jobs)
    if kind == "csv":
        write_csv(path, shown, codebook)
    elif kind == "parquet":
        write_parquet(path, shown, codebook)
    else:
        write_workbook(path, shown, replace(story, protection=protection))


def find_batch_disclosures(database: Database, batch: BatchRecord, *, jobs: int = 1) -> tuple[Disclosure, ...]:
    """Return the comments of a batch that may disclose harm, the likeliest first, for a person to read before anything else.

    Raises
    ------
    NotDoneError
        If the run is not done: a part of the list would look like all of it.
    """
    check_done(batch)
    comments = [c for _, c, _ in read_codings(database, batch.run, run_codebook(database, batch.run.id))]
    return list_disclosures(comments, protect_distinct([c.text for c in comments], with_redaction=False, jobs=jobs))


def run_story(database: Database, batch: BatchRecord, pairs: list[tuple[Comment, CodedComment]]) -> Run:
    """Return what the latest run of a batch was, as reports tell it."""
    run = batch.run
    codebook = run_codebook(database, run.id)
    began, ended = run.started_at or run.created_at, run.ended_at or run.created_at
    return Run(
        inputs=batch.inputs,
        n_rows=batch.n_rows,
        n_comments=len(pairs),
        n_distinct=len({c.text for c, _ in pairs}),
        problems=read_problems(database, batch.id, run.id),
        notes=batch.notes,
        model=run.model,
        model_version=run.model_version,
        codebook=codebook,
        encoder=run.encoder,
        backend=run.backend,
        service_version=run.service_version,
        started_at=began,
        seconds=(ended - began).total_seconds(),
        counts=count_themes(codebook, [k for _, k in pairs]),
    )
