"""A log hears how far the work is, whether jobs end or not; the clock is the test's."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from bench.runner import progress
from bench.runner.progress import PULSE, SILENCE, Progress
from support.runs import wait_for


class Log:
    """A progress whose lines and time are the test's."""

    def __init__(self) -> None:
        self.now, self.file = 0.0, io.StringIO()
        self.progress = Progress(Console(file=self.file, width=200), clock=lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def test_a_line_comes_at_least_every_half_minute_while_a_long_job_runs() -> None:
    assert SILENCE + PULSE <= 30
    log = Log()
    with log.progress.grid(2, 10.0, jobs=3):
        log.progress.begin("em x craft", 4.0)
        for now in range(0, 300, int(PULSE)):
            log.now = now
            log.progress.tick("em x craft", now / 300, f"round {now}")
            log.progress.beat()
    said = [line for line in log.lines if "jobs done" in line]
    assert len(said) >= 300 / 30 - 1
    assert all(
        re.match(r"\[ *\d+%, ETA \d+:\d\d:\d\d\] 0 of 3 jobs done; at work: em x craft \(round", line)
        for line in said
    )


def test_what_is_done_counts_and_what_was_said_a_moment_ago_is_not_said_again() -> None:
    log = Log()
    with log.progress.grid(2, 10.0, jobs=3):
        log.progress.begin("em x craft", 4.0)
        log.now = 5
        log.progress.end("em x craft")
        log.progress.begin("em x none", 3.0)
        log.now = SILENCE
        log.progress.say("em x craft: 25 s")
        log.progress.beat()
        assert not [line for line in log.lines if "jobs done" in line]
        log.now += SILENCE
        log.progress.beat()
        assert (
            "[ 40%" in log.lines[-1] and "1 of 3 jobs done; at work: em x none (begun, 0%)" in log.lines[-1]
        )


def test_a_job_that_is_taken_back_is_not_done() -> None:
    log = Log()
    with log.progress.grid(1, 4.0):
        log.progress.begin("em x none", 4.0)
        log.progress.drop("em x none")
        assert log.progress.done == 0 and log.progress.before == 0
        log.progress.skip(4.0)
        assert log.progress.done == 1 and log.progress.before == log.progress.total


def test_nobody_has_to_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one long step no job says anything."""
    monkeypatch.setattr(progress, "PULSE", 0.001)
    log = Log()
    with log.progress.alone("crafting em"):
        log.now = SILENCE
        wait_for(lambda: len(log.lines) > 1)
    assert "0 of 1 jobs done; at work: crafting em" in log.lines[1]


@pytest.mark.parametrize("begins", [0.0, 5.0], ids=["at once", "when its worker has begun"])
def test_what_was_there_already_says_nothing_of_the_pace(begins: float) -> None:
    """Of 100 units 80 are found in the cache, 10 took 100 s: so will the last 10."""
    log = Log()
    with log.progress.grid(3, 100.0):
        log.progress.begin("em x craft", 80.0)
        log.now = begins
        log.progress.end("em x craft", 0.1)
        log.progress.begin("em x none", 10.0)
        log.now = 100
        log.progress.end("em x none")
        log.progress.say("em x none: 100 s")
    assert log.lines[-1].startswith("[ 50%, ETA 0:01:40]")
