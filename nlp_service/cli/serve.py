"""`themes serve`: starts the scoring service."""

import ipaddress
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import click

from models.model import Backend, load_model
from nlp_service.loaded_models import LoadedModels
from nlp_service.round_folder import read_round
from nlp_service.round_watch import RoundWatch
from nlp_service.run_round import Server
from nlp_service.settings import Settings

AGAIN_S: Final = 2.0
"""Seconds before a worker that has ended is started again."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8765, show_default=True)
@click.option(
    "--model",
    metavar="ID_OR_DIR",
    help="Model to code with where a caller names none. [default: the published one, else starter]",
)
@click.option(
    "--workers", type=click.IntRange(0, 64), default=1, show_default=True, help="Workers to start for batches."
)
@click.option(
    "--round", "round_folder", type=click.Path(path_type=Path), metavar="DIR",
    help="Round to pull when Label Studio says that something changed.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="No line for each request on standard error.")
def serve(host: str, port: int, model: str | None, workers: int, round_folder: Path | None, quiet: bool) -> None:
    """Code texts and batches for other programs, until stopped.

    The first time, a link is printed that makes the admin key. Until there is a key, this machine alone is listened to,
    and may classify.

    \b
    Example:
      themes serve --port 8765
      curl -s localhost:8765/v1/classify -H 'content-type: application/json' -d '{"texts": ["Too dark at night."]}'
    """
    from nlp_service.api.app import make_app  # noqa: PLC0415 -- what only a service needs
    from nlp_service.api.label_studio import PREFIX, mount_label_studio  # noqa: PLC0415
    from nlp_service.api.listen import ServeRefusedError, bind, listen  # noqa: PLC0415
    from nlp_service.api.middleware import write_log_line  # noqa: PLC0415
    from nlp_service.api.service import open_service  # noqa: PLC0415
    from nlp_service.store.database import open_store  # noqa: PLC0415
    from nlp_service.store.keys import KeyRing, read_secret  # noqa: PLC0415

    settings, is_local = Settings(), _is_loopback(host)
    if round_folder is not None:
        settings = settings.model_copy(update={"erase_from": (*settings.erase_from, round_folder)})
    keys = KeyRing(open_store(settings.store), read_secret(settings.secret_file))
    if not is_local and not keys.has_keys():
        raise ServeRefusedError(
            f"the service would be open to other machines at {host}, and there is no key yet.",
            allowed="127.0.0.1, ::1 or localhost until there is a key.",
            next_step="make one with `themes key create --scope admin NAME`, or leave --host out.",
        )
    models = LoadedModels(
        settings.registry,
        lambda folder: load_model(str(folder), backend=Backend(settings.backend), encoder=settings.encoder),
        default=model or settings.model,
        tell=lambda line: click.echo(line, err=True),
    )
    service = open_service(settings, models, is_local=is_local)
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    first = models.in_service
    click.echo(f"{first.model_id}, {first.codebook.ref}: {base}/v1/classify", err=True)
    if not keys.has_keys():
        click.echo(f"make the admin key, once: {base}/first-key?token={service.first_link.token}", err=True)
    app = make_app(service, write_log=None if quiet else write_log_line)
    watch = _find_watch(settings, round_folder)
    if settings.label_studio_secret is not None:
        mount_label_studio(app, models, settings.label_studio_secret, watch)
        click.echo(f"for Label Studio: {base}{PREFIX}", err=True)
    listeners = bind(host, port)
    supervisor = Supervisor(workers)
    supervisor.start()
    try:
        listen(app, listeners)
    finally:
        supervisor.stop()
        if watch is not None:
            watch.stop()
        service.close()


def _find_watch(settings: Settings, folder: Path | None) -> RoundWatch | None:
    """Return a started watch of a round, or None if none is wanted."""
    if folder is None:
        return None
    if settings.label_studio_secret is None or settings.label_studio_url is None or settings.label_studio_token is None:
        raise click.UsageError(
            "--round needs THEMES_LABEL_STUDIO_SECRET, THEMES_LABEL_STUDIO_URL and THEMES_LABEL_STUDIO_TOKEN."
        )
    read_round(folder)
    server = Server(settings.label_studio_url, settings.label_studio_token, settings.label_studio_timeout_s)
    watch = RoundWatch(folder, server)
    watch.start()
    return watch


class Supervisor:
    """Keeps a number of `themes worker` processes running."""

    def __init__(self, n_workers: int) -> None:
        self._n_workers, self._stop = n_workers, threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(n_workers)]

    def start(self) -> None:
        """Start them."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop them, each after the chunks that it has in hand."""
        self._stop.set()
        for process in self._processes:
            process.terminate()
        for thread in self._threads:
            thread.join()

    def _keep(self) -> None:
        command = [str(Path(sys.executable).with_name("themes")), "worker", "--with-parent"]
        while not self._stop.is_set():
            process = subprocess.Popen(command)  # noqa: S603 -- our own command
            self._processes.append(process)
            if self._stop.is_set():
                process.terminate()
            process.wait()
            self._processes.remove(process)
            self._stop.wait(AGAIN_S)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
