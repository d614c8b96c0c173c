"""`themes codebook`: look at a codebook before it is used."""

from pathlib import Path

import click

from models.codebook import SHIPPED, check_codebook, read_codebook
from models.codebook_diff import compare_codebooks

REFUSED = 3


@click.group()
def codebook() -> None:
    """Check and compare codebooks.

    \b
    Examples:
      themes codebook check my-codebook.yaml
      themes codebook diff wave1.yaml wave2.yaml
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


@codebook.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", required=False, type=click.Path(path_type=Path))
def diff(old: Path, new: Path | None) -> None:
    """Say what changed from OLD to NEW, theme by theme, and which changes can alter how comments are coded (marked *).

    Without NEW the shipped codebook is compared.

    \b
    Example:
      themes codebook diff wave1.yaml wave2.yaml
    """
    before, after = read_codebook(old), read_codebook(new or SHIPPED)
    changes = compare_codebooks(before, after)
    for c in changes:
        click.echo(f"{'*' if c.touches_labels else ' '} {c.kind:<9} {c.theme:<16} {c.text}")
    touched = len({c.theme for c in changes if c.touches_labels})
    click.echo(
        f"{before.ref} -> {after.ref}: {len(changes)} changes, {touched} themes whose labels they can alter", err=True
    )
