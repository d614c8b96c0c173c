"""`themes model`: look at models, publish them, roll back, pin."""

from datetime import UTC, datetime
from pathlib import Path

import click

from models.artefact import read_artefact
from models.counts import counted
from models.model import Backend, build_classifier
from models.registry import Registry, pin, read_registry, roll_back
from nlp_service.change_registry import pin_model
from nlp_service.find_model import find_current, find_model
from nlp_service.publish_model import PublishRequest, check_passed, publish_model
from nlp_service.settings import Settings


@click.group()
def model() -> None:
    """Look at models, publish them, roll back, pin one to a consultation.

    \b
    Examples:
      themes model verify starter
      themes model publish my-model --gold gold.jsonl
      themes model list
      themes model rollback
    """


@model.command()
@click.argument("id_or_dir", required=False)
def verify(id_or_dir: str | None) -> None:
    """Check every file of a model and of its encoder against their digests, then load it.

    Without ID_OR_DIR, the model that codes by default is checked.

    \b
    Examples:
      themes model verify starter
      themes model verify models/my-model
    """
    settings = Settings()
    artefact = read_artefact(find_model(settings.registry, id_or_dir, default=settings.model))
    build_classifier(artefact, backend=Backend(settings.backend), encoder=settings.encoder)
    click.echo(
        f"{artefact.model_id}: intact; codebook {artefact.codebook.ref} ({counted(len(artefact.codebook.codable), 'theme')}), "
        f"encoder {artefact.encoder}"
    )


@model.command()
@click.argument("id_or_dir", required=False)
def show(id_or_dir: str | None) -> None:
    """Print a model's card: what it was trained on, how well it does, what its limits are.

    \b
    Example:
      themes model show starter
    """
    settings = Settings()
    click.echo(read_artefact(find_model(settings.registry, id_or_dir, default=settings.model)).card_text)


@model.command("list")
def list_models() -> None:
    """List the models of the registry: which code now, which were refused and why, and the pins.

    \b
    Example:
      themes model list
    """
    settings = Settings()
    registry = read_registry(settings.registry)
    starter = read_artefact(find_model(settings.registry, "starter"))
    if registry.find_published(starter.codebook.id) is None:
        click.echo(f"{starter.model_id}  {starter.codebook.ref}  codes now (ships with the program)")
    for entry in registry.entries:
        click.echo(
            f"{entry.model}  {entry.codebook_id}@{entry.codebook_version}  {_standing(registry, entry.model, entry.status)}  "
            f"{entry.at}  {entry.reason}" + (f"  published all the same: {entry.override}" if entry.override else "")
        )
    for consultation, pinned in sorted(registry.pins.items()):
        click.echo(f"pin: {consultation} is coded by {pinned}")


def _standing(registry: Registry, name: str, status: str) -> str:
    if status == "refused":
        return "refused"
    return "codes now" if any(s and s[-1] == name for s in registry.published.values()) else "accepted before"


@model.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--gold", type=click.Path(path_type=Path), help="Gold set (decisions). [default: the one fixed before]")
@click.option("--new-gold", is_flag=True, help="Fix another gold set from now on.")
@click.option("--override", metavar="REASON", help="Publish even if the gate refuses; the reason is written down.")
def publish(folder: Path, gold: Path | None, new_gold: bool, override: str | None) -> None:
    """Put the model in DIR through the gate; if it passes, it codes from now on.

    The gate codes a fixed gold set with this model and with the one that codes now. A model that does worse is listed as
    refused (exit code 3) and codes nothing.

    \b
    Examples:
      themes model publish my-model --gold gold.jsonl
      themes model publish my-model --override "two themes were merged; figures of old ones fall"
    """
    if override is not None and not override.strip():
        raise click.UsageError("--override needs a reason.")
    settings = Settings()
    request = PublishRequest(
        folder, settings.registry, gold, new_gold, override, Backend(settings.backend), settings.encoder
    )
    done = publish_model(request, now=datetime.now(UTC))
    for note in done.notes:
        click.echo(f"note: {note}", err=True)
    check_passed(done)
    against = f", compared with {done.compared_with}" if done.compared_with else ""
    click.echo(
        f"{done.entry.model} codes {done.entry.codebook_id} from now on{against}: {done.entry.reason}"
        + (f"; published all the same: {done.entry.override}" if done.entry.override else "")
    )


@model.command()
@click.argument("codebook_id", required=False)
@click.option("--reason", default="", help="Why; it is written down.")
def rollback(codebook_id: str | None, reason: str) -> None:
    """Let the model that was published before code again (the shipped one, if there was none).

    \b
    Examples:
      themes model rollback
      themes model rollback my-codebook --reason "misses parking"
    """
    settings = Settings()
    codebook = codebook_id or read_artefact(find_model(settings.registry, "starter")).codebook.id
    roll_back(settings.registry, codebook, at=datetime.now(UTC), reason=reason)
    current = find_current(settings.registry, codebook)
    now = f"{read_artefact(current).model_id} codes {codebook} again" if current else f"no model codes {codebook} now"
    click.echo(now)


@model.command("pin")
@click.argument("consultation")
@click.argument("model_id")
def pin_command(consultation: str, model_id: str) -> None:
    """Let MODEL_ID code CONSULTATION whatever is published later: a model of the registry, or `starter`.

    \b
    Examples:
      themes model pin safety-plan-2026 my-model-1.0.0+1a2b3c4d
      themes model pin safety-plan-2026 starter
      themes code wave2.csv --consultation safety-plan-2026 --out coded.xlsx
    """
    pinned = pin_model(Settings().registry, consultation, model_id, refused_too=True, now=datetime.now(UTC))
    click.echo(f"{consultation} is coded by {pinned}")


@model.command("unpin")
@click.argument("consultation")
def unpin_model(consultation: str) -> None:
    """Let the published model code CONSULTATION again.

    \b
    Example:
      themes model unpin safety-plan-2026
    """
    pin(Settings().registry, consultation, None, at=datetime.now(UTC))
    click.echo(f"{consultation} is coded by the published model")
