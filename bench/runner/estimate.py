"""What a run of the grid would find done, and what it would have to do; nothing is computed or written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.experiment import cache
from bench.experiment.cell import Bench, Cell, crafting_key, delta_folder, poison_folder
from bench.results.rows import Row
from bench.runner import grid
from bench.runner.effort import Effort, effort
from bench.runner.jobs import Job

State = Literal["there", "left", "skipped"]  # skipped: without meaning, or a poison that nothing waits for
Speeds = dict[str, float]  # net -> image-steps a second of one worker


@dataclass(frozen=True)
class PlannedJob:
    """A job of the grid, and whether it is still to be done."""

    job: Job
    state: State
    effort: Effort
    reason: str | None = None  # why a cell is skipped

    def seconds(self, speeds: Speeds) -> float:
        """0 where there is nothing left to do."""
        if self.state != "left" or not self.effort.images:
            return 0.0
        return self.effort.images / speeds[self.effort.net]


@dataclass(frozen=True)
class Branch:
    """A poison and the cells that need it."""

    craft: PlannedJob
    cells: list[PlannedJob]

    @property
    def jobs(self) -> list[PlannedJob]:
        return [self.craft, *self.cells]


def planned(bench: Bench, cells: Sequence[Cell], rows: Iterable[Row]) -> list[Branch]:
    """Every poison and cell of the grid, looked up. rows: all that are there already."""
    old, branches, crafted = {row.key: row for row in rows}, [], set[str]()
    for craft, waiting in grid.by_poison(bench, cells).items():
        victims = [_cell(bench, job, old) for job in waiting]
        first = _craft(bench, craft, needed=any(victim.state == "left" for victim in victims))
        key = crafting_key(bench, craft.method, craft.poison_rep)
        if first.state == "left":
            first = replace(first, state="there") if key in crafted else first
            crafted.add(key)
        branches.append(Branch(first, victims))
    return branches


def _craft(bench: Bench, job: Job, needed: bool) -> PlannedJob:
    folders = [poison_folder(bench, job.method, job.poison_rep)]
    if job.method.publishes_otherwise:
        folders.append(delta_folder(bench, job.method, job.poison_rep))
    cached = any(cache.load(folder) is not None for folder in folders)
    return PlannedJob(job, "there" if cached else "left" if needed else "skipped", effort(bench, job))


def _cell(bench: Bench, job: Job, old: dict[str, Row]) -> PlannedJob:
    assert job.cell is not None
    row, reason = old.get(bench.identity(job.cell).key), None
    state: State = "there"
    if row is None or not grid.is_finished(bench, row):
        reason = job.cell.defense.value.unsuited(bench.data)
        state = "skipped" if reason else "left"
    return PlannedJob(job, state, effort(bench, job), reason)


def lines(branches: Iterable[Branch]) -> dict[tuple[str, str], list[PlannedJob]]:
    """The jobs by method and work, the crafting of each method first."""
    found: dict[tuple[str, str], list[PlannedJob]] = {}
    for each in (job for branch in branches for job in branch.jobs):
        found.setdefault((each.job.method.name, each.job.what), []).append(each)
    return found


def nets(branches: Iterable[Branch]) -> list[str]:
    """Those whose speed decides how long it takes."""
    jobs = [job for branch in branches for job in branch.jobs]
    return list(dict.fromkeys(t.effort.net for t in jobs if t.state == "left" and t.effort.images))


def work_and_wall(branches: Sequence[Branch], speeds: Speeds, workers: int) -> tuple[float, float]:
    """Seconds of work in all, and the least they take: shared by all workers, but no job by two.

    A cell waits for its poison.
    """
    whole = sum(job.seconds(speeds) for branch in branches for job in branch.jobs)
    chains = [
        branch.craft.seconds(speeds) + max(job.seconds(speeds) for job in branch.cells) for branch in branches
    ]
    return whole, max([whole / workers, *chains])
