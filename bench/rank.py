"""Rank correlation over methods, with an interval from drawing the methods again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 3  # methods for any correlation
ENOUGH = 8  # methods below which it only describes those at hand, and has no interval
DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho over n methods; None where there are too few for it, or all are alike."""

    n: int
    rho: float | None = None
    low: float | None = None  # of the percentile bootstrap over methods
    high: float | None = None

    @property
    def descriptive(self) -> bool:
        return self.n < ENOUGH

    def __str__(self) -> str:
        if self.rho is None:
            return f"no rank correlation, n = {self.n}"
        interval = "" if self.low is None else f" [{self.low:.2f}, {self.high:.2f}]"
        said = f"ρ = {self.rho:.2f}{interval}, n = {self.n}"
        return f"{said}, descriptive" if self.descriptive else said


def correlation(points: Sequence[tuple[float, float]]) -> Correlation:
    """Of the two coordinates, one point a method. Always the same draws: a report can be made again."""
    n = len(points)
    if n < LEAST:
        return Correlation(n)
    x, y = np.array(points, dtype=float).T
    rho = float(_spearman(x[None], y[None])[0])
    if np.isnan(rho):
        return Correlation(n)
    if n < ENOUGH:  # three methods in order would give an interval from 1 to 1
        return Correlation(n, rho)
    drawn = np.random.default_rng(0).integers(n, size=(DRAWS, n))
    rhos = _spearman(x[drawn], y[drawn])
    rhos = rhos[~np.isnan(rhos)]  # a draw of one method alone has none
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(rhos, [tail, 100 - tail])
    return Correlation(n, rho, float(low), float(high))


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,n), (B,n) -> (B,): Pearson's correlation of the ranks, ties sharing theirs; NaN without spread."""
    from scipy.stats import rankdata  # a second, which a run without correlations need not wait for

    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (rankdata(x, axis=1), rankdata(y, axis=1)))
    with np.errstate(invalid="ignore"):
        rho: NDArray[np.float64] = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return rho
