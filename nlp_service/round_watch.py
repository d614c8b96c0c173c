"""Pulls a round when it is nudged: webhooks say that something changed, the export says what."""

import logging
import threading
from pathlib import Path

from models.vocabulary import ThemesError
from nlp_service.run_round import Server, pull_round

_log = logging.getLogger(__name__)


class RoundWatch:
    """One thread that pulls a round after a nudge; many nudges while it pulls are one more pull.

    A nudge that is lost changes nothing but the time: the next one, the clock, or `themes round pull` brings the same.

    Parameters
    ----------
    folder
        The round's.
    server
        Where it is.
    quiet_s
        How long to wait after a nudge, in seconds, so that a burst of them is one pull.
    every_s
        Pull after so many seconds without a nudge, too.
    """

    def __init__(self, folder: Path, server: Server, *, quiet_s: float = 2.0, every_s: float = 900.0) -> None:
        self._folder, self._server, self._quiet_s, self._every_s = folder, server, quiet_s, every_s
        self._nudged, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="round-watch", daemon=True)
        self.n_pulls = 0

    def start(self) -> None:
        """Begin to wait for nudges."""
        self._thread.start()

    def nudge(self) -> None:
        """Say that something changed; returns at once."""
        self._nudged.set()

    def stop(self) -> None:
        """End, after the pull that is under way."""
        self._stopping.set()
        self._nudged.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._nudged.wait(self._every_s)
            if self._stopping.wait(self._quiet_s) or self._stopping.is_set():
                return
            self._nudged.clear()
            try:
                pull_round(self._folder, self._server)
            except ThemesError as error:
                _log.warning("round not pulled: %s", error.code)
            self.n_pulls += 1
