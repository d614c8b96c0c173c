"""The registry as it is now, for a process that runs on: looked at for each request, parsed only when it has changed."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from models.registry import DOCUMENT, Registry, RegistryError, read_registry

_NOTHING: Final = (0, 0, 0)
_Stamp = tuple[int, int, int]


class FollowedRegistry:
    """Returns the registry's document, at the cost of one `stat` while it stays the same. Safe to share between threads.

    Parameters
    ----------
    folder
        The registry; it need not exist.
    changed
        Called with each new document before anybody else gets to see it, by one thread at a time.
    tell
        Called with a line for people where the document cannot be read any more; the last one that could be counts on.

    Raises
    ------
    RegistryError
        If what lies there at first is no registry.
    """

    def __init__(self, folder: Path, changed: Callable[[Registry], None], tell: Callable[[str], None]) -> None:
        self.folder = folder
        self._document = str(folder / DOCUMENT)
        self._changed, self._tell, self._lock = changed, tell, threading.Lock()
        self._held: tuple[_Stamp, Registry] = self._stamp(), read_registry(folder)

    def now(self) -> Registry:
        """Return the registry."""
        stamp, registry = self._held
        return registry if self._stamp() == stamp else self._read_again()

    def _stamp(self) -> _Stamp:
        """Return what differs between two documents: each is a file of its own that takes the other's place."""
        try:
            found = os.stat(self._document)  # noqa: PTH116 -- for each request, and half the time of Path.stat
        except OSError:
            return _NOTHING
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read_again(self) -> Registry:
        with self._lock:
            stamp = self._stamp()  # before reading: a document that comes between is read the next time
            held, registry = self._held
            if stamp == held:
                return registry
            try:
                registry = read_registry(self.folder)
            except RegistryError as error:
                self._tell(f"{error.found} What was read last counts until it can be.")
            else:
                self._changed(registry)
            self._held = stamp, registry
            return registry
