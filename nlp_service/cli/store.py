"""`themes store`: backup and restore of what the service keeps."""

from pathlib import Path

import click

from models.counts import counted
from nlp_service.settings import Settings
from nlp_service.store.backup import back_up
from nlp_service.store.backup import restore as put_back
from nlp_service.store.database import open_store


@click.group()
def store() -> None:
    """Back up what the service keeps, and put it back.

    \b
    Example:
      themes store backup themes-2026-11-25.zip
    """


@store.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Write all of the store into FILE; the service may go on meanwhile. The secret of the keys is not in it.

    \b
    Example:
      themes store backup themes-2026-11-25.zip
    """
    click.echo(f"{counted(back_up(open_store(Settings().store), file), 'row')} -> {file}", err=True)


@store.command()
@click.argument("file", type=click.Path(path_type=Path))
def restore(file: Path) -> None:
    """Put a backup into the store that THEMES_STORE names, which must be empty. Batches that waited are coded on.

    \b
    Example:
      THEMES_STORE=postgresql://themes@db/themes themes store restore themes-2026-11-25.zip
    """
    click.echo(f"{counted(put_back(open_store(Settings().store), file), 'row')} restored", err=True)
