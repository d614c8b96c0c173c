"""`themes submit`: hands a file to a service, waits, and fetches what was coded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from models.counts import counted
from nlp_service.cli.reading import takes_reading_options
from nlp_service.client import BatchStatus, Client
from nlp_service.code_batch import SAFEGUARDING, check_output
from nlp_service.ingest.comments import ReadingOptions
from nlp_service.output import beside, keep_inputs
from nlp_service.report.codings_file import written_aside
from nlp_service.round_folder import write_lines
from nlp_service.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the codings: .jsonl, .csv, .xlsx or .parquet. [default: do not wait]")  # fmt: skip
@click.option(
    "--url", metavar="URL", help="Where the service listens. [default: THEMES_URL, else http://127.0.0.1:8765]"
)
@click.option("--consultation", metavar="NAME", help="Which consultation the file belongs to.")
@takes_reading_options()
@click.option("--all-languages", is_flag=True, help="Code comments that seem not to be in English too.")
@click.option("--model", metavar="ID", help="Model or codebook of the service's registry.")
def submit(
    file: Path,
    out: Path | None,
    url: str | None,
    consultation: str | None,
    reading_options: ReadingOptions,
    all_languages: bool,
    model: str | None,
) -> None:
    """Hand FILE to a service. The API key is read from THEMES_KEY.

    \b
    Examples:
      themes submit survey.csv --out coded.xlsx
      themes submit wave2.csv --mapping safety.yaml --out coded.xlsx
      THEMES_KEY=themes_… themes submit survey.csv --url https://themes.example.org --consultation "Wave 3"
    """
    settings = Settings()
    if out is not None:
        check_output(out)
        keep_inputs([out, beside(out, SAFEGUARDING)], [file, reading_options.mapping_file])
    o = reading_options
    with Client(url or settings.url, key=settings.key) as client:
        batch = client.submit(
            file,
            consultation=consultation,
            text=o.text,
            id=o.id_column,
            role=[f"{column}={role}" for column, role in o.roles.items()],
            mapping=o.mapping,
            sheet=o.sheet,
            facilitator=o.facilitators,
            with_facilitators=o.with_facilitators,
            all_languages=all_languages,
            model=model,
        )
        click.echo(
            f"{batch.id}: {counted(batch.n_comments, 'comment')}, {counted(batch.n_problems, 'problem')}", err=True
        )
        if out is None:
            click.echo(batch.id)
            return
        with tqdm(total=batch.n_comments, unit=" comments", desc="coding", dynamic_ncols=True) as bar:

            def show(now: BatchStatus) -> None:
                bar.update(now.n_done - bar.n)
                bar.set_postfix_str(f"waiting for {now.waits_for}" if now.waits_for is not None else "")

            done = client.wait(batch.id, progress=show)
        with written_aside(out) as aside:
            client.download(done.id, aside)
        first = client.disclosures(done.id)
    click.echo(f"{counted(done.n_done, 'comment')} coded; {done.model}, {done.codebook} -> {out}", err=True)
    if first:
        click.echo(f"{counted(len(first), 'comment')} may disclose harm: {_listed(out, first)}", err=True)


def _listed(out: Path, first: Sequence[Mapping[str, Any]]) -> str:
    """Return where the comments to read first are listed: in a workbook's own sheet, else in a file beside the output."""
    if out.suffix.lower() == ".xlsx":
        return "read those on its first sheet before anything else"
    path = beside(out, SAFEGUARDING)
    write_lines(path, first)
    return f"read those in {path} before anything else"
