"""When and how often jobs are tried, whatever they are; test_grid.py has many of them at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.core.errors import BadInput
from bench.experiment.locks import Locks
from bench.runner.progress import Progress
from bench.runner.scheduler import Scheduler, Work


@dataclass(frozen=True)
class Errand:
    name: str
    cost: float = 1.0


@dataclass
class Diary(Work[Errand]):
    """Writes down what becomes of errands, and does them: a pool, too, that is quick."""

    folder: Path
    faults: dict[str, list[Exception]] = field(default_factory=dict)  # of an errand's first attempts
    opens: dict[str, list[Errand]] = field(default_factory=dict)  # what is ready once an errand has ended
    same: bool = False  # whether all have one lock
    done: Callable[[str], bool] = lambda name: False  # by another run
    seconds: float = 0.0  # that each needs
    lines: list[str] = field(default_factory=list)
    workers: int = 1

    def lock(self, job: Errand) -> str:
        return "one" if self.same else job.name

    def found(self, job: Errand) -> bool:
        return self.done(job.name)

    def needed(self, job: Errand) -> float:
        return self.seconds

    def leave(self, job: Errand) -> None:
        self.lines.append(f"{job.name} left")

    def end(self, job: Errand, result: str | BaseException) -> list[Errand]:
        self.lines.append(f"{job.name} {result if isinstance(result, str) else type(result).__name__}")
        return self.opens.get(job.name, [])

    def submit(self, job: Errand) -> Future[str]:
        self.lines.append(f"{job.name} begun")
        future: Future[str] = Future()
        if self.faults.get(job.name):
            future.set_exception(self.faults[job.name].pop(0))
        else:
            future.set_result("done")
        return future

    def close(self, *, now: bool) -> None:
        self.lines.append("stopped" if now else "closed")

    def run(self, *errands: Errand, seconds: float | None = None) -> str:
        """What is said; seconds: until the deadline."""
        said, deadline = StringIO(), None if seconds is None else time.monotonic() + seconds
        progress = Progress(Console(file=said, width=200))
        Scheduler(self, self, progress, Locks(self.folder), deadline).run(errands)
        assert not [*self.folder.iterdir()]
        return said.getvalue()

    @property
    def ended(self) -> list[str]:
        return [line for line in self.lines if "begun" not in line]


A, B, C = (Errand(name) for name in "abc")


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    (tmp_path / "locks").mkdir()
    return Diary(tmp_path / "locks")


def test_long_jobs_first_and_what_becomes_ready_last(diary: Diary) -> None:
    """Others may wait for what was given first."""
    diary.opens = {"long": [Errand("longer", 10)]}
    diary.run(B, Errand("long", 9))
    assert diary.ended == ["long done", "b done", "longer done", "closed"]


def test_jobs_with_one_lock_wait_for_each_other(diary: Diary) -> None:
    diary.same, diary.workers = True, 2
    assert not diary.run(A, B)
    assert diary.lines == ["a begun", "a done", "b begun", "b done", "closed"]


@pytest.mark.parametrize("done", [False, True])
def test_what_another_run_is_at_is_left_for_later(diary: Diary, tmp_path: Path, done: bool) -> None:
    """Said once, however often it is asked for; if the other has done it, it is not done again."""
    other, end = Locks(diary.folder), diary.end
    assert other.take("a")
    diary.done = lambda name: done and name == "a"
    diary.opens = {"b": [C]}

    def ending(job: Errand, result: str | BaseException) -> list[Errand]:
        if job == C:
            other.drop("a")
        return end(job, result)

    diary.end = ending  # type: ignore[method-assign]
    said = diary.run(Errand("a", 2), B)
    assert said.count("a: being computed by another run, left for later\n") == 1
    assert said.count("a: computed by another run\n") == done
    assert diary.ended == ["b done", "c done", *([] if done else ["a done"]), "closed"]


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_a_job_is_tried_three_times(diary: Diary, deaths: int) -> None:
    diary.faults = {"a": [BrokenProcessPool() for _ in range(deaths)]}
    diary.opens = {"a": [C]}
    diary.run(A, B)
    assert diary.lines.count("a begun") == min(deaths + 1, 3)
    assert sorted(diary.ended[:-1]) == [f"a {'WorkersDied' if deaths == 3 else 'done'}", "b done", "c done"]
    assert diary.ended[-1] == "closed"


def test_the_last_try_is_alone(diary: Diary) -> None:
    diary.workers, diary.faults = 2, {"a": [BrokenProcessPool(), BrokenProcessPool()]}
    waiting: list[Future[str]] = []
    submit = diary.submit

    def slow(job: Errand) -> Future[str]:
        future = submit(job)
        if job == B:  # ends once a has died twice
            future = Future()
            waiting.append(future)
        elif not diary.faults["a"] and waiting and not waiting[0].done():
            waiting[0].set_result("done")
        return future

    diary.submit = slow  # type: ignore[method-assign]
    diary.run(A, B, C)
    assert diary.lines.index("b done") < len(diary.lines) - diary.lines[::-1].index("a begun")


def test_the_fault_of_a_job_stops_no_other(diary: Diary) -> None:
    diary.faults = {"a": [RuntimeError()]}
    diary.run(A, B)
    assert diary.ended == ["a RuntimeError", "b done", "closed"]


def test_workers_of_no_use_stop_all(diary: Diary) -> None:
    diary.faults = {"a": [BadInput("no such folder there")]}
    with pytest.raises(BadInput, match="no such folder"):
        diary.run(A, B)
    assert diary.ended == ["stopped"]


def test_a_signal_while_workers_end_by_themselves_stops_them(diary: Diary) -> None:
    """They may be at what nobody waits for any more."""
    close = diary.close

    def interrupted(*, now: bool) -> None:
        close(now=now)
        if not now:
            raise KeyboardInterrupt

    diary.close = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        diary.run(A)
    assert diary.ended == ["a done", "closed", "stopped"] and not [*diary.folder.iterdir()]


@pytest.mark.parametrize(("seconds", "needed"), [(-1.0, 0.0), (-1.0, 90.0), (60.0, 7200.0)])
def test_what_does_not_fit_before_the_deadline_is_left(diary: Diary, seconds: float, needed: float) -> None:
    diary.seconds = needed
    said = diary.run(A, B, seconds=seconds)
    assert diary.ended == ["a left", "b left", "closed"]
    assert said.count("not started, needs about") == (2 if needed else 0)


def test_what_fits_is_done(diary: Diary) -> None:
    diary.seconds = 60
    diary.run(A, seconds=3600)
    assert diary.ended == ["a done", "closed"]
