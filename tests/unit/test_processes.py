"""A stop that comes while a process is being started waits until it is started."""

import signal
from pathlib import Path

import pytest

from nlp_service.processes import stops_held_back


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_takes_effect_after_the_block_and_as_before(stop: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(stop, lambda number, _frame: heard.append(number))
    try:
        with stops_held_back():
            signal.raise_signal(stop)
            signal.raise_signal(stop)
            assert heard == []
        assert heard == [stop]
        signal.raise_signal(stop)
        assert heard == [stop, stop]
    finally:
        signal.signal(stop, before)


def test_a_stop_is_not_lost_where_the_block_fails(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    try:
        with pytest.raises(KeyboardInterrupt) as stopped, stops_held_back():
            signal.raise_signal(signal.SIGINT)
            (tmp_path / "none").read_text()
        assert isinstance(stopped.value.__context__, FileNotFoundError)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
