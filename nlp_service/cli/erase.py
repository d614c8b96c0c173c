"""`themes erase`: a thin door to `nlp_service.erase_respondent`."""

from pathlib import Path
from typing import Final

import click

from models.counts import counted
from nlp_service.erase_files import make_places
from nlp_service.erase_respondent import RespondentNotFoundError, erase_respondent
from nlp_service.settings import Settings
from nlp_service.store.database import open_store

REFUSED: Final = 3


@click.command()
@click.argument("respondent")
@click.option("--consultation", metavar="NAME", help="Only there. [default: everywhere]")
@click.option(
    "--from", "paths", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
    help="Look here too: a round, a file of JSON lines, or a folder that holds either.",
)  # fmt: skip
def erase(respondent: str, consultation: str | None, paths: tuple[Path, ...]) -> None:
    """Erase all that RESPONDENT said: from the store, from rounds, decisions and gold sets, and from Label Studio.

    Lists the models that were trained on it. Given again, it finishes what was left (exit code 3 while something is). Where nothing
    is kept under that id, misspelt or erased before, the exit code is 4.

    \b
    Example:
      themes erase p1042
      themes erase "Speaker 3" --consultation "Wave 3" --from round-1 --from decisions.jsonl
    """
    settings = Settings()
    done = erase_respondent(
        open_store(settings.store),
        respondent,
        consultation=consultation,
        actor="cli",
        places=make_places(settings, paths),
    )
    click.echo(f"{counted(done.n_comments, 'comment')} in {counted(len(done.batches), 'batch', 'batches')}", err=True)
    click.echo(f"{counted(done.n_lines, 'line')} of files, {counted(done.n_tasks, 'task')} in Label Studio", err=True)
    if not done.is_found:
        nobody = RespondentNotFoundError(done.n_files)
        click.echo(f"note: {nobody.found}\n  next: {nobody.next_step}", err=True)
    for model in done.learnt_from.models:
        click.echo(f"trained on them: {model}")
    for model in done.learnt_from.unknown:
        click.echo(f"cannot tell: {model}")
    for what in done.left:
        click.echo(f"left: {what}", err=True)
    if done.left:
        raise click.exceptions.Exit(REFUSED)
