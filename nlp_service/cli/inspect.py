"""`themes inspect`: a thin door to `nlp_service.inspect_file`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from models.counts import counted
from nlp_service.ingest.comments import BLANK
from nlp_service.ingest.roles import ColumnRole, Role
from nlp_service.inspect_file import inspect_file

_SHOWN_CHARS = 48


class RoleOption(click.ParamType[tuple[str, Role]]):
    """`COL=ROLE` on the command line; the last "=" counts, so that headers may hold one."""

    name = "COL=ROLE"

    def convert(
        self, value: str | tuple[str, Role], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Role]:
        """Return the column and the role, or fail as a usage error."""
        if not isinstance(value, str):
            return value
        column, _, role = value.rpartition("=")
        if not column or role not in [r.value for r in Role]:
            self.fail(f"give COL=ROLE, where ROLE is one of: {', '.join(Role)}.", param, ctx)
        return column, Role(role)


def as_roles(pairs: Sequence[tuple[str, Role]]) -> Mapping[str, Role]:
    """Return what was given with --role, the last word on a column first."""
    return dict(pairs)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--text", multiple=True, metavar="COL", help="Column with open answers; may be given several times.")
@click.option("--id", "id_column", metavar="COL", help="Column that names each row.")
@click.option("--role", "roles", multiple=True, type=RoleOption(), help=f"Role of a column: {', '.join(Role)}.")
@click.option("--sheet", metavar="NAME", help="Sheet of a workbook. [default: the first with rows]")
@click.option("--mapping", type=click.Path(path_type=Path), help="Roles saved from another wave.")
@click.option("--save-mapping", type=click.Path(path_type=Path), help="Write the roles here, for the next wave.")
def inspect(
    file: Path,
    text: tuple[str, ...],
    id_column: str | None,
    roles: tuple[tuple[str, Role], ...],
    sheet: str | None,
    mapping: Path | None,
    save_mapping: Path | None,
) -> None:
    """Show what each column of FILE is taken for, and why; nothing is coded.

    \b
    Examples:
      themes inspect survey.xlsx
      themes inspect survey.csv --role "Q7=ignore" --role "Which ward?=demographic" --save-mapping survey.yaml
      themes code wave2.csv --mapping survey.yaml --out wave2.xlsx
    """
    found = inspect_file(
        file,
        text=text,
        id_column=id_column,
        sheet=sheet,
        roles=as_roles(roles),
        mapping=mapping,
        save_mapping=save_mapping,
    )
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
