"""`themes serve`: starts the scoring service."""

import ipaddress

import click

from models.model import Backend, load_model
from models.vocabulary import ThemesError
from nlp_service.classify_texts import TextClassifier
from nlp_service.find_model import find_model
from nlp_service.settings import Settings


class ServeRefusedError(ThemesError):
    """The service cannot listen where it was asked to."""

    code = "serve_refused"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at: this machine's own only.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8765, show_default=True)
@click.option("--model", metavar="ID_OR_DIR", help="Model to code with. [default: the published one, else starter]")
def serve(host: str, port: int, model: str | None) -> None:
    """Answer POST /v1/classify with themes for texts, until stopped.

    \b
    Example:
      themes serve --port 8765
      curl -s localhost:8765/v1/classify -H 'content-type: application/json' -d '{"texts": ["Too dark at night."]}'
    """
    import uvicorn  # noqa: PLC0415 -- what only a service needs

    from nlp_service.api.app import make_app  # noqa: PLC0415

    if not _is_loopback(host):
        raise ServeRefusedError(
            f"the service would be open to other machines at {host}.",
            allowed="127.0.0.1, ::1 or localhost: it knows no keys yet.",
            next_step="leave --host out, and put a proxy that checks its callers in front.",
        )
    settings = Settings()
    folder = find_model(settings.registry, model, default=settings.model)
    classifier = TextClassifier(load_model(str(folder), backend=Backend(settings.backend), encoder=settings.encoder))
    click.echo(f"{classifier.model_id}, {classifier.codebook.ref}: http://{host}:{port}/v1/classify", err=True)
    uvicorn.run(make_app(classifier), host=host, port=port, log_level="warning", access_log=False, server_header=False)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
