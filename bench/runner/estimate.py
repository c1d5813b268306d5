"""What a run of the grid would find done, and what is left to do: jobs, steps, seconds. Nothing is written.

Costs are those that progress and deadlines go by: Method.passes and Undefended.cost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch

from bench.core.method import PERTURBING
from bench.core.recipe import recipes
from bench.core.train import Streams, fit
from bench.experiment import cache
from bench.experiment.context import Cell, RunContext
from bench.results.rows import Row
from bench.runner import grid
from bench.runner.jobs import Job

WARM_UP, STEPS = 5, 20  # steps that are not timed, the recording of cuda_graphs.py among them, and that are

State = Literal["there", "left", "skipped"]  # skipped: without meaning, or a poison that nothing waits for
Speeds = dict[str, float]  # net -> image-steps a second of one worker


@dataclass(frozen=True)
class Effort:
    """Of one job."""

    net: str  # that it trains, or takes gradients through
    training: int  # optimizer steps
    signs: int  # sign steps, each of one batch
    images: float  # image-steps: images times training steps, other work in what it costs against these


@dataclass(frozen=True)
class PlannedJob:
    """A job of the grid, and whether it is still to be done."""

    job: Job
    state: State
    effort: Effort
    reason: str | None = None  # why a cell is skipped

    def seconds(self, speeds: Speeds) -> float:
        """Estimate; 0 where there is nothing left to do."""
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


def planned(
    context: RunContext, cells: Sequence[Cell], rows: Iterable[Row], crafted: set[str]
) -> list[Branch]:
    """Look up every poison and cell of the grid.

    rows: all that are there already. crafted: keys of poisons that another grid crafts; added to.
    """
    old, branches = {row.key: row for row in rows}, []
    for craft, waiting in grid.by_poison(context, cells).items():
        victims = [_cell(context, job, old) for job in waiting]
        of = craft.method, craft.poison_rep
        folders = [context.poison_folder(*of)]
        folders += [context.delta_folder(*of)] if craft.method.publishes_otherwise else []
        state: State = "skipped"
        if any(map(cache.load, folders)):
            state = "there"
        elif any(victim.state == "left" for victim in victims):
            key = context.crafting_key(*of)
            state = "there" if key in crafted else "left"
            crafted.add(key)
        branches.append(Branch(PlannedJob(craft, state, effort(context, craft)), victims))
    return branches


def _cell(context: RunContext, job: Job, old: dict[str, Row]) -> PlannedJob:
    assert job.cell is not None
    row, reason = old.get(context.identity(job.cell).key), None
    state: State = "there"
    if row is None or not grid.is_finished(context, row):
        reason = job.cell.defense.value.unsuited(context.data)
        state = "skipped" if reason else "left"
    return PlannedJob(job, state, effort(context, job), reason)


def work_and_wall(branches: Sequence[Branch], speeds: Speeds, workers: int) -> tuple[float, float]:
    """Count seconds of work in all, and the least they take: shared by all workers, but no job by two.

    A cell waits for its poison.
    """
    whole = sum(job.seconds(speeds) for branch in branches for job in branch.jobs)
    chains = [
        branch.craft.seconds(speeds) + max(job.seconds(speeds) for job in branch.cells) for branch in branches
    ]
    return whole, max([whole / workers, *chains])


def effort(context: RunContext, job: Job) -> Effort:
    """Count by the plugins' own word: a method that stops by its error may need more or less."""
    setting, value, n = context.setting, job.method.value, len(context.data.train)
    victim = setting.victim
    if job.cell is not None:
        n = setting.offered(n)
        _, signs = split(job.cell.defense.value, lambda plugin: plugin.cost)
        recipe = job.cell.defense.value.recipe(victim)
        steps = recipe.epochs * math.ceil(n / recipe.batch)
        return Effort(setting.net, steps, round(signs * steps), job.cost * n)
    training, signs = split(value, lambda plugin: plugin.passes)
    batch = next(iter(recipes(value).values()), victim).batch
    perturbed = round(signs * math.ceil(n / getattr(value, "batch", batch)))
    return Effort(setting.surrogate, round(training * math.ceil(n / batch)), perturbed, job.cost * n)


def split(plugin: Any, cost: Callable[[Any], float]) -> tuple[float, float]:
    """Split a plugin's cost into what is training and how many sign steps it counts.

    Costs grow with the field `steps`, where there is one, along a straight line: with twice the sign
    steps, a plugin costs these steps once more.
    """
    whole = cost(plugin)
    if "steps" not in {f.name for f in fields(plugin)}:
        return whole, 0.0
    signs = (cost(replace(plugin, steps=2 * plugin.steps)) - whole) / PERTURBING
    return whole - PERTURBING * signs, signs


def images_per_second(context: RunContext, net: str) -> float:
    """Time undefended training in this process, in the victim's batches, for a few steps; images/s."""
    victim, data, device = context.setting.victim, context.data, context.device
    rows = torch.arange((WARM_UP + STEPS) * victim.batch, device=device) % len(data.train)
    done, ends = 0, []

    def tick(share: float, what: str) -> None:
        nonlocal done
        done += 1
        if done in (WARM_UP, WARM_UP + STEPS):
            if device.type == "cuda":  # steps are queued there, not done
                torch.cuda.synchronize(device)
            ends.append(time.perf_counter())

    once, streams = replace(victim, epochs=1), Streams.of(0, 0, device)
    fit(context.build(net, 0), data.train.take(rows), once, streams, data.augmentation, tick=tick)
    started, ended = ends
    return STEPS * victim.batch / (ended - started)
