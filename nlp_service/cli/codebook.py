"""`themes codebook`: look at a codebook before it is used."""

from pathlib import Path

import click

from models.codebook import SHIPPED, check_codebook

REFUSED = 3


@click.group()
def codebook() -> None:
    """Check codebooks.

    \b
    Example:
      themes codebook check my-codebook.yaml
    """


@codebook.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_context
def check(context: click.Context, file: Path | None) -> None:
    """Look for double ids, missing parents, empty fields and overlapping definitions in FILE, with line numbers.

    Without FILE the shipped codebook is checked. Exit code 0: usable, maybe with warnings; 3: errors.

    \b
    Example:
      themes codebook check my-codebook.yaml
    """
    path = file or SHIPPED
    found, findings = check_codebook(path)
    for f in findings:
        click.echo(f"{path.name}:{f.line}: {f.level} {f.code}: {f.message}")
    errors = sum(f.level == "error" for f in findings)
    if found is None:
        click.echo(f"{path.name}: not usable: {errors} errors, {len(findings) - errors} warnings", err=True)
        context.exit(REFUSED)
    click.echo(
        f"{path.name}: {found.ref}, {len(found.themes)} themes, {len(found.codable)} of them codable; "
        f"{len(findings)} warnings",
        err=True,
    )
