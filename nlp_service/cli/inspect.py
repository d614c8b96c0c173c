"""`themes inspect`: a thin door to `nlp_service.inspect_file`."""

from pathlib import Path

import click

from models.counts import counted
from nlp_service.cli.reading import RoleOption, as_roles, mapping_option
from nlp_service.ingest.comments import BLANK, ReadingOptions
from nlp_service.ingest.mapping import ColumnMapping
from nlp_service.ingest.roles import ColumnRole, Role
from nlp_service.inspect_file import inspect_file

_SHOWN_CHARS = 48


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--text", multiple=True, metavar="COL", help="Column with open answers; may be given several times.")
@click.option("--id", "id_column", metavar="COL", help="Column that names each row.")
@click.option("--role", "roles", multiple=True, type=RoleOption(), help=f"Role of a column: {', '.join(Role)}.")
@click.option("--sheet", metavar="NAME", help="Sheet of a workbook. [default: the first with rows]")
@mapping_option("Roles saved from another wave.")
@click.option("--save-mapping", type=click.Path(path_type=Path), help="Write the roles here, for the next wave.")
def inspect(
    file: Path,
    text: tuple[str, ...],
    id_column: str | None,
    roles: tuple[tuple[str, Role], ...],
    sheet: str | None,
    mapping: ColumnMapping | None,
    save_mapping: Path | None,
) -> None:
    """Show what each column of FILE is taken for, and why; nothing is coded.

    \b
    Examples:
      themes inspect survey.xlsx
      themes inspect survey.csv --role "Q7=ignore" --role "Which ward?=demographic" --save-mapping survey.yaml
      themes code wave2.csv --mapping survey.yaml --out wave2.xlsx
    """
    how = ReadingOptions(text, id_column, sheet, mapping=mapping, roles=as_roles(roles))
    found = inspect_file(file, how, save_mapping=save_mapping)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    for column in found.columns:
        click.echo(_line(column))
    blank = sum(p.code == BLANK for p in found.problems)
    others = len(found.problems) - blank
    click.echo(
        f"{counted(found.n_rows, 'row')}: {counted(found.n_comments, 'comment')} to code, {blank} blank, "
        f"{counted(others, 'other problem')}",
        err=True,
    )
    if save_mapping is not None:
        click.echo(f"roles -> {save_mapping}", err=True)


def _line(column: ColumnRole) -> str:
    name = column.column if len(column.column) <= _SHOWN_CHARS else column.column[: _SHOWN_CHARS - 1] + "…"
    kind = f" ({column.kind})" if column.kind is not None and column.role is Role.DEMOGRAPHIC else ""
    order = f": {' < '.join(column.order)}" if column.order else ""
    return f"{name:<{_SHOWN_CHARS}}  {column.role + kind:<22}  {column.reason}{order}"
