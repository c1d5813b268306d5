"""Signals that end a program, wherever they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cli.signals import Stopped, stopping


class Cleared:
    """Sends a signal while Python clears it away, where exceptions are dropped."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)
        time.sleep(0)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_that_comes_where_exceptions_are_dropped_comes_again(name: str) -> None:
    kind = KeyboardInterrupt if name == "SIGINT" else Stopped
    with pytest.raises(kind), stopping():
        one = Cleared(getattr(signal, name))
        del one
        time.sleep(30)
        raise AssertionError("it was dropped")
    assert name == "SIGINT" or signal.getsignal(getattr(signal, name)) is signal.SIG_DFL


def test_what_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def answers(pid: int) -> bool:
    (line,) = (
        one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("SigCgt:")
    )
    return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_program_that_has_just_begun_ends_without_a_traceback(name: str, tmp_path: Path) -> None:
    """As soon as it has its handlers, which is before anything heavy is imported."""
    if not Path("/proc/self/status").exists():
        pytest.skip("asks Linux for handlers")
    log = tmp_path / "log"
    with log.open("w") as out:
        ran = subprocess.Popen([sys.executable, "-m", "bench", "list"], stdout=out, stderr=out)
        while ran.poll() is None and not answers(ran.pid):
            os.sched_yield()
        ran.send_signal(getattr(signal, name))
        code = ran.wait(60)
    said = log.read_text()
    assert code in (128 + getattr(signal, name), 0) and "Traceback" not in said, (code, said)
