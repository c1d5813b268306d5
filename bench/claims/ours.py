"""Our side of a published number: the repetitions of its cell in one setting, as a mean with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

from bench.claims.claim import Claim
from bench.claims.nearness import bare, lesser, same_data
from bench.pooling import REFERENCE, by_setting, gap_of, grouped, told_apart
from bench.rank import LEVEL, correlation
from bench.rows import Row

Pair = tuple[str, str]  # method, defense; as the rows are told apart
ROUNDING = 1e-9  # of budgets
ENDS = {"test_acc": (0.0, 100.0)}  # that no interval passes


@dataclass(frozen=True)
class Ours:
    """A mean in the claim's unit. None: not known."""

    mean: float
    reps: int  # repetitions; of a correlation, methods, of which variants are none of their own
    low: float | None = None
    high: float | None = None
    error: float | None = None  # standard error
    borrowed: bool = False  # one repetition, with the spread of the setting's repeated cells


class Sheet:
    """The rows of one setting."""

    def __init__(self, rows: Sequence[Row]) -> None:
        rows, more = told_apart(rows, "method")
        self.rows, notes = told_apart(rows, "defense")
        self.notes = more + notes  # what names with @ stand for
        self.groups = grouped(self.rows)
        self.id = self.rows[0].setting
        self.spreads: dict[str, tuple[float, int] | None] = {}

    def pair(self, claim: Claim) -> Pair | None:
        """Whose rows are the claim's: of several variants the one with most rows here, then the latest."""
        found = [pair for pair, rows in self.groups.items() if self._is_of(claim, pair, rows)]
        return max(found, key=self._weight, default=None)

    def _is_of(self, claim: Claim, pair: Pair, rows: Sequence[Row]) -> bool:
        names = [bare(name) for name in pair]
        return (
            names == [claim.method, claim.defense] and same_data(claim, rows[0]) and at_budget(claim, rows[0])
        )

    def _weight(self, pair: Pair) -> tuple[int, int, str, Pair]:
        method, defense = (
            sum(getattr(row, kind) == name for row in self.rows)
            for kind, name in zip(("method", "defense"), pair, strict=True)
        )
        return method, defense, max(row.finished for row in self.groups[pair]), pair

    def ours(self, claim: Claim, pair: Pair) -> Ours | None:
        """Of the claim's metric; None where it was not measured."""
        values = self.values(pair, claim.metric)
        if not values:
            return None
        found = Ours(fmean(values), len(values))
        if len(values) > 1:
            return between(found, math.sqrt(variance(values)), len(values) - 1, claim.metric)
        if spread := self.spread(claim.metric):
            return replace(between(found, *spread, claim.metric), borrowed=True)
        return found

    def values(self, pair: Pair, metric: str) -> list[float]:
        """One for each repetition."""
        rows = self.groups[pair]
        if metric == "test_acc":
            return [100 * row.test_acc for row in rows if row.test_acc is not None]
        if metric == "mi":
            return [row.mi for row in rows if row.mi is not None]
        clean = self.groups.get((REFERENCE, pair[1]), ())
        return [gap for row in rows if (gap := gap_of([row], clean)) is not None]

    def spread(self, metric: str) -> tuple[float, int] | None:
        """Pooled standard deviation over the repeated cells, and its degrees of freedom; None without any."""
        if metric not in self.spreads:
            repeated = [v for pair in self.groups if len(v := self.values(pair, metric)) > 1]
            free = sum(len(values) - 1 for values in repeated)
            summed = sum((len(values) - 1) * variance(values) for values in repeated)
            self.spreads[metric] = (math.sqrt(summed / free), free) if free else None
        return self.spreads[metric]

    def correlation(self, claim: Claim) -> Ours | None:
        """Of MI gap and accuracy gap over methods at the claim's budget; None where there is none.

        A variant whose base has a point (em-class beside em) is no method of its own.
        """
        points: dict[str, tuple[float, float]] = {}
        for pair in sorted(self.groups, key=self._weight):  # the heaviest of one name's stays
            rows = self.groups[pair]
            ours = pair[1] == claim.defense and same_data(claim, rows[0]) and at_budget(claim, rows[0])
            if ours and not rows[0].is_control and (point := self._point(pair)):
                points[bare(pair[0])] = point
        families = [name for name in sorted(points) if not any(lesser(name, base) for base in points)]
        found = correlation([points[name] for name in families])
        return None if found.rho is None else Ours(found.rho, found.n, found.low, found.high)

    def _point(self, pair: Pair) -> tuple[float, float] | None:
        """MI gap and accuracy gap of a method."""
        gaps = self.values(pair, "mi_gap")
        clean, own = (
            self.values((name, pair[1]), "test_acc") if (name, pair[1]) in self.groups else []
            for name in (REFERENCE, pair[0])
        )
        return (fmean(gaps), fmean(clean) - fmean(own)) if gaps and clean and own else None


def at_budget(claim: Claim, row: Row) -> bool:
    eps = row.inputs.get("method", {}).get("eps")
    return claim.eps is None or (eps is not None and abs(eps - claim.eps) < ROUNDING)


def between(found: Ours, std: float, free: int, metric: str) -> Ours:
    """With the t interval of its mean, from a standard deviation of so many degrees of freedom."""
    from scipy.stats import t  # a second, which a card without repetitions need not wait for

    error = std / math.sqrt(found.reps)
    reach = float(t.ppf((1 + LEVEL) / 2, free)) * error
    least, most = ENDS.get(metric, (-math.inf, math.inf))
    return replace(found, low=max(least, found.mean - reach), high=min(most, found.mean + reach), error=error)


def sheets(rows: Sequence[Row]) -> list[Sheet]:
    """One for each setting; rows without numbers are left out."""
    return [Sheet(ours) for ours in by_setting(row for row in rows if row.status == "ok")]
