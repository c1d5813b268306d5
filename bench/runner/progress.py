"""Progress over all jobs and within each: bars on a terminal, lines in a log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console


class Progress:
    """Bars: all jobs with their ETA, and each job at work with its own."""

    def __init__(self, console: Console) -> None:
        self.console = console
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
        self.fractions: dict[str, float] = {}  # of the jobs at work
        self.costs: dict[str, float] = {}
        self.tasks: dict[str, bars.TaskID] = {}
        self.begun: dict[str, float] = {}
        self.lock = threading.RLock()
        self.started = time.monotonic()
        self.whole = self.bars.add_task("grid", total=1.0, visible=False, eta="")

    @contextmanager
    def grid(self, count: int, cost: float, what: str = "cells") -> Iterator[None]:
        """Show the whole work; cost: of all jobs, in their own unit."""
        self.total, self.started = max(cost, 1e-9), time.monotonic()
        self.bars.update(self.whole, visible=True, description=f"all {count} {what}")
        self.say(f"{count} {what} to compute")
        with self.bars:
            yield

    @contextmanager
    def alone(self, name: str) -> Iterator[Callable[[float, str], None]]:
        """Show one long job that is all there is; gives what to tell its progress."""
        if not self.console.is_terminal:
            self.say(name)
        with self.bars:
            self.begin(name, 1.0)
            yield lambda share, what: self.tick(name, share, what)
            self.end(name)

    def begin(self, name: str, cost: float) -> None:
        with self.lock:
            self.tasks[name] = self.bars.add_task(name, total=1.0, eta="")
            self.costs[name], self.fractions[name], self.begun[name] = cost, 0.0, time.monotonic()

    def tick(self, name: str, share: float, what: str) -> None:
        """Note that a job has done a share of its work; may be called from any thread."""
        with self.lock:
            if name in self.tasks:  # a worker's last words may come late
                self.fractions[name] = share
                eta = _eta(self.begun[name], share)
                self.bars.update(self.tasks[name], completed=share, description=f"{name} ({what})", eta=eta)
                self._update()

    def end(self, name: str) -> None:
        with self.lock:
            self.before += self.costs.pop(name)
            self.fractions.pop(name)
            self.bars.remove_task(self.tasks.pop(name))
            self._update()

    def skip(self, cost: float) -> None:
        """Note that a job turned out to be done already."""
        with self.lock:
            self.before += cost
            self._update()

    def _done(self) -> float:
        at_work = sum(share * self.costs[name] for name, share in self.fractions.items())
        return min((self.before + at_work) / self.total, 1.0)

    def _update(self) -> None:
        share = self._done()
        self.bars.update(self.whole, completed=share, eta=_eta(self.started, share))

    def say(self, line: str) -> None:
        """Print one line above the bars; in a log it carries the share done and the ETA of the grid."""
        if not self.console.is_terminal and self.before:
            with self.lock:
                share = self._done()
            line = f"[{share:4.0%}, {_eta(self.started, share) or 'ETA unknown'}] {line}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _eta(started: float, share: float) -> str:
    if share <= 0:
        return ""
    left = (time.monotonic() - started) * (1 / share - 1)
    minutes, seconds = divmod(round(left), 60)
    return f"ETA {minutes // 60}:{minutes % 60:02}:{seconds:02}"
