"""Rank correlation over points that come in families, with what can be held against it.

A method at three strengths gives three points but no three pieces of evidence: n counts families, the
interval draws whole families again, and the range shows the correlation without each of them. Of fewer
than ENOUGH families there is no interval and no verdict: the correlation describes these. A third
quantity can be given: the partial correlation of the ranks, that of what is left of both after a
linear fit of their ranks on its ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bench.rank import DRAWS, ENOUGH, LEAST, LEVEL

Doubles = NDArray[np.float64]
WEAK = 0.3  # correlations below it in size are next to none
ALL_OF_IT = 1e-9  # share of ranks' variance below which the third quantity leaves nothing


@dataclass(frozen=True)
class Association:
    """Spearman's rho; None where there are too few families, or nothing varies; low and high as well
    where there are fewer families than ENOUGH."""

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


class Verdict(StrEnum):
    """What became of an expectation."""

    HELD = "held"
    FAILED = "did not hold"
    DESCRIPTIVE = "descriptive"  # too few families for any of the others
    OPEN = "undecided"


def verdict(found: Association, expected: int) -> Verdict:
    """Of a correlation expected to be above (1) or below (-1) zero, or, with 0, on either side of it.

    Held: the interval, and the correlation without any one family, lie on that side. Did not hold:
    the interval ends below WEAK on that side, so that what there may be is next to nothing. Of fewer
    families than ENOUGH, neither.
    """
    if found.descriptive and found.rho is not None:
        return Verdict.DESCRIPTIVE
    if found.low is None or found.high is None or found.least is None or found.most is None:
        return Verdict.OPEN
    ends = {1: (found.low, found.least, found.high), -1: (-found.high, -found.most, -found.low)}
    sides = [ends[expected]] if expected else [*ends.values()]
    if any(low > 0 and least > 0 for low, least, _ in sides):
        return Verdict.HELD
    if all(high < WEAK for *_, high in sides):
        return Verdict.FAILED
    return Verdict.OPEN


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Of an expectation that has several parts."""
    seen = {*verdicts}
    for weakest in (Verdict.FAILED, Verdict.DESCRIPTIVE):
        if weakest in seen:
            return weakest
    return Verdict.HELD if seen == {Verdict.HELD} else Verdict.OPEN


def association(
    families: Sequence[str], x: Sequence[float], y: Sequence[float], given: Sequence[float] | None = None
) -> Association:
    """Of x and y over points, each of a family. Always the same draws: the same points, the same answer."""
    names = sorted(set(families))
    n, points = len(names), len(families)
    if n < LEAST:
        return Association(n, points)
    columns = np.array([x, y] if given is None else [x, y, given], dtype=np.float64)
    member = np.array([[own == name for own in families] for name in names], dtype=np.float64)
    rho = float(_rho(columns, np.ones((1, points)))[0])
    if np.isnan(rho):
        return Association(n, points)
    low, high = (None, None) if n < ENOUGH else _interval(columns, member)
    without = _known(_rho(columns, (1 - np.eye(n)) @ member))
    if n == LEAST or len(without) < n:
        return Association(n, points, rho, low, high)
    return Association(n, points, rho, low, high, float(without.min()), float(without.max()))


def _interval(columns: Doubles, member: Doubles) -> tuple[float, float]:
    """From drawing whole families again. member: (n,m), 1 where the point is the family's."""
    n, tail = len(member), 50 * (1 - LEVEL)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    rhos = _known(_rho(columns, drawn @ member))  # a draw in which nothing varies has none
    low, high = np.percentile(rhos, [tail, 100 - tail])
    return float(low), float(high)


def _known(values: Doubles) -> Doubles:
    return values[~np.isnan(values)]


def _rho(columns: Doubles, weights: Doubles) -> Doubles:
    """(2 or 3,m) values, (B,m) multiplicities of the points -> (B,) correlations of the first two's ranks."""
    ranks = np.stack([_ranks(column, weights) for column in columns])  # (c,B,m)
    total = weights.sum(axis=1, keepdims=True)
    centred = ranks - (weights * ranks).sum(axis=2, keepdims=True) / total
    covariance = np.einsum("ibm,jbm,bm->bij", centred, centred, weights)
    spread = np.sqrt(np.einsum("bii->bi", covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = covariance / (spread[:, :, None] * spread[:, None, :])
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
