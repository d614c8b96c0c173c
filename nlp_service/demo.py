"""The demo: code the sample consultation, show what came of it, and make its report. `make demo` runs this."""

from pathlib import Path
from typing import Final

import click

from models.counts import counted
from models.model import STARTER_ID
from models.vocabulary import CodedComment, Comment, ThemeId
from nlp_service.cli.code import progress_bar
from nlp_service.code_batch import CodedBatch, CodeRequest, code_batch
from nlp_service.coding_pool import ModelChoice
from nlp_service.make_report import ReportRequest, make_report
from nlp_service.report.table import shares_table, themes_table, underlined
from nlp_service.report.workshops import workshops_table
from nlp_service.settings import Settings

SAMPLE: Final = Path(__file__).parent / "samples" / "survey.csv"
WORKSHOPS: Final = (SAMPLE.with_name("workshop-1.vtt"), SAMPLE.with_name("workshop-2.txt"))
OUT: Final = Path("demo-output") / "sample-coded.xlsx"
WORKSHOPS_OUT: Final = OUT.with_name("workshops-coded.xlsx")
DECISIONS: Final = SAMPLE.with_name("decisions.jsonl")
"""Of 100 people drawn at random, made by reading their comments without the model's answer."""
REPORTS: Final = (OUT.with_name("report.html"), OUT.with_name("report.docx"))
TITLE: Final = "Harrowgate and Marlow community safety consultation"
_SHOWN: Final = 3
_SHOWN_CHARS: Final = (150, 420)
_MIN_THEMES: Final = 2
_MAX_THEMES: Final = 3


def main() -> None:
    """Code the sample, print the table of themes and three comments with their evidence underlined, and make the report."""
    settings = Settings()
    OUT.parent.mkdir(exist_ok=True)
    choice = ModelChoice(settings.model or STARTER_ID, settings.backend, settings.encoder, settings.batch_size)
    batch = code_batch(CodeRequest((SAMPLE,), OUT, choice, jobs=settings.jobs), start=progress_bar)
    click.echo(
        "\nThe sample is made up: the Harrowgate and Marlow community safety consultation, two open questions.\n"
    )
    click.echo(themes_table(batch.run))
    click.echo("\nThree comments, the words that carry each theme underlined:\n")
    for comment, coded in _telling(batch):
        click.echo(underlined(comment, coded, batch.run.codebook) + "\n")
    workshops = code_batch(CodeRequest(WORKSHOPS, WORKSHOPS_OUT, choice, jobs=settings.jobs), start=progress_bar)
    click.echo("\nThe workshops beside it, never added to the survey; facilitators' turns are left out:\n")
    click.echo(workshops_table(workshops.run.codebook, workshops.pairs) + "\n")
    run = batch.run
    click.echo(
        f"{counted(run.n_comments, 'comment')} of {counted(run.n_rows, 'person', 'people')} coded by {run.model} in {run.seconds:.1f} s."
    )
    click.echo(f"The coded workbooks: {OUT} and {WORKSHOPS_OUT}\n")
    request = ReportRequest((SAMPLE, *WORKSHOPS), REPORTS, choice, decisions=DECISIONS, title=TITLE, jobs=settings.jobs)
    report = make_report(request, start=progress_bar).report
    click.echo('\nThe "You said" report, with intervals from 100 people whose comments were read blind:\n')
    click.echo(shares_table(report))
    click.echo(f"\nThe report: {' and '.join(map(str, REPORTS))}")


def _telling(batch: CodedBatch) -> list[tuple[Comment, CodedComment]]:
    """Return comments of readable length whose two or three themes rest on different words, no two about the same."""
    chosen: list[tuple[Comment, CodedComment]] = []
    seen: set[ThemeId] = set()
    low, high = _SHOWN_CHARS
    codebook = batch.run.codebook
    for comment, coded in batch.shown:
        themes = [codebook.get_theme(t) for t in coded.themes]
        apart = len({s for c in coded.codings for s in c.evidence}) == sum(len(c.evidence) for c in coded.codings)
        fits = low <= len(comment.text) <= high and _MIN_THEMES <= len(themes) <= _MAX_THEMES
        fits = fits and apart and not any(t.residual for t in themes)
        if fits and "\n" not in comment.text and seen.isdisjoint(coded.themes):
            chosen.append((comment, coded))
            seen.update(coded.themes)
        if len(chosen) == _SHOWN:
            break
    return chosen


if __name__ == "__main__":
    main()
