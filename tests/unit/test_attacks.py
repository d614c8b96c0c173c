"""Files made to do harm are refused before eight megabytes of them are unpacked, and nothing is opened or called on their behalf."""

import sys
import zipfile
from pathlib import Path

import pytest

from nlp_service.ingest.comments import read_comments
from nlp_service.ingest.table import InputRefusedError
from tests.attacks import ATTACKS, Attack

MAX_UNPACKED = 8_000_000
_seen: list[tuple[str, object]] = []
_is_watching = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _is_watching and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
        _seen.append((event, arguments[0]))


sys.addaudithook(_watch)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_an_attack_is_refused_early_and_reaches_nothing(
    attack: Attack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    global _is_watching  # noqa: PLW0603 -- an audit hook can be added but not taken away
    path = tmp_path / attack.name
    path.write_bytes(attack.make())
    unpacked = 0
    real = zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        nonlocal unpacked
        data = real(self, n)
        unpacked += len(data)
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    _seen.clear()
    _is_watching = True
    try:
        with pytest.raises(InputRefusedError) as refused:
            read_comments([path])
    finally:
        _is_watching = False
    assert refused.value.code == attack.code
    assert unpacked < MAX_UNPACKED
    code = (".py", ".pyc", ".so")
    assert [what for event, what in _seen if event != "open" or not str(what).endswith((*code, attack.name))] == []


def test_there_are_enough_attacks() -> None:
    assert len(ATTACKS) >= 25
