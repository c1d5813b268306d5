"""Scalar pairs whose mutual information has a closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import multivariate_t

from bench.metrics.mi.ksg import Doubles

Pairs = Callable[[int, np.random.Generator], tuple[Doubles, Doubles]]


@dataclass(frozen=True)
class Scalars:
    """How to draw n pairs, and what either side tells of the other."""

    name: str
    nats: float
    draw: Pairs
    edges: bool = False  # whether densities end abruptly, where KSG finds too few neighbours


def normal(rho: float) -> Scalars:
    return Scalars(f"bivariate normal, rho {rho:g}", -0.5 * np.log(1 - rho**2), partial(_normal, rho))


def monotone(name: str, of_x: Callable[[Doubles], Doubles], of_y: Callable[[Doubles], Doubles]) -> Scalars:
    """Each side of a bivariate normal by itself: nothing is lost or gained."""

    def draw(n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        x, y = _normal(0.8, n, rng)
        return of_x(x), of_y(y)

    return Scalars(f"monotone maps of a normal, {name}", -0.5 * np.log(1 - 0.8**2), draw)


def student(freedom: int, rho: float) -> Scalars:
    """Of one radius, so that even uncorrelated sides tell of each other."""

    def draw(n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        radius = np.sqrt(freedom / rng.chisquare(freedom, n))
        x, y = _normal(rho, n, rng)
        return x * radius, y * radius

    one, two = (float(multivariate_t(shape=np.eye(d), df=freedom).entropy()) for d in (1, 2))
    nats = -0.5 * np.log(1 - rho**2) + 2 * one - two
    return Scalars(f"Student-t, {freedom} degrees of freedom, rho {rho:g}", nats, draw)


def uniform(noise: float) -> Scalars:
    """y is x in [0,1] plus uniform noise, of a width up to 1."""

    def draw(n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        x = rng.random(n)
        return x, x + noise * rng.random(n)

    return Scalars(f"uniform plus noise {noise:g}", noise / 2 - np.log(noise), draw, edges=True)


def _normal(rho: float, n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    x, z = rng.standard_normal((2, n))
    return x, rho * x + np.sqrt(1 - rho**2) * z
