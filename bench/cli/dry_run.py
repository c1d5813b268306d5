"""`run` and `study` with --dry-run: what is there, what is left, how long it takes; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench import data
from bench.cli import as_json
from bench.core.errors import BadInput
from bench.core.method import PERTURBING
from bench.experiment.context import RunContext
from bench.results import rows as files
from bench.runner.estimate import STEPS, Branch, PlannedJob, Speeds, images_per_second, planned, work_and_wall
from bench.runner.request import RunRequest
from bench.runner.session import open_grid, say, workers_to_start

HOUR = 3600.0
WHOLE = ("there", "left", "training\nsteps", "sign\nsteps")
NUMBERS = [*WHOLE, "million\nimage-steps", "hours"]  # of jobs, as the table has them


def run(
    requests: Sequence[RunRequest], given: float | None, *, place: Path | None = None, json: bool = False
) -> int:
    """Check as a run does, then count instead of compute.

    requests: of one machine and one folder. given: images a second that a worker trains on; None: timed
    here. place: as open_grid has it. json: print a document, and the rest to stderr.
    """
    if requests[0].machine.scheduler is not None:
        raise BadInput("--dry-run is for this machine, expected no --scheduler (--img-per-s, --workers)")
    console, load = Console(stderr=json), cache(partial(data.load, writes=False))
    grids = [open_grid(request, console, place, load) for request in requests]
    branches: list[Branch] = []
    crafted: set[str] = set()
    for grid in grids:
        say(console, grid.headline)
        branches += planned(grid.context, grid.cells, files.load_all(grid.out / "rows"), crafted)
    jobs = [job for branch in branches for job in branch.jobs]
    nets = {job.effort.net: None for job in jobs if job.state == "left" and job.effort.images}
    context = grids[0].context
    methods = {method.name: method for grid in grids for method in grid.resolved.methods}
    workers = workers_to_start(requests[0].machine, context, [*methods.values()], console)
    speeds, known = _speeds(context, [*nets], given, console)
    numbers = _sums(jobs, speeds)
    console.print(_table(numbers))
    cells = [cell for branch in branches for cell in branch.cells]
    skipped = [f"{cell.job.name}: skipped, {cell.reason}" for cell in cells if cell.reason]
    for line in (*skipped, *_summary(branches, speeds, workers), *known):
        say(console, line)
    if json:
        whole, wall = (seconds / HOUR for seconds in work_and_wall(branches, speeds, workers))
        work = numbers.rename(columns=lambda name: name.replace("\n", " ")).reset_index().to_dict("records")
        as_json.show({"work": work, "hours": whole, "hours_at_least": wall, "workers": workers})
    return 0


def _speeds(
    context: RunContext, needed: Sequence[str], given: float | None, console: Console
) -> tuple[Speeds, list[str]]:
    """Time or take the speed of each net; say how it is known."""
    if given is not None:
        return dict.fromkeys(needed, given), [f"speed given: --img-per-s {given:g}, of each worker"]
    speeds: Speeds = {}
    for net in needed:
        say(console, f"timing {STEPS} steps of {net}")
        speeds[net] = images_per_second(context, net)
    on = context.environment
    where = on["device"] if context.device.type != "cpu" else f"{on['device']} ({on['processor']})"
    return speeds, [
        f"speed measured: {speed:,.1f} images/s of one worker, from {STEPS} timed steps of {net} at batch "
        f"{context.setting.victim.batch} in {context.setting.precision} on {where}, threads: {on['threads']}"
        for net, speed in speeds.items()
    ]


def _sums(jobs: Sequence[PlannedJob], speeds: Speeds) -> pd.DataFrame:
    """Sum the jobs by method and work, the crafting of each method first."""
    each = pd.DataFrame([_numbers(job, speeds) for job in jobs], columns=NUMBERS)
    names = [(planned.job.method.name, planned.job.what) for planned in jobs]
    each.index = pd.MultiIndex.from_tuples(names, names=["method", "work"])
    return each.groupby(level=["method", "work"], sort=False).sum()


def _table(sums: pd.DataFrame) -> Table:
    table = Table("method", "work", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    before = ""
    for row, (method, work) in enumerate(sums.index):
        table.add_row("" if method == before else method, work, *_texts(sums.iloc[row]))
        before = method
    table.add_row("all", "", *_texts(sums.sum()), style="bold")
    return table


def _numbers(job: PlannedJob, speeds: Speeds) -> tuple[float, ...]:
    left, effort = job.state == "left", job.effort
    steps = (left * number for number in (effort.training, effort.signs, effort.images / 1e6))
    return job.state == "there", left, *steps, job.seconds(speeds) / HOUR


def _texts(numbers: pd.Series[float]) -> list[str]:
    return [f"{number:,.{0 if name in WHOLE else 2}f}" for name, number in numbers.items()]


def _summary(branches: Sequence[Branch], speeds: Speeds, workers: int) -> list[str]:
    cells = [job for branch in branches for job in branch.cells]
    todo, there = (sum(job.state == state for job in cells) for state in ("left", "there"))
    poisons = sum(branch.craft.state == "left" for branch in branches)
    whole, wall = (seconds / HOUR for seconds in work_and_wall(branches, speeds, workers))
    return [
        f"{todo} cells to compute, {poisons} poisons to craft; {there} cells are there; nothing was written",
        f"{whole:,.2f} hours of work, at least {wall:,.2f} hours with {workers} workers",
        f"estimates: a sign step counts as {PERTURBING:g} of a training step, a defended epoch and a method "
        "that stops by its error as they say themselves, what was begun in full; measuring accuracy and MI "
        "and preparing images are left out",
    ]
