"""`themes code`: files in, coded file out, a table on standard output."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Never

import click
from tqdm import tqdm

from models.counts import counted
from models.model import Backend
from nlp_service.cli.reading import takes_reading_options
from nlp_service.code_batch import OUTPUTS, CodeRequest, code_batch
from nlp_service.coding_pool import ModelChoice, Progress
from nlp_service.find_model import find_model
from nlp_service.ingest.comments import BLANK, FACILITATOR, ReadingOptions
from nlp_service.protect_comments import OTHER_LANGUAGE
from nlp_service.report.table import protection_lines, themes_table
from nlp_service.settings import Settings

_SHOWN_PROBLEMS: Final = 10


@contextmanager
def progress_bar(n_comments: int) -> Iterator[Progress]:
    """Show a bar on standard error with rate and time left while comments are coded."""
    with tqdm(total=n_comments, unit=" comments", desc="coding", dynamic_ncols=True, smoothing=0.1) as bar:
        yield lambda n: _advance(bar, n)


def _advance(bar: "tqdm[Never]", n: int) -> None:
    bar.update(n)


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help=f"Output file: {', '.join(OUTPUTS)}.")
@takes_reading_options()
@click.option("--model", metavar="ID_OR_DIR", help="Model to code with. [default: the published one, else starter]")
@click.option("--consultation", metavar="NAME", help="Code with the model pinned to it, if one is.")
@click.option("--backend", type=click.Choice([b.value for b in Backend]), help="Which encoder adaptor. [default: fast]")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes. [default: one a core]")
@click.option(
    "--batch-size", type=click.IntRange(1, 4096), metavar="N", help="Texts in memory at once; changes no coding."
)
@click.option(
    "--with-personal-data",
    is_flag=True,
    help="Texts as residents wrote them; names, numbers and addresses are replaced otherwise.",
)
@click.option("--all-languages", is_flag=True, help="Code comments that seem not to be in English too.")
@click.option("--quiet", is_flag=True, help="No progress bar and no table.")
def code(
    inputs: tuple[Path, ...],
    out: Path,
    reading_options: ReadingOptions,
    model: str | None,
    consultation: str | None,
    backend: str | None,
    jobs: int | None,
    batch_size: int | None,
    with_personal_data: bool,
    all_languages: bool,
    quiet: bool,
) -> None:
    """Code every comment in INPUT files (CSV, Excel, ODS, SPSS, Parquet, JSON) and every turn in transcripts (.vtt .srt .txt .docx .json).

    Rows in = comments out + problems. Problems are listed with row, column and code: on the workbook's sheet
    "Problems", or beside other outputs in OUT.problems.jsonl.

    \b
    Examples:
      themes code survey.csv --out coded.xlsx
      themes code survey.xlsx --text "What worries you?" --id "Response ID" --out coded.csv
      themes code wave1.csv wave2.csv --out coded.jsonl --model models/starter
      themes code workshop.vtt --facilitator "Ruth Calloway" --out workshop.xlsx
    """
    settings = Settings()
    choice = ModelChoice(
        str(find_model(settings.registry, model, consultation=consultation, default=settings.model)),
        Backend(backend or settings.backend),
        settings.encoder,
        batch_size or settings.batch_size,
    )
    request = CodeRequest(
        inputs,
        out,
        choice,
        reading_options,
        jobs or settings.jobs,
        with_personal_data=with_personal_data,
        all_languages=all_languages,
    )
    batch = code_batch(request, start=silent if quiet else progress_bar)
    run = batch.run
    for note in run.notes:
        click.echo(f"note: {note}", err=True)
    blank = [p for p in run.problems if p.code == BLANK]
    led = [p for p in run.problems if p.code == FACILITATOR]
    foreign = [p for p in run.problems if p.code == OTHER_LANGUAGE]
    others = [p for p in run.problems if p.code not in (BLANK, FACILITATOR, OTHER_LANGUAGE)]
    for p in others[:_SHOWN_PROBLEMS]:
        where = " ".join(
            w for w in (p.file, f"row {p.row}" if p.row else "", f"column {p.column!r}" if p.column else "") if w
        )
        click.echo(f"problem {p.code}: {where}: {p.found}; {p.next_step}.", err=True)
    if len(others) > _SHOWN_PROBLEMS:
        click.echo(f"… and {counted(len(others) - _SHOWN_PROBLEMS, 'more problem')}.", err=True)
    if not quiet:
        click.echo(themes_table(run))
        for line in protection_lines(run):
            click.echo(line)
    click.echo(
        f"{counted(run.n_rows, 'row')}: {counted(run.n_comments, 'comment')} coded, {len(blank)} blank, "
        f"{counted(len(led), 'turn') + ' of facilitators, ' if led else ''}"
        f"{f'{len(foreign)} in other languages, ' if foreign else ''}{counted(len(others), 'other problem')}; "
        f"{run.seconds:.1f} s; {run.model}, {run.codebook.ref} -> {out}",
        err=True,
    )
    if batch.safeguarding_file is not None:
        click.echo(f"comments to read first are listed in {batch.safeguarding_file}", err=True)
    if batch.problems_file is not None:
        click.echo(f"blanks and problems are listed in {batch.problems_file}", err=True)


@contextmanager
def silent(_n_comments: int) -> Iterator[Progress]:
    """Show nothing."""
    yield lambda _n: None
