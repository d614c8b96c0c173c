"""`themes shares`: a thin door to `nlp_service.estimate_shares`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from models.counts import counted
from nlp_service.cli.reading import takes_reading_options
from nlp_service.cli.training import show_problems
from nlp_service.estimate_shares import estimate_shares
from nlp_service.ingest.comments import ReadingOptions


@click.command()
@click.option("--codings", required=True, type=click.Path(path_type=Path), help="All comments, coded (JSONL).")
@click.option(
    "--decisions", type=click.Path(path_type=Path), help="People's decisions on a random part of them (JSONL)."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Shares file to write (JSON).")
@click.option(
    "--codebook", type=click.Path(path_type=Path), help="Codebook of the codings, for its upper level, if not shipped."
)
@click.option(
    "--margins", type=click.Path(path_type=Path), help="Stated shares to weight respondents to (YAML); needs --survey."
)
@click.option("--survey", multiple=True, type=click.Path(path_type=Path), help="A survey file that was coded.")
@takes_reading_options(as_coded=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap behind the ranks.")
def shares(
    codings: Path,
    decisions: Path | None,
    out: Path,
    codebook: Path | None,
    margins: Path | None,
    survey: tuple[Path, ...],
    reading_options: ReadingOptions,
    seed: int,
) -> None:
    """Estimate the share of respondents who raised each theme, with 95 % intervals and ranges of ranks.

    \b
    Example:
      themes code survey.csv --out codings.jsonl
      themes shares --codings codings.jsonl --decisions blind.jsonl --out shares.json
    """
    if margins is not None and not survey:
        raise click.UsageError("--margins needs --survey: the files that were coded, which hold the answers.")
    found = estimate_shares(
        codings,
        decisions,
        out,
        codebook=codebook,
        seed=seed,
        margins=margins,
        survey=survey,
        reading_options=reading_options,
    )
    show_problems(list(found.problems))
    for note in found.notes:
        click.echo(f"note: {note}.", err=True)
    click.echo(f"{'theme':<24} {'share':>7} {'95 % interval':>16} {'rank':>9}  method")
    for line in sorted(found.lines, key=lambda entry: -entry["share"]):
        click.echo(_row(line))
    n = found.lines[0]
    click.echo(
        f"{counted(n['n_respondents'], 'respondent')}, {counted(n['n_comments'], 'comment')}, {n['n_labelled']} labelled -> {out}"
    )


def _row(line: Mapping[str, Any]) -> str:
    interval = "none" if line["low"] is None else f"{100 * line['low']:.1f} to {100 * line['high']:.1f} %"
    ranks = "" if line["rank_low"] is None else f"{line['rank_low']} to {line['rank_high']}"
    return f"{line['theme']:<24} {100 * line['share']:>5.1f} % {interval:>16} {ranks:>9}  {line['method']}"
