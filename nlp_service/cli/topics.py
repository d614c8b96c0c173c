"""`themes topics`: a thin door to `nlp_service.map_topics`."""

from pathlib import Path

import click

from models.counts import counted
from nlp_service.cli.code import progress_bar, silent
from nlp_service.cli.reading import takes_reading_options
from nlp_service.find_candidates import CandidatesRequest
from nlp_service.ingest.comments import ReadingOptions
from nlp_service.map_topics import map_topics


@click.command()
@click.option("--codings", required=True, type=click.Path(path_type=Path), help="All comments, coded (JSONL).")
@click.option(
    "--comments",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file that was coded, for the words.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Topics file to write (JSON).")
@click.option("--map", "picture", type=click.Path(path_type=Path), help="Map to write (HTML, needs no network).")
@takes_reading_options(as_coded=True)
@click.option("--codebook", type=click.Path(path_type=Path), help="Codebook of the codings, if not the shipped one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the topic model.")
@click.option("--quiet", is_flag=True, help="No progress bar and no list.")
def topics(
    codings: Path,
    comments: tuple[Path, ...],
    out: Path,
    picture: Path | None,
    reading_options: ReadingOptions,
    codebook: Path | None,
    seed: int,
    quiet: bool,
) -> None:
    """Sort everything that was said into topics, say which themes each consists of, and draw a map.

    \b
    Example:
      themes topics --codings codings.jsonl --comments survey.csv --out topics.json --map map.html
    """
    request = CandidatesRequest(codings, comments, out, reading_options, codebook=codebook, seed=seed)
    found = map_topics(request, picture, start=silent if quiet else progress_bar)
    if not quiet:
        for topic in found.topics:
            themes = ", ".join(f"{t['theme']} {100 * t['share']:.0f} %" for t in topic["themes"][:3]) or "no theme"
            mark = "*" if topic["uncovered"] else " "
            click.echo(
                f"{mark} {counted(topic['n_respondents'], 'respondent ', 'respondents', spec='>5')}  {topic['name']}: {themes}"
            )
    n = sum(t["uncovered"] for t in found.topics)
    click.echo(f"{counted(len(found.topics), 'topic')}, {n} of them (*) mostly without a theme -> {out}", err=True)
