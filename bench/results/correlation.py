"""Spearman's rank correlation over points that may come in families, with what can be held against it.

A method at three strengths gives three points but no three pieces of evidence: n counts families, the
interval draws whole families again, and the range shows the correlation without each of them. Of fewer
than ENOUGH families there is no interval: the correlation describes these. A third quantity can be given:
the partial correlation of the ranks, that of what is left of both after a linear fit of their ranks on its
ranks. Without families each point is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.results.aggregate import LEVEL

Doubles = NDArray[np.float64]
LEAST = 3  # families for any correlation
ENOUGH = 8  # families below which it only describes those at hand, and has no interval
DRAWS = 2000
ALL_OF_IT = 1e-9  # share of ranks' variance below which the third quantity leaves nothing


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho; None where there are too few families, or nothing varies; low and high as well where
    there are fewer families than ENOUGH."""

    n: int  # families
    points: int
    rho: float | None = None
    low: float | None = None  # of the percentile bootstrap over families
    high: float | None = None
    least: float | None = None  # of the correlations without each family
    most: float | None = None

    @property
    def descriptive(self) -> bool:
        return self.n < ENOUGH

    def __str__(self) -> str:
        if self.rho is None:
            return f"no rank correlation, n = {self.n}"
        said = f"ρ = {self.numbers}, n = {self.n}"
        return f"{said}, descriptive" if self.descriptive else said

    @property
    def numbers(self) -> str:
        """The correlation, and its interval where there is one."""
        if self.rho is None:
            return "-"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.rho:.2f}{interval}"


def correlation(
    points: Sequence[tuple[float, float]],
    families: Sequence[str] | None = None,
    given: Sequence[float] | None = None,
) -> Correlation:
    """Correlate the two coordinates. Always the same draws: the same points, the same answer."""
    m, member = len(points), np.eye(len(points))  # (n,m): 1 where the point is the family's
    if families is not None:
        member = np.array([[own == name for own in families] for name in sorted(set(families))], np.float64)
    n = len(member)
    if n < LEAST:
        return Correlation(n, m)
    columns = np.array([*zip(*points, strict=True), *([] if given is None else [given])], np.float64)

    def rhos(weights: Doubles) -> Doubles:
        return _rho(columns, weights, one_root=families is None)

    rho = float(rhos(np.ones((1, m)))[0])
    if np.isnan(rho):
        return Correlation(n, m)
    low = high = least = most = None
    if n >= ENOUGH:  # three methods in order would give an interval from 1 to 1
        tail = 50 * (1 - LEVEL)
        draws = np.random.default_rng(0).integers(n, size=(DRAWS, n))  # of families, with replacement
        again = rhos(np.eye(n)[draws].sum(axis=1) @ member)
        low, high = map(float, np.percentile(again[~np.isnan(again)], [tail, 100 - tail]))
    without = rhos((1 - np.eye(n)) @ member)
    if n > LEAST and not np.isnan(without).any():
        least, most = float(without.min()), float(without.max())
    return Correlation(n, m, rho, low, high, least, most)


def _rho(columns: Doubles, weights: Doubles, *, one_root: bool) -> Doubles:
    """(2 or 3,m) values, (B,m) multiplicities of the points -> (B,) correlations of the first two's ranks.

    NaN where nothing varies. one_root: of the product of both variances; else of each, as the stored
    tables of families have it, which differs in the last digit.
    """
    ranks = np.stack([_ranks(column, weights) for column in columns])  # (c,B,m)
    total = weights.sum(axis=1, keepdims=True)
    centred = ranks - (weights * ranks).sum(axis=2, keepdims=True) / total
    covariance = np.einsum("ibm,jbm,bm->bij", centred, centred, weights)
    variance = np.einsum("bii->bi", covariance)
    spread = np.sqrt(variance)
    both = spread[:, :, None] * spread[:, None, :]
    if one_root:
        both = np.sqrt(variance[:, :, None] * variance[:, None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        r = covariance / both
        if len(columns) == 2:
            rho: Doubles = r[:, 0, 1]
            return rho
        left = (1 - r[:, 0, 2] ** 2) * (1 - r[:, 1, 2] ** 2)
        partial: Doubles = (r[:, 0, 1] - r[:, 0, 2] * r[:, 1, 2]) / np.sqrt(left)
    return np.where(left > ALL_OF_IT, np.clip(partial, -1, 1), np.nan)


def _ranks(column: Doubles, weights: Doubles) -> Doubles:
    """Mean ranks (B,m) of the values (m,) where each point stands there as often as its weight."""
    below = (column[None, :] < column[:, None]).astype(np.float64)
    equal = (column[None, :] == column[:, None]).astype(np.float64)
    ranks: Doubles = weights @ below.T + (weights @ equal.T + 1) / 2
    return ranks
