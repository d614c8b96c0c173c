"""`themes report`: a thin door to `nlp_service.make_report`."""

from pathlib import Path

import click

from models.counts import counted
from nlp_service.cli.code import progress_bar, silent
from nlp_service.cli.reading import takes_reading_options
from nlp_service.cli.training import show_problems
from nlp_service.coding_pool import ModelChoice
from nlp_service.find_model import find_model
from nlp_service.ingest.comments import ReadingOptions
from nlp_service.make_report import FORMATS, ReportRequest, make_report
from nlp_service.report.quotes import MAX_CHARS, PER_THEME, Pin
from nlp_service.settings import Settings


class _PinType(click.ParamType[Pin]):
    """`ID` or `ID@START-END`."""

    name = "pin"

    def convert(self, value: str | Pin, param: click.Parameter | None, ctx: click.Context | None) -> Pin:
        """Return the pin; a usage error if the slice is none."""
        if isinstance(value, Pin):
            return value
        comment_id, mark, slice_ = value.rpartition("@")
        if not mark:
            return Pin(value)
        start, dash, end = slice_.partition("-")
        if not (dash and start.isdigit() and end.isdigit()):
            self.fail("give ID or ID@START-END, offsets counted in characters", param, ctx)
        return Pin(comment_id, int(start), int(end))


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option(
    "--out",
    "outs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help=f"Report to write: {', '.join(FORMATS)}; may be given several times.",
)
@click.option("--codings", type=click.Path(path_type=Path), help="Codings of these files (JSONL). [default: code them]")
@click.option("--decisions", type=click.Path(path_type=Path), help="People's decisions on a random part (JSONL).")
@click.option("--title", default="Consultation", show_default=True, help="What the consultation is called.")
@click.option("--previous", type=click.Path(path_type=Path), help="The last wave's report (.json), to show what moved.")
@click.option("--candidates", type=click.Path(path_type=Path), help="What `themes candidates` found, to show beside.")
@click.option("--margins", type=click.Path(path_type=Path), help="Stated shares to weight respondents to (YAML).")
@takes_reading_options()
@click.option("--closed", multiple=True, metavar="COL", help="Closed question to report. [default: all]")
@click.option("--pin", "pinned", multiple=True, type=_PinType(), metavar="ID[@START-END]", help="Quote this comment.")
@click.option("--ban", "banned", multiple=True, metavar="ID", help="Never quote this comment.")
@click.option("--quotes", type=click.IntRange(0, 20), default=PER_THEME, show_default=True, help="Quotes a theme.")
@click.option("--max-quote-chars", type=click.IntRange(25, 2000), default=MAX_CHARS, show_default=True)
@click.option(
    "--with-personal-data", is_flag=True, help="Quote comments as they are; names and numbers are replaced otherwise."
)
@click.option("--small-cell", type=click.IntRange(1, 100), metavar="N", help="Hide counts under N. [default: 5]")
@click.option(
    "--templates",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of your own templates; what it lacks is taken from the shipped ones.",
)
@click.option("--model", metavar="ID_OR_DIR", help="Model to code with. [default: the published one, else starter]")
@click.option("--codebook", type=click.Path(path_type=Path), help="Codebook of the codings, if not the shipped one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap behind ranks and tests.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def report(
    inputs: tuple[Path, ...],
    outs: tuple[Path, ...],
    codings: Path | None,
    decisions: Path | None,
    title: str,
    previous: Path | None,
    candidates: Path | None,
    margins: Path | None,
    reading_options: ReadingOptions,
    closed: tuple[str, ...],
    pinned: tuple[Pin, ...],
    banned: tuple[str, ...],
    quotes: int,
    max_quote_chars: int,
    with_personal_data: bool,
    small_cell: int | None,
    templates: Path | None,
    model: str | None,
    codebook: Path | None,
    seed: int,
    quiet: bool,
) -> None:
    """Make the "You said" report of a consultation from its survey files and workshop transcripts.

    INPUT files are read as `themes code` reads them; a single INPUT that is no file is the id of a batch in the store.

    \b
    Examples:
      themes report survey.csv workshop.vtt --out report.html
      themes code survey.csv workshop.vtt --out codings.jsonl
      themes report survey.csv workshop.vtt --codings codings.jsonl --decisions blind.jsonl \\
        --out report.html --out report.docx
    """
    settings = Settings()
    choice = ModelChoice(
        str(find_model(settings.registry, model, default=settings.model)), settings.backend, settings.encoder, settings.batch_size
    )  # fmt: skip
    request = ReportRequest(
        inputs=inputs, outs=outs, choice=choice, codings=codings, decisions=decisions, codebook=codebook, title=title,
        reading_options=reading_options, closed=closed, with_personal_data=with_personal_data, previous=previous, candidates=candidates, margins=margins,
        pinned=pinned, banned=banned, templates=templates,
        threshold=settings.small_cell if small_cell is None else small_cell,
        max_quote_chars=max_quote_chars, per_theme=quotes, seed=seed, jobs=settings.jobs, store=settings.store,
    )  # fmt: skip
    made = make_report(request, start=silent if quiet else progress_bar)
    show_problems(list(made.problems))
    m, asked = made.report.method, made.report.asked
    for note in m.notes:
        click.echo(f"note: {note}", err=True)
    hidden = m.n_hidden_closed + m.n_hidden_crosstabs + m.n_hidden_themes
    click.echo(
        f"{counted(asked.n_rows, 'respondent')}, {counted(asked.n_comments, 'comment')} of {counted(asked.n_respondents, 'person', 'people')}, "
        f"{m.n_labelled} labelled; "
        f"{counted(len(made.report.closed), 'closed question')}; {counted(hidden, 'figure')} hidden -> {', '.join(map(str, outs))}",
        err=True,
    )
