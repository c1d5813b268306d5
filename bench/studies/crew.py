"""Looks on workers: as many at a time as there are workers, with progress; no more after the deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

from bench import keys
from bench.core.errors import BadInput
from bench.progress import Progress
from bench.running import Grid
from bench.studies.looks import Look, work
from bench.studies.records import Records


def measure_all(grids: Sequence[Grid], wanted: Sequence[Look], records: Records) -> int:
    """Measure what is wanted; returns how many looks are left for lack of time."""
    left = 0
    for grid, ours in by_data(grids, wanted):
        left += _measure(grid, ours, records)
    return left


def by_data(grids: Sequence[Grid], wanted: Sequence[Look]) -> list[tuple[Grid, list[Look]]]:
    """The looks at one data set together, with a grid that has it."""
    found: dict[str, tuple[Grid, list[Look]]] = {}
    place = {key: grid for grid in grids for key in grid.keys}
    for look in wanted:
        grid = place[look.poison.key]
        found.setdefault(keys.images(grid.bench.data, grid.bench.setting), (grid, []))[1].append(look)
    return [*found.values()]


def _measure(grid: Grid, wanted: Sequence[Look], records: Records) -> int:
    progress, deadline = Progress(grid.console), grid.bench.deadline
    pool = grid.start(partial(work, records), grid.bench, report=progress.tick)
    waiting, running, finished = [*wanted], dict[Future[Any], Look](), False
    try:
        with progress.grid(len(waiting), sum(len(look.measures) for look in waiting), "looks"):
            while waiting or running:
                if deadline is not None and time.monotonic() > deadline and not running:
                    break
                while waiting and len(running) < pool.workers and not _late(deadline):
                    look = waiting.pop(0)
                    progress.begin(look.name, len(look.measures))
                    running[pool.submit(look)] = look
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    look = running.pop(future)
                    future.result()
                    progress.end(look.name)
                    progress.say(f"{look.name}: {', '.join(look.measures)}")
        finished = True
    except BrokenProcessPool:
        raise BadInput(
            "a worker process died (killed, or out of memory); the same command goes on, "
            "with fewer --workers in less memory"
        ) from None
    finally:
        pool.close(now=not finished)
    return len(waiting)


def _late(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline
