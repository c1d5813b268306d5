"""What one worker does at a time, and how it ends."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from bench.core.checkpoint import OutOfTime
from bench.core.train import Tick
from bench.experiment.cell import Bench, Cell, craft, run_cell
from bench.experiment.registry import HOME, Plugin
from bench.results.rows import Row
from bench.runner import gallery


@dataclass(frozen=True)
class Job:
    """What one worker does at a time: craft a poison, or run a cell whose poison is there."""

    method: Plugin
    poison_rep: int
    cell: Cell | None
    cost: float  # in training passes over the images

    @property
    def what(self) -> str:
        return "craft" if self.cell is None else self.cell.defense.name

    @property
    def name(self) -> str:
        reps = [self.poison_rep] if self.cell is None else [self.poison_rep, self.cell.rep]
        return f"{self.method.name} x {self.what}" + (f" {tuple(reps)}" if any(reps) else "")


@dataclass(frozen=True)
class Result:
    """How a job ended: with a row (a craft has none), late, or with an error."""

    row: Row | None = None
    late: bool = False
    error: str | None = None
    seconds: float = 0.0


def work(bench: Bench, job: Job, tick: Tick) -> Result:
    """Do a job; any fault of a plugin becomes part of the result, and the grid goes on."""
    started = time.monotonic()
    try:
        poison = craft(bench, job.method, job.poison_rep, tick)
        if job.cell is None and job.poison_rep == gallery.FIRST:
            gallery.keep(bench, job.method, poison)
        row = run_cell(bench, job.cell, poison, tick) if job.cell else None
        return Result(row, seconds=time.monotonic() - started)
    except OutOfTime:
        return Result(late=True)
    except (Exception, SystemExit):  # whatever it is, the row says it
        return Result(error=traceback.format_exc())


def without_places(error: str, plugins: Path | None) -> str:
    """A traceback without this machine's folders: a row holds no path."""
    for place in (HOME, plugins, sys.prefix, sys.base_prefix, _home()):
        error = error.replace(f"{place}{os.sep}", "") if place and str(place) != os.sep else error
    return error


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # in a container, a user may have none
        return None
