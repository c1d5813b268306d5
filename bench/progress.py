"""Progress over the grid and within a piece: bars on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console

from bench.core.train import Tick


class Progress:
    """Two bars: the whole grid with its ETA, and the piece at hand with its own."""

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
        self.total = self.before = 0.0  # training passes: of the grid, and of its finished pieces
        self.started = time.monotonic()
        self.whole = self.bars.add_task("grid", total=1.0, visible=False, eta="")

    @contextmanager
    def grid(self, cells: int, passes: float) -> Iterator[None]:
        """Around the whole grid; passes: what all of it costs, in training passes over the images."""
        self.total, self.started = max(passes, 1e-9), time.monotonic()
        self.bars.update(self.whole, visible=cells > 0, description=f"grid of {cells} cells")
        if cells:
            self.say(f"{cells} cells to compute")
        with self.bars:
            yield

    @contextmanager
    def piece(self, name: str, passes: float) -> Iterator[Tick]:
        """Around one piece of work; yields what it reports its share to."""
        task, started = self.bars.add_task(name, total=1.0, eta=""), time.monotonic()

        def tick(share: float, what: str) -> None:
            eta = _eta(started, share)
            self.bars.update(task, completed=share, description=f"{name} ({what})", eta=eta)
            self._grid(self.before + share * passes)

        try:
            yield tick
        finally:
            self.before += passes
            self.bars.remove_task(task)
            self._grid(self.before)

    def _grid(self, passes: float) -> None:
        share = min(passes / self.total, 1.0)
        self.bars.update(self.whole, completed=share, eta=_eta(self.started, share))

    def say(self, line: str) -> None:
        """One line above the bars; in a log it carries the share done and the ETA of the grid."""
        if not self.console.is_terminal and self.before:
            share = min(self.before / self.total, 1.0)
            line = f"[{share:4.0%}, {_eta(self.started, share) or 'ETA unknown'}] {line}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _eta(started: float, share: float) -> str:
    if share <= 0:
        return ""
    left = (time.monotonic() - started) * (1 / share - 1)
    minutes, seconds = divmod(round(left), 60)
    return f"ETA {minutes // 60}:{minutes % 60:02}:{seconds:02}"
