"""Signals that end a program, wherever they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.cli.signals import PATIENCE, Stopped, stopping


class Cleared:
    """Sends a signal while Python clears it away, where exceptions are dropped."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)
        time.sleep(0)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_that_comes_where_exceptions_are_dropped_comes_again(name: str, twice: bool) -> None:
    """Twice: the program and its command both listen, and the outer's handler is the one there."""
    kind = KeyboardInterrupt if name == "SIGINT" else Stopped
    with pytest.raises(kind), stopping(), stopping() if twice else nullcontext():
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


def test_an_interrupt_within_an_exec_is_as_any_other(tmp_path: Path) -> None:
    """Python remembers one that left a string it ran, as the ones of dataclasses, and ends itself by it."""
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "own.py").write_text("exec('import signal; signal.raise_signal(signal.SIGINT)')")
    argv = [sys.executable, "-m", "bench", "list", "methods", "--plugins", str(tmp_path)]
    ran = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 128 + signal.SIGINT, ran
    assert ran.stderr.splitlines() == ["bench: interrupted; the same command goes on where it stopped"]


# What keeps the end waiting


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_from_the_signal_on_the_kernel_ends_a_program_that_does_not_end_itself(name: str) -> None:
    with stopping():
        with pytest.raises(Stopped):
            signal.raise_signal(getattr(signal, name))
        left = signal.alarm(PATIENCE)
        assert 0 < left <= PATIENCE and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.alarm(0) == 0, "it has ended, and would be killed later"


SOONER = """
import atexit, os, runpy, signal, sys, time
from bench.cli import main, signals
alarm = signals.end_by_itself
signals.end_by_itself = lambda seconds=1: alarm(seconds)
"""
WAITS = {  # what a program does, and how it ends
    "in the middle": (
        "with signals.stopping():\n    try:\n        signal.raise_signal(signal.SIGTERM)\n"
        "    finally:\n        time.sleep(600)",
        -signal.SIGALRM,
    ),
    "at its end": ("atexit.register(time.sleep, 600)\nmain.main = lambda: 143", -signal.SIGALRM),
    "without a signal": ("atexit.register(time.sleep, 3)\nmain.main = lambda: 0", 0),
    "a signal once all is done": (
        "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "    atexit.register(os.kill, os.getpid(), number)\nmain.main = lambda: 0",
        0,
    ),
}


@pytest.mark.parametrize(("does", "ends"), WAITS.values(), ids=WAITS.keys())
def test_a_program_ends_whatever_it_waits_for(does: str, ends: int) -> None:
    """After a signal alone; patience is shortened here, and one that comes too late is no error."""
    code = f"{SOONER}{does}\nrunpy.run_module('bench', run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == ends and not ran.stderr, ran
