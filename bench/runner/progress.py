"""Progress over all jobs and within each: bars on a terminal, lines in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from bench.core.texts import printable

SILENCE = 25.0  # seconds after which a log is told how far the work is
AT_ONCE = 1.0  # seconds
LEAST = 1e-9  # of a cost
PULSE = 5.0  # seconds between two looks at whether it is time


@dataclass
class AtWork:
    """A job at work."""

    bar: bars.TaskID
    cost: float
    begun: float
    share: float = 0.0  # done
    what: str = "begun"


class Progress:
    """Bars: all jobs with their ETA, and each job at work with its own. clock: seconds, from any time on."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[eta]}", markup=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.total, self.before = 1.0, 0.0  # what all jobs cost, and what the finished ones did
        self.jobs, self.done = 1, 0  # how many there are, and are done
        self.at_work: dict[str, AtWork] = {}
        self.lock = threading.RLock()
        self.started = self.said = clock()
        self.whole = self.bars.add_task("grid", total=1.0, visible=False, eta="")

    @contextmanager
    def grid(self, count: int, cost: float, what: str = "cells", jobs: int | None = None) -> Iterator[None]:
        """Show the whole work; cost: of all jobs, in their own unit. jobs: how many, where not count."""
        self.total, self.jobs, self.started = max(cost, LEAST), jobs or count, self.clock()
        self.bars.update(self.whole, visible=True, description=f"all {count} {what}")
        self.say(f"{count} {what} to compute")
        with self.bars, self._watched():
            yield

    @contextmanager
    def alone(self, name: str) -> Iterator[Callable[[float, str], None]]:
        """Show one long job that is all there is; gives what to tell its progress."""
        if not self.console.is_terminal:
            self.say(name)
        with self.bars, self._watched():
            self.begin(name, 1.0)
            yield lambda share, what: self.tick(name, share, what)
            self.end(name)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Tell a log how far the work is for as long as the block runs, even where no job ends."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(PULSE):
                self.beat()

        if not self.console.is_terminal:
            threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def beat(self) -> None:
        """Say how far the work is, unless something was said a short while ago."""
        with self.lock:
            if self.clock() - self.said >= SILENCE:
                jobs = [f"{name} ({job.what}, {job.share:.0%})" for name, job in self.at_work.items()]
                self._print(f"{self._far()} {self.done} of {self.jobs} jobs done; at work: {', '.join(jobs)}")

    def begin(self, name: str, cost: float) -> None:
        with self.lock:
            self.at_work[name] = AtWork(self.bars.add_task(name, total=1.0, eta=""), cost, self.clock())

    def tick(self, name: str, share: float, what: str) -> None:
        """Note that a job has done a share of its work; may be called from any thread."""
        with self.lock:
            if job := self.at_work.get(name):  # a worker's last words may come late
                job.share, job.what = share, what
                eta = self._eta(job.begun, share)
                self.bars.update(job.bar, completed=share, description=f"{name} ({what})", eta=eta)
                self._update()

    def end(self, name: str, seconds: float | None = None) -> None:
        """Note that a job is done; one that was at once had its result there: no pace follows.

        seconds: that its work took, where it gave a result; a worker may take longer to begin.
        """
        with self.lock:
            passed = self.clock() - self.at_work[name].begun
            there = (passed if seconds is None else seconds) < AT_ONCE
            cost = self.drop(name)
            self.total -= cost if there else 0.0
            self.skip(0.0 if there else cost)

    def drop(self, name: str) -> float:
        """Note that a job at work will be done again; gives its cost."""
        with self.lock:
            job = self.at_work.pop(name)
            self.bars.remove_task(job.bar)
            self._update()
            return job.cost

    def skip(self, cost: float) -> None:
        """Note that a job turned out to be done already."""
        with self.lock:
            self.before, self.done = self.before + cost, self.done + 1
            self._update()

    def _share(self) -> float:
        """Return the share of the whole work that is done."""
        done = self.before + sum(job.share * job.cost for job in self.at_work.values())
        return min(done / self.total, 1.0) if self.total > LEAST else float(self.done > 0)

    def _update(self) -> None:
        share = self._share()
        self.bars.update(self.whole, completed=share, eta=self._eta(self.started, share))

    def say(self, line: str) -> None:
        """Print one line above the bars; in a log it carries the share done and the ETA of the grid."""
        with self.lock:
            self._print(f"{self._far()} {line}" if self.before and not self.console.is_terminal else line)

    def _print(self, line: str) -> None:
        self.said = self.clock()
        self.console.print(Text(printable(line)), soft_wrap=True)

    def _far(self) -> str:
        share = self._share()
        return f"[{share:4.0%}, {self._eta(self.started, share) or 'ETA unknown'}]"

    def _eta(self, started: float, share: float) -> str:
        if share <= 0:
            return ""
        minutes, seconds = divmod(round((self.clock() - started) * (1 / share - 1)), 60)
        return f"ETA {minutes // 60}:{minutes % 60:02}:{seconds:02}"
