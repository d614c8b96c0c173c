"""`themes codebook`: look at a codebook before it is used, change it, and take it to other programs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from models.codebook import SHIPPED, check_codebook, read_codebook
from models.codebook_changes import CodebookChange, merge, rename, retire, split
from models.codebook_diff import compare_codebooks
from models.counts import counted
from nlp_service.change_codebook import (
    change_file,
    export_codebook,
    find_changes,
    import_codebook,
    part_from_text,
    promote_candidate,
    read_changes,
    undo,
    view_decisions,
    write_change,
)
from nlp_service.cli.reading import takes_reading_options
from nlp_service.export_project import export_project
from nlp_service.find_candidates import CandidatesRequest
from nlp_service.ingest.comments import ReadingOptions

REFUSED = 3
F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def codebook() -> None:
    """Check, compare, change and export codebooks.

    \b
    Examples:
      themes codebook check my-codebook.yaml
      themes codebook diff wave1.yaml wave2.yaml
      themes codebook merge ASB.drink ASB.beg --into ASB.drink --out wave2.yaml
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
        click.echo(
            f"{path.name}: not usable: {counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}",
            err=True,
        )
        context.exit(REFUSED)
    click.echo(
        f"{path.name}: {found.ref}, {counted(len(found.themes), 'theme')}, {len(found.codable)} of them codable; "
        f"{counted(len(findings), 'warning')}",
        err=True,
    )


@codebook.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", required=False, type=click.Path(path_type=Path))
def diff(old: Path, new: Path | None) -> None:
    """Say what changed from OLD to NEW, theme by theme, and which changes can alter how comments are coded (marked *).

    Without NEW the shipped codebook is compared. The change files beside NEW (NAME.change.json) tell what was merged, split,
    retired or given another id.

    \b
    Example:
      themes codebook diff wave1.yaml wave2.yaml
    """
    path = new or SHIPPED
    before, after = read_codebook(old), read_codebook(path)
    way, unread = find_changes(before, after, path.parent)
    changes = compare_codebooks(before, after, way)
    for c in changes:
        click.echo(f"{'*' if c.touches_labels else ' '} {c.kind:<9} {c.theme:<16} {c.text}")
    if not way and any(c.kind == "removed" for c in changes):
        click.echo(
            f"note: no change files beside {path.name} lead from {before.ref} to {after.ref}: what was merged, split or given another "
            "id shows as removed and added." + (f" Not to be read: {', '.join(unread)}." if unread else ""),
            err=True,
        )
    touched = len({c.theme for c in changes if c.touches_labels})
    click.echo(
        f"{before.ref} -> {after.ref}: {counted(len(changes), 'change')}, {counted(touched, 'theme')} whose labels they can alter",
        err=True,
    )


def _out(command: F) -> F:
    return click.option("--out", required=True, type=click.Path(path_type=Path), help="New version to write (YAML).")(
        command
    )


def _book(command: F) -> F:
    return click.option(
        "--codebook", "book", type=click.Path(path_type=Path), help="Codebook to change. [default: the shipped one]"
    )(command)


def _written(change: CodebookChange, out: Path, queue: Sequence[str] = ()) -> None:
    write_change(change, out, queue=queue)
    click.echo(f"{change.old.ref} -> {change.new.ref}: {out}; the map from old labels: {change_file(out)}", err=True)
    if queue:
        click.echo(
            f"{counted(len(queue), 'comment raises', 'comments raise')} it: code or decide these first (listed there under queue)",
            err=True,
        )


@codebook.command(name="promote")
@click.argument("candidate")
@click.option("--from", "source", required=True, type=click.Path(path_type=Path), help="Candidates file (JSON).")
@_book
@_out
@click.option("--id", "theme_id", help="Id of the new theme. [default: as suggested]")
@click.option("--label", help="[default: as suggested]")
@click.option("--definition", help="[default: as suggested]")
@click.option("--parent", help="Theme of the upper level that it belongs under.")
def promote_command(
    candidate: str,
    source: Path,
    book: Path | None,
    out: Path,
    theme_id: str | None,
    label: str | None,
    definition: str | None,
    parent: str | None,
) -> None:
    """Make the CANDIDATE of that id a theme.

    \b
    Example:
      themes codebook promote new-5ff0f069 --from candidates.json --parent ENV --id ENV.library \\
        --label "Libraries" --definition "Opening hours, closures and state of libraries." --out wave2.yaml
    """
    change, queue = promote_candidate(
        read_codebook(book or SHIPPED),
        source,
        candidate,
        theme_id=theme_id,
        label=label,
        definition=definition,
        parent=parent,
    )
    _written(change, out, queue)


@codebook.command(name="merge")
@click.argument("themes", nargs=-1, required=True)
@click.option("--into", required=True, metavar="ID", help="Theme that takes their labels.")
@_book
@_out
def merge_command(themes: tuple[str, ...], into: str, book: Path | None, out: Path) -> None:
    """Make labels of THEMES labels of one of them, or of another theme.

    \b
    Example:
      themes codebook merge ASB.drink ASB.beg --into ASB.drink --out wave2.yaml
    """
    _written(merge(read_codebook(book or SHIPPED), themes, into), out)


@codebook.command(name="split")
@click.argument("theme")
@click.option("--part", "parts", multiple=True, required=True, metavar="'ID=LABEL: DEFINITION'", help="Two or more.")
@_book
@_out
def split_command(theme: str, parts: tuple[str, ...], book: Path | None, out: Path) -> None:
    """Put parts in a THEME's place. A label of the old theme waits until a person says which part holds.

    \b
    Example:
      themes codebook split ASB.vehicle --part "ASB.car=Cars: Racing and loud cars." \\
        --part "ASB.scooter=Scooters: E-scooters on pavements." --out wave2.yaml
    """
    _written(split(read_codebook(book or SHIPPED), theme, [part_from_text(p) for p in parts]), out)


@codebook.command(name="rename")
@click.argument("theme")
@click.option("--label", help="New label.")
@click.option("--new-id", help="New id; labels go with it.")
@_book
@_out
def rename_command(theme: str, label: str | None, new_id: str | None, book: Path | None, out: Path) -> None:
    """Give a THEME another label, another id, or both.

    \b
    Example:
      themes codebook rename ASB.litter --label "Litter and fly-tipping" --out wave2.yaml
    """
    _written(rename(read_codebook(book or SHIPPED), theme, label=label, new_id=new_id), out)


@codebook.command(name="retire")
@click.argument("theme")
@_book
@_out
def retire_command(theme: str, book: Path | None, out: Path) -> None:
    """Leave a THEME out from now on. Old results keep it under their own version.

    \b
    Example:
      themes codebook retire ASB.beg --out wave2.yaml
    """
    _written(retire(read_codebook(book or SHIPPED), theme), out)


@codebook.command(name="apply")
@click.argument("changes", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--decisions", required=True, type=click.Path(path_type=Path), help="Decisions on the old version (JSONL)."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Decisions on the new version (JSONL).")
def apply_command(changes: tuple[Path, ...], decisions: Path, out: Path) -> None:
    """Write decisions as the new version means them; what a split leaves open goes to OUT.queue.jsonl. The old file stays.

    \b
    Example:
      themes codebook apply wave2.change.json --decisions round1.jsonl --out round1-wave2.jsonl
    """
    seen = view_decisions(read_changes(changes), decisions, out)
    click.echo(
        f"{counted(seen.n_lines, 'decision')}: {seen.n_written} -> {out}, {counted(seen.n_queued, 'waits', 'wait')} for a person",
        err=True,
    )
    if seen.n_retired:
        click.echo(f"{seen.n_retired} of them had a theme that is retired", err=True)
    if seen.queue_file is not None:
        click.echo(f"those that wait: {seen.queue_file}", err=True)


@codebook.command(name="undo")
@click.argument("change", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The version before it (YAML).")
def undo_command(change: Path, out: Path) -> None:
    """Write the version before a CHANGE again.

    \b
    Example:
      themes codebook undo wave2.change.json --out wave1-again.yaml
    """
    click.echo(f"{undo(change, out).ref} -> {out}", err=True)


@codebook.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="File to write (.qdc, or .qdpx with comments)."
)
@click.option("--codings", type=click.Path(path_type=Path), help="For .qdpx: all comments, coded (JSONL).")
@click.option(
    "--comments", multiple=True, type=click.Path(path_type=Path), help="For .qdpx: the files that were coded."
)
@takes_reading_options(as_coded=True)
@click.option("--with-personal-data", is_flag=True, help="Texts as they were written, not redacted.")
def export(
    file: Path | None,
    out: Path,
    codings: Path | None,
    comments: tuple[Path, ...],
    reading_options: ReadingOptions,
    with_personal_data: bool,
) -> None:
    """Write FILE, or the shipped codebook, as REFI-QDA for NVivo, ATLAS.ti, MAXQDA or QualCoder; with coded comments as a project.

    \b
    Example:
      themes codebook export my-codebook.yaml --out my-codebook.qdc
      themes codebook export --codings codings.jsonl --comments survey.csv --out survey.qdpx
    """
    if codings is None:
        book = export_codebook(file or SHIPPED, out)
        click.echo(f"{book.ref}, {counted(len(book.themes), 'theme')} -> {out}", err=True)
        return
    request = CandidatesRequest(codings, comments, out, reading_options, codebook=file)
    n = export_project(request, with_personal_data=with_personal_data)
    click.echo(f"{counted(n, 'comment')} -> {out}", err=True)


@codebook.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Codebook to write (YAML).")
def import_command(file: Path, out: Path) -> None:
    """Write a REFI-QDA codebook (FILE.qdc) as a codebook of ours.

    \b
    Example:
      themes codebook import from-nvivo.qdc --out my-codebook.yaml
    """
    book = import_codebook(file, out)
    click.echo(f"{book.ref}, {counted(len(book.themes), 'theme')} -> {out}", err=True)
