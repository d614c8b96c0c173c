"""`themes model`: look at model folders."""

import click

from models.artefact import read_artefact
from models.model import Backend, build_classifier, find_model_folder
from nlp_service.settings import Settings


@click.group()
def model() -> None:
    """Look at models.

    \b
    Examples:
      themes model verify starter
      themes model show starter
    """


@model.command()
@click.argument("id_or_dir", default="starter")
def verify(id_or_dir: str) -> None:
    """Check every file of a model and of its encoder against their digests, then load it.

    \b
    Examples:
      themes model verify starter
      themes model verify models/my-model
    """
    artefact = read_artefact(find_model_folder(id_or_dir))
    settings = Settings()
    build_classifier(artefact, backend=Backend(settings.backend), encoder=settings.encoder)
    click.echo(
        f"{artefact.model_id}: intact; codebook {artefact.codebook.ref} ({len(artefact.codebook.codable)} themes), "
        f"encoder {artefact.encoder}"
    )


@model.command()
@click.argument("id_or_dir", default="starter")
def show(id_or_dir: str) -> None:
    """Print a model's card: what it was trained on, how well it does, what its limits are.

    \b
    Example:
      themes model show starter
    """
    click.echo(read_artefact(find_model_folder(id_or_dir)).card_text)
