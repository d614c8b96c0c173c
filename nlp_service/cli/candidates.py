"""`themes candidates`: a thin door to `nlp_service.find_candidates`."""

from pathlib import Path

import click

from models.counts import counted
from nlp_service.cli.code import progress_bar, silent
from nlp_service.cli.reading import takes_reading_options
from nlp_service.find_candidates import CandidatesRequest, write_candidates
from nlp_service.ingest.comments import ReadingOptions


@click.command()
@click.option("--codings", required=True, type=click.Path(path_type=Path), help="All comments, coded (JSONL).")
@click.option(
    "--comments",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file that was coded, for the words; may be given several times.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Candidates file to write (JSON).")
@takes_reading_options(as_coded=True)
@click.option("--codebook", type=click.Path(path_type=Path), help="Codebook of the codings, if not the shipped one.")
@click.option(
    "--since",
    type=click.Path(path_type=Path),
    help="Earlier candidates file: its candidates keep their ids, and new comments join them.",
)
@click.option("--all", "show_all", is_flag=True, help="Show weak candidates too, and look in few comments.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of resamples and clusters.")
@click.option("--quiet", is_flag=True, help="No progress bar and no list.")
def candidates(
    codings: Path,
    comments: tuple[Path, ...],
    out: Path,
    reading_options: ReadingOptions,
    codebook: Path | None,
    since: Path | None,
    show_all: bool,
    seed: int,
    quiet: bool,
) -> None:
    """Find what residents bring up that the codebook has no theme for: candidates to look at, never themes by themselves.

    \b
    Example:
      themes code survey.csv --out codings.jsonl
      themes candidates --codings codings.jsonl --comments survey.csv --out candidates.json
      themes candidates --codings wave2.jsonl --comments wave2.csv --since candidates.json --out candidates2.json
    """
    request = CandidatesRequest(codings, comments, out, reading_options, codebook, since, show_all, seed)
    found = write_candidates(request, start=silent if quiet else progress_bar)
    for note in found.notes:
        click.echo(f"note: {note}.", err=True)
    if not quiet:
        for entry in found.shown:
            steady = "from earlier" if entry["earlier"] else f"stability {entry['stability']:.2f}"
            click.echo(
                f"{entry['id']}  {entry['name']}: {counted(entry['n_respondents'], 'respondent')}; "
                f"{steady}; nearest theme {entry['nearest_theme'] or 'none'} ({entry['novelty']:.2f} away)"
            )
    click.echo(
        f"{counted(len(found.shown), 'candidate')} from {counted(found.n_residual_segments, 'segment')} without a theme -> {out}",
        err=True,
    )
