"""What a job of the grid takes, counted before it is done: steps and image-steps.

The costs are those that progress and deadlines go by: Method.passes and Undefended.cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from bench.core.method import PERTURBING
from bench.core.types import Recipe
from bench.experiment.cell import Bench
from bench.runner.jobs import Job


@dataclass(frozen=True)
class Effort:
    """Of one job."""

    net: str  # that it trains, or takes gradients through
    training: int  # optimizer steps
    signs: int  # sign steps, each of one batch
    images: float  # image-steps: images times training steps, other work in what it costs against these


def effort(bench: Bench, job: Job) -> Effort:
    return _crafting(bench, job) if job.cell is None else _training(bench, job)


def _crafting(bench: Bench, job: Job) -> Effort:
    """By the method's own word: one that stops by its error may need more or less."""
    value, n = job.method.value, len(bench.data.train)
    training, signs = split(value, lambda plugin: plugin.passes)
    recipes = [v for v in (getattr(value, f.name) for f in fields(value)) if isinstance(v, Recipe)]
    batch = recipes[0].batch if recipes else bench.setting.victim.batch
    perturbed = math.ceil(n / getattr(value, "batch", batch))
    steps = round(training * math.ceil(n / batch)), round(signs * perturbed)
    return Effort(bench.setting.surrogate, *steps, job.cost * n)


def _training(bench: Bench, job: Job) -> Effort:
    assert job.cell is not None
    victim, n = bench.setting.victim, bench.setting.offered(len(bench.data.train))
    steps = victim.epochs * math.ceil(n / victim.batch)
    _, signs = split(job.cell.defense.value, lambda plugin: plugin.cost)
    return Effort(bench.setting.net, steps, round(signs * steps), job.cost * n)


def split(plugin: Any, cost: Callable[[Any], float]) -> tuple[float, float]:
    """A plugin's cost as what is training and how many sign steps it counts.

    Costs grow with the field `steps`, where there is one, along a straight line: with twice the sign
    steps, a plugin costs these steps once more.
    """
    whole = cost(plugin)
    if "steps" not in {f.name for f in fields(plugin)}:
        return whole, 0.0
    signs = (cost(replace(plugin, steps=2 * plugin.steps)) - whole) / PERTURBING
    return whole - PERTURBING * signs, signs
