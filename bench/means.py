"""Means over the repetitions of a cell, with intervals; a single repetition borrows the others' spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

from bench.pooling import (
    REFERENCE,
    all_comparable,
    beside_clean,
    gap_of,
    grouped,
    pooled_spread,
    told_apart,
)
from bench.rank import LEVEL
from bench.rows import Row

Pair = tuple[str, str]  # method, defense; as the rows are told apart
ENDS = {"test_acc": (0.0, 100.0)}  # that no interval passes


@dataclass(frozen=True)
class Mean:
    """A mean in its metric's unit: percent, or nats. None: not known."""

    mean: float
    reps: int  # repetitions; of a correlation, methods, of which variants are none of their own
    low: float | None = None
    high: float | None = None
    error: float | None = None  # standard error
    borrowed: bool = False  # one repetition, with the spread of the setting's repeated cells
    free: int | None = None  # degrees of freedom of the error


class Means:
    """The rows of one setting; the metrics are test_acc, mi and mi_gap."""

    def __init__(self, rows: Sequence[Row]) -> None:
        rows, more = told_apart(rows, "method")
        self.rows, notes = told_apart(rows, "defense")
        self.notes = more + notes  # what names with @ stand for
        self.groups = grouped(self.rows)
        self.id = self.rows[0].setting
        self.spreads: dict[str, tuple[float, int] | None] = {}

    def mean(self, pair: Pair, metric: str) -> Mean | None:
        """None where it was not measured."""
        values = self.values(pair, metric)
        if not values:
            return None
        found = Mean(fmean(values), len(values))
        if len(values) > 1:
            return between(found, math.sqrt(variance(values)), len(values) - 1, metric)
        if spread := self.spread(metric):
            return replace(between(found, *spread, metric), borrowed=True)
        return found

    def values(self, pair: Pair, metric: str) -> list[float]:
        """One for each repetition."""
        rows = self.groups.get(pair, ())
        if metric == "test_acc":
            return [100 * row.test_acc for row in rows if row.test_acc is not None]
        if metric == "mi":
            return [row.mi for row in rows if row.mi is not None]
        clean = self.groups.get((REFERENCE, pair[1]), ())
        if not self.comparable(pair):
            return []
        return [gap for row in rows if (gap := gap_of([row], clean)) is not None]

    def comparable(self, pair: Pair) -> bool:
        """Whether its MI is on the scale of clean's."""
        clean = self.groups.get((REFERENCE, pair[1]), ())
        return all_comparable(beside_clean(self.groups.get(pair, ()), clean))

    def spread(self, metric: str) -> tuple[float, int] | None:
        """Pooled standard deviation over the repeated cells, and its degrees of freedom; None without any."""
        if metric not in self.spreads:
            self.spreads[metric] = pooled_spread(self.values(pair, metric) for pair in self.groups)
        return self.spreads[metric]


def between(found: Mean, std: float, free: int, metric: str) -> Mean:
    """With the t interval of its mean, from a standard deviation of so many degrees of freedom."""
    error = std / math.sqrt(found.reps)
    reach = reach_of(error, free)
    least, most = ENDS.get(metric, (-math.inf, math.inf))
    ends = max(least, found.mean - reach), min(most, found.mean + reach)
    return replace(found, low=ends[0], high=ends[1], error=error, free=free)


def reach_of(error: float, free: float) -> float:
    """From a mean to either end of its t interval."""
    from scipy.stats import t  # a second, which a card without repetitions need not wait for

    return float(t.ppf((1 + LEVEL) / 2, free)) * error
