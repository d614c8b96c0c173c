"""A Label Studio server of our own on this machine: its own environment and data folder, SQLite, nothing sent anywhere."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import httpx

from models.vocabulary import ThemesError

VENV: Final = Path(".venv-label-studio")
"""Where `make label-studio` installs it, beside the project's own `.venv`."""
START_SECONDS: Final = 240.0
"""The first start lays out the database, which takes about a minute on a slow machine."""
STOP_SECONDS: Final = 20.0
ADMIN: Final = "admin@example.org"
ANNOTATORS: Final = ("first@example.org", "second@example.org")
PORT: Final = 8080
DATA: Final = Path(".label-studio")
ACCOUNTS: Final = "accounts.json"
BANNED_SUBNETS: Final = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
    "233.252.0.0/24", "240.0.0.0/4", "255.255.255.255/32", "::/128", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96",
    "64:ff9b:1::/48", "100::/64", "2001:0000::/32", "2001:20::/28", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10",
    "ff00::/8",
)  # fmt: skip
"""The reserved ranges that Label Studio keeps its servers from calling, as in `validate_ip` of its `core/utils/io.py`, without the
loopback ranges: there the suggestions' and webhooks' own service listens."""
_CSRF: Final = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class ServerError(ThemesError):
    """The local Label Studio cannot be started."""

    code = "label_studio_not_started"


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who can log in, and their token for the API."""

    email: str
    password: str
    token: str


class LabelStudioServer:
    """A running server; use it in a `with` block, or call `stop`.

    Parameters
    ----------
    data
        Folder of its database and uploads; made if it is not there.
    venv
        The environment it is installed in.
    port
        Where to listen, on this machine alone; any free port if not given.
    admin
        The account that owns the projects; one with a new password and token if not given. An account that the data folder has
        already keeps its password and token.
    """

    def __init__(self, data: Path, *, venv: Path = VENV, port: int | None = None, admin: Account | None = None) -> None:
        self._program = (venv / "bin" / "label-studio").absolute()
        if not self._program.exists():
            raise ServerError(
                f"there is no Label Studio in {venv}.",
                allowed="an environment with it.",
                next_step="run `make label-studio`.",
            )
        data.mkdir(parents=True, exist_ok=True)
        self._data, self._port = data.absolute(), port or _free_port()
        self.admin = admin or Account(ADMIN, secrets.token_urlsafe(12), secrets.token_hex(20))
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "LabelStudioServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers.

        Raises
        ------
        ServerError
            If it ends or does not answer in time; its words are in `label-studio.log` of the data folder.
        """
        command = [
            str(self._program), "start", "--no-browser", "--data-dir", str(self._data), "--internal-host", "127.0.0.1",
            "--port", str(self._port), "--username", self.admin.email, "--password", self.admin.password,
            "--user-token", self.admin.token, "--enable-legacy-api-token",
        ]  # fmt: skip
        with (self._data / "label-studio.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own installed program, arguments as a list
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(self._data),
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and wait for its end; nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def running(self) -> bool:
        """Return whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def wait_for_end(self) -> int:
        """Return the exit code once somebody ends the server."""
        return self._process.wait() if self._process is not None else 0

    def invite(self, email: str, password: str) -> Account:
        """Return an annotator's account, signed up through the server's invitation link as a person would be.

        An account made through the API could not log in. Where the account is there already, it is logged in to.

        Raises
        ------
        ServerError
            If the server does not take the account.
        """
        admin = httpx.Client(base_url=self.url, headers={"Authorization": f"Token {self.admin.token}"}, timeout=60)
        person = httpx.Client(base_url=self.url, timeout=60)
        try:
            link = str(admin.get("/api/invite").raise_for_status().json()["invite_url"])
            answer = _fill_in(person, link, {"email": email, "password": password, "allow_newsletters": "off"})
            if answer.is_success:  # the form came back: the account exists
                answer = _fill_in(
                    person, "/user/login/", {"email": email, "password": password, "persist_session": "on"}
                )
            token = person.get("/api/current-user/token").raise_for_status().json()["token"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ServerError(
                f"the account cannot be made ({type(error).__name__}).",
                allowed="a new e-mail address and a password of at least 8 characters.",
                next_step="see label-studio.log in the server's data folder.",
            ) from error
        finally:
            admin.close()
            person.close()
        return Account(email, password, str(token))

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if not self.running:
                raise self._not_started("it ended by itself")
            try:
                if httpx.get(f"{self.url}/health", timeout=5).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
        raise self._not_started(f"it did not answer within {START_SECONDS:.0f} seconds")

    def _not_started(self, why: str) -> ServerError:
        return ServerError(
            f"Label Studio did not start: {why}.",
            allowed="a free port and a folder that can be written.",
            next_step="see label-studio.log in the server's data folder.",
        )


def _fill_in(person: httpx.Client, path: str, fields: dict[str, str]) -> httpx.Response:
    page = person.get(path).raise_for_status().text
    found = _CSRF.search(page)
    token = found.group(1) if found else person.cookies.get("csrftoken", "")
    return person.post(path, data={**fields, "csrfmiddlewaretoken": token})


def _environment(data: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "TZ")}
    return kept | {
        "PYTHONWARNINGS": "ignore",
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_SENTRY_DSN": "",
        "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
        "LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS": ",".join(BANNED_SUBNETS),
    }


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def find_accounts(data: Path) -> list[Account]:
    """Return the accounts that `keep_accounts` wrote into a data folder: the admin first; none if there are none."""
    try:
        return [Account(**entry) for entry in json.loads((data / ACCOUNTS).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(
            f"{ACCOUNTS} in the server's data folder cannot be read ({type(error).__name__}).",
            allowed="what an earlier start wrote.",
            next_step="delete the data folder to begin anew; that deletes every project in it.",
        ) from error


def keep_accounts(data: Path, accounts: Sequence[Account]) -> None:
    """Write accounts into a data folder, readable by its owner alone, so that the next start knows them."""
    path = data / ACCOUNTS
    path.touch(mode=0o600)
    path.write_text(json.dumps([asdict(a) for a in accounts], indent=1) + "\n", encoding="utf-8")


def start_with_accounts(
    data: Path, *, venv: Path = VENV, port: int | None = None
) -> tuple[LabelStudioServer, list[Account]]:
    """Return a running server and its accounts: an admin and two annotators, made at the first start."""
    known = find_accounts(data)
    server = LabelStudioServer(data, venv=venv, port=port, admin=known[0] if known else None)
    if not known:
        keep_accounts(data, [server.admin])
    server.start()
    try:
        people = [server.admin, *known[1:]]
        for email in ANNOTATORS[len(people) - 1 :]:
            people.append(server.invite(email, secrets.token_urlsafe(12)))
            keep_accounts(data, people)
    except BaseException:
        server.stop()
        raise
    return server, people


def main() -> int:
    """Start the server of this project in `.label-studio`, say how to reach it, and wait until it is stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stderr.write("Label Studio starts; the first time it takes about a minute.\n")
    try:
        server, people = start_with_accounts(DATA, port=PORT)
    except KeyboardInterrupt:
        return 130
    except ThemesError as error:
        sys.stderr.write(f"error {error.code}: {error.found}\n  allowed: {error.allowed}\n  next: {error.next_step}\n")
        return 3
    with contextlib.suppress(KeyboardInterrupt):
        lines = [f"{a.email:<22} password {a.password}" for a in people]
        setting = f"export THEMES_LABEL_STUDIO_URL={server.url} THEMES_LABEL_STUDIO_TOKEN={people[0].token}"
        sys.stdout.write("\n".join((f"Label Studio: {server.url} (Ctrl-C stops it)", *lines, setting)) + "\n")
        sys.stdout.flush()
        server.wait_for_end()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
