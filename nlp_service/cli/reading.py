"""How files are read, on the command line: the same options for every command that reads surveys and transcripts."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from nlp_service.ingest.comments import ReadingOptions
from nlp_service.ingest.mapping import ColumnMapping, read_mapping
from nlp_service.ingest.roles import ROLE_FORM, Role, find_role

_AS_CODED: Final = "As given to `themes code`."


class RoleOption(click.ParamType[tuple[str, Role]]):
    """`COL=ROLE` on the command line."""

    name = "COL=ROLE"

    def convert(
        self, value: str | tuple[str, Role], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Role]:
        """Return the column and the role, or fail as a usage error."""
        if not isinstance(value, str):
            return value
        found = find_role(value)
        if found is None:
            self.fail(f"give {ROLE_FORM}", param, ctx)
        return found


def mapping_option(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds --mapping and hands the command what the file says; MappingInvalidError if it is no mapping."""

    def read(_context: click.Context, _option: click.Parameter, path: Path | None) -> ColumnMapping | None:
        return None if path is None else read_mapping(path)

    return click.option("--mapping", type=click.Path(path_type=Path), callback=read, help=words)


def as_roles(pairs: Sequence[tuple[str, Role]]) -> Mapping[str, Role]:
    """Return what was given with --role, the last word on a column first."""
    return dict(pairs)


def takes_reading_options(*, as_coded: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options and hands the command a `ReadingOptions`, named `reading_options`.

    With `as_coded` their help says that they are those of `themes code`: the command reads files beside their codings.
    """

    def said(own: str) -> str:
        return _AS_CODED if as_coded else own

    options = (
        click.option(
            "--text",
            multiple=True,
            metavar="COL",
            help=said("Column with open answers; may be given several times. [default: all that look open]"),
        ),
        click.option(
            "--id",
            "id_column",
            metavar="COL",
            help=said("Column that names each row. [default: one named like id, else row numbers]"),
        ),
        click.option(
            "--role",
            "roles",
            multiple=True,
            type=RoleOption(),
            help=said("Role of a column; see `themes inspect`."),
        ),
        mapping_option(said("Roles saved by `themes inspect --save-mapping`.")),
        click.option("--sheet", metavar="NAME", help=said("Sheet of a workbook. [default: the first with rows]")),
        click.option(
            "--facilitator",
            "facilitators",
            multiple=True,
            metavar="NAME",
            help=said("Who leads a workshop; may be given several times."),
        ),
        click.option(
            "--with-facilitators",
            is_flag=True,
            help=said("Code facilitators' turns too; they are left out otherwise."),
        ),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(
            *given: Any,
            text: tuple[str, ...],
            id_column: str | None,
            roles: tuple[tuple[str, Role], ...],
            mapping: ColumnMapping | None,
            sheet: str | None,
            facilitators: tuple[str, ...],
            with_facilitators: bool,
            **others: Any,
        ) -> Any:
            how = ReadingOptions(text, id_column, sheet, facilitators, with_facilitators, mapping, as_roles(roles))
            return command(*given, reading_options=how, **others)

        for option in reversed(options):
            with_options = option(with_options)
        return with_options

    return decorate
