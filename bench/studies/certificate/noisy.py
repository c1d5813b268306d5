"""What smi-noisy, the rows' estimator, is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np

from bench.metrics.mi.estimate import Estimate, Interval
from bench.metrics.mi.ksg import Doubles
from bench.metrics.mi.settings import MISettings
from bench.metrics.mi.smi_noisy import NAME, directions, smi_noisy
from bench.studies.certificate.case import Case, Trial
from bench.studies.certificate.slices import Family, Pair, Rectified, classes, normals, student

Figure = Literal["value", "ceiling", "gap"]
FIGURES: tuple[Figure, ...] = ("value", "ceiling", "gap")
MANY = 2000  # directions that stand for all of them
SAME_SEED = 0  # where a truth is of the slices of one seed
FLAT = 0.01  # nats by which features of fewer dimensions may differ
MAPS: dict[str, Callable[[Doubles], Doubles]] = {"cube root": np.cbrt, "exponential": np.exp}


@dataclass(frozen=True, eq=False)
class NoisyPlan:
    """How much of it: images -> draws."""

    slices: int
    normals: dict[int, int]
    others: dict[int, int]
    shapes: tuple[tuple[int, int], ...]  # d, rank
    correlations: tuple[float, ...]
    classes: tuple[int, ...]


FULL = NoisyPlan(
    slices=64,
    normals={200: 40, 500: 40, 1000: 40, 5000: 6, 10_000: 3},
    others={500: 20, 1000: 20, 5000: 4},
    shapes=((1, 1), (2, 2), (16, 16), (64, 4), (512, 512)),
    correlations=(0.0, 0.5, 0.95),
    classes=(10, 100),
)
SMALL = NoisyPlan(
    slices=16,
    normals={500: 12},
    others={1000: 4},
    shapes=((1, 1), (64, 16)),
    correlations=(0.0, 0.9),
    classes=(10,),
)


def cases(plan: NoisyPlan) -> Iterator[Case]:
    for part in (_normals, _others, _bounds, _copies, _maps, _collapsed, _ranks):
        yield from part(plan)


def _estimate(plan: NoisyPlan, pair: Pair, seed: int, sigma: float = 0.5) -> Estimate:
    return smi_noisy(*pair, seed, MISettings(slices=plan.slices, sigma=sigma))


def _trial(truth: float, figure: Figure, found: Estimate) -> Trial:
    if figure == "value":
        return Trial(truth, found.value, found.low, found.high, found.at_least)
    of: Interval | None = found.gap if figure == "gap" else found.ceiling
    return Trial(truth, None) if of is None else Trial(truth, of.value, of.low, of.high)


def _tolerance(n: int, draws: int, d: int = 2) -> float:
    """Of a mean over draws; in one dimension slices are all alike, so that draws of images show."""
    return 0.006 + 4 / n + (1.5 / np.sqrt(n * draws) if d == 1 else 0.0)


def _of(told: tuple[float, float], figure: Figure) -> float:
    value, ceiling = told
    return {"value": value, "ceiling": ceiling, "gap": ceiling - value}[figure]


def _normals(plan: NoisyPlan) -> Iterator[Case]:
    """Against the closed form over all directions: the intervals must cover it."""
    for (d, rank), rho in ((shape, rho) for shape in plan.shapes for rho in plan.correlations):
        family = normals(d, rank, rho)
        for sigma in (0.5, 1.0) if rho == max(plan.correlations) else (0.5,):
            told = family.told(directions(MANY, d, 1), sigma)
            for n, draws in plan.normals.items():
                for figure in FIGURES if rho else ("value",):
                    truth = _of(told, figure)
                    one = partial(_fresh, plan, family, n, sigma, figure, truth)
                    what = f"{figure} of sigma {sigma:g}, {family.name}"
                    yield Case(
                        NAME, what, d, n, draws, one, _tolerance(n, draws, rank), covers=True, about=truth
                    )


@cache
def _drawn(
    plan: NoisyPlan, family: Family, n: int, sigma: float, draw: int, seed: int | None = None
) -> Estimate:
    """Estimate once for all three figures, with the directions of a seed, or of its own."""
    pair = family.draw(n, np.random.default_rng([draw, n]))
    return _estimate(plan, pair, draw if seed is None else seed, sigma)


def _fresh(
    plan: NoisyPlan, family: Family, n: int, sigma: float, figure: Figure, truth: float, draw: int
) -> Trial:
    return _trial(truth, figure, _drawn(plan, family, n, sigma, draw))


def _others(plan: NoisyPlan) -> Iterator[Case]:
    """Against truths that are drawn, on the slices of one seed: shapes that are far from normal."""
    families: list[Family] = [student(8, 5, 0.9), student(8, 3, 0.0), Rectified(8, 0.9)]
    for k in plan.classes:
        families += [classes(16, k, (0.5, 0.5, 0.5), moved=moved) for moved in (False, True)]
        families += [classes(16, k, (0.5, 0.001, 0.0), moved=False)]
    for family in families:
        for n, draws in plan.others.items():
            for figure in FIGURES:
                one = partial(_on_slices, plan, family, n, figure)
                tolerance = 0.006 + _tolerance(n, draws, 1 if isinstance(family, Rectified) else family.d)
                yield Case(NAME, f"{figure}, {family.name}", family.d, n, draws, one, tolerance)


@cache
def _told(plan: NoisyPlan, family: Family) -> tuple[float, float]:
    return family.told(directions(plan.slices, family.d, SAME_SEED), MISettings().sigma)


def _on_slices(plan: NoisyPlan, family: Family, n: int, figure: Figure, draw: int) -> Trial:
    found = _drawn(plan, family, n, MISettings().sigma, draw, SAME_SEED)
    return _trial(_of(_told(plan, family), figure), figure, found)


def _bounds(plan: NoisyPlan) -> Iterator[Case]:
    """More points in another order than clean's than there are images for: too little is found."""
    family = classes(16, max(plan.classes), (0.001, 0.001, 0.0), moved=True)
    for n in plan.others:
        one = partial(_on_slices, plan, family, n, "value")
        yield Case(NAME, f"value, {family.name}", family.d, n, 2, one)


def _copies(plan: NoisyPlan) -> Iterator[Case]:
    """Independent features, of which some pairs are there twice: nothing."""
    for share in (0.02, 0.4):
        for n, draws in plan.others.items():
            one = partial(_copied, plan, n, share)
            what = f"value, {share:.0%} of independent pairs are copies"
            yield Case(NAME, what, 16, n, draws, one, _tolerance(n, draws), covers=True)


def _copied(plan: NoisyPlan, n: int, share: float, draw: int) -> Trial:
    pair = normals(16, 16, 0.0).draw(n, np.random.default_rng([draw, n]))
    copies, originals = n - round(share * n), round(share * n)
    for side in pair:
        side[copies:] = side[:originals]
    return _trial(0.0, "value", _estimate(plan, pair, draw))


def _maps(plan: NoisyPlan) -> Iterator[Case]:
    """Bend published features along one direction: what they tell is the same."""
    family = normals(1, 1, 0.9)
    truth = family.told(np.ones((1, 1)), MISettings().sigma)[0]
    for name, bend in MAPS.items():
        for n, draws in plan.others.items():
            one = partial(_bent, plan, family, n, bend, truth)
            what = f"value, {family.name}, {name} of published"
            yield Case(NAME, what, 1, n, draws, one, _tolerance(n, draws) + 0.01)


def _bent(
    plan: NoisyPlan, family: Family, n: int, bend: Callable[[Doubles], Doubles], truth: float, draw: int
) -> Trial:
    clean, published = family.draw(n, np.random.default_rng([draw, n]))
    return _trial(truth, "value", _estimate(plan, (clean, bend(published)), draw))


def _collapsed(plan: NoisyPlan) -> Iterator[Case]:
    """Publish one point, which tells nothing and misses all that could be told."""
    family = normals(16, 2, 1.0)
    ceiling = family.told(directions(1, 16, 0), MISettings().sigma)[1]
    for n, draws in plan.others.items():
        for figure in FIGURES:
            one = partial(_of_point, plan, family, n, figure, ceiling)
            what = f"{figure}, published features are one point"
            yield Case(NAME, what, 16, n, draws, one, _tolerance(n, draws), covers=figure == "value")


def _of_point(plan: NoisyPlan, family: Family, n: int, figure: Figure, ceiling: float, draw: int) -> Trial:
    clean, _ = family.draw(n, np.random.default_rng([draw, n]))
    found = _estimate(plan, (clean, np.ones_like(clean)), draw)
    return _trial(_of((0.0, ceiling), figure), figure, found)


def _ranks(plan: NoisyPlan) -> Iterator[Case]:
    """One pair of features, of which some dimensions are kept: on one scale with all of them."""
    family = normals(64, 64, 0.9)
    for n, draws in plan.others.items():
        for kept in (2, 8, 16):
            one = partial(_kept, plan, family, n, kept)
            what = f"{kept} of 64 dimensions against all of them"
            yield Case(NAME, what, 64, n, draws, one, FLAT if n >= 5000 else _tolerance(n, draws, 1))


def _kept(plan: NoisyPlan, family: Family, n: int, kept: int, draw: int) -> Trial:
    whole = _drawn(plan, family, n, 0.5, draw).value
    assert whole is not None
    clean, published = family.draw(n, np.random.default_rng([draw, n]))
    return _trial(whole, "value", _estimate(plan, (clean[:, :kept], published[:, :kept]), draw))
