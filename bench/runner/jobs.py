"""What one worker does at a time, and how it ends."""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.core.checkpoint import OutOfTime
from bench.core.files import is_full
from bench.core.train import Tick
from bench.experiment import cache
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import HOME, KINDS, Plugin
from bench.results import samples
from bench.results.rows import Row

TRACEBACK = "Traceback (most recent call last)"  # begins one
SHOWN_REP = 0  # the repetition of a method's poisons whose samples are kept


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
    unreached: str | None = None  # what a method's crafting says of an objective that it did not reach
    late: bool = False
    error: str | None = None
    seconds: float = 0.0


def work(context: RunContext, job: Job, tick: Tick) -> Result:
    """Do a job; any fault of a plugin becomes part of the result, and the grid goes on."""
    started = time.monotonic()
    try:
        poison = craft(context, job.method, job.poison_rep, tick)
        if job.cell is None and job.poison_rep == SHOWN_REP:
            keep_sample(context, job.method, poison)
        row = run_cell(context, job.cell, poison, tick) if job.cell else None
        return Result(row, poison.manifest["facts"].get("unreached"), seconds=time.monotonic() - started)
    except OutOfTime:
        return Result(late=True)
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # whatever it is, SystemExit or a panic of a library in another language: the row says it
        if is_full(error):  # no row could be saved either
            raise
        return Result(error=traceback.format_exc())


def keep_sample(context: RunContext, method: Plugin, poison: cache.Poison) -> None:
    """Keep a few images of a poison beside the run's rows, unless they are there."""
    if context.gallery is None:
        return
    path = samples.path_of(context.gallery, method.name, poison.manifest["published"])
    if samples.load(path) is None:
        chosen = samples.choose(context.data.train.labels.cpu().numpy())
        clean = context.data.train.images[chosen].cpu().numpy()
        samples.save(samples.take(clean, poison.images[chosen].numpy(), chosen), path)


def keep_samples(context: RunContext, methods: Iterable[Plugin]) -> None:
    """Keep the same of each method's first poison that an earlier run crafted.

    A poison is read, and compared with its digest, only where its sample is missing.
    """
    for method in methods:
        folder = context.poison_folder(method, SHOWN_REP)
        said = cache.manifest(folder)
        if context.gallery is None or said is None:
            continue
        path = samples.path_of(context.gallery, method.name, str(said.get("published")))
        if samples.load(path) is None and (poison := cache.load(folder)) is not None:
            keep_sample(context, method, poison)


def place_of(error: str, plugin: Plugin, plugins: Path | None) -> str:
    """Name the file and line of the plugins that a traceback leads to last, or else of the plugin's class."""
    if found := re.findall(rf'File "((?:{"|".join(KINDS)})/[^"]+)", line (\d+)', error):
        return ":".join(found[-1])
    kind = type(plugin.value)
    where = inspect.getfile(kind)
    with suppress(OSError):  # a class whose lines cannot be found
        where += f":{inspect.getsourcelines(kind)[1]}"
    return without_places(where, plugins)


def without_places(error: str, plugins: Path | None) -> str:
    """Strip a traceback of this machine's folders: a row holds no path."""
    places = [HOME, plugins, sys.prefix, sys.base_prefix]
    with suppress(RuntimeError):  # in a container, a user may have no home
        places.append(Path.home())
    for place in places:
        error = error.replace(f"{place}{os.sep}", "") if place and str(place) != os.sep else error
    return error
