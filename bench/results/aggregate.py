"""Repetitions -> one number: means with spread and t interval, gaps to clean, cells of tables, curves.

The unit of replication is the poison: its victims are averaged before any interval. Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from bench.results.replicates import doubt_of, units_of
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, Groups, grouped, measured, parted, reason_of, told_apart

LEVEL = 0.95  # of all intervals
UNBOUNDED = -math.inf, math.inf
SHARES = 0.0, 1.0
ENDS = {"test_acc": (0.0, 100.0)}  # that no interval of a metric passes
Pair = tuple[str, str]  # method, defense
Change = tuple[float, float | None]  # a difference, and half of its interval where it is known


# Values -> means


def values_of(rows: Iterable[Row], column: str) -> list[float]:
    """Return one value for each repetition that has it, in the column's unit."""
    return [getattr(row, column) for row in measured(rows, column)]


def mean_of(values: Sequence[float]) -> float | None:
    """Average them; None of none."""
    return fmean(values) if values else None


@dataclass(frozen=True)
class Mean:
    """A mean over n units of replication (poisons; of clean, victims), in its quantity's unit.

    None: not known. Of a correlation the units are methods.
    """

    mean: float
    n: int
    low: float | None = None  # of the interval; None below two units, as the other two
    high: float | None = None
    error: float | None = None  # standard error

    @property
    def std(self) -> float | None:
        """The standard deviation of a unit."""
        return None if self.error is None else self.error * math.sqrt(self.n)


def summary(values: Sequence[float], ends: tuple[float, float] = UNBOUNDED) -> Mean | None:
    """Return the mean of units with its t interval, which does not pass the ends; None of no values."""
    if len(values) < 2:
        return Mean(values[0], 1) if values else None
    mean, error = fmean(values), stdev(values) / math.sqrt(len(values))
    reach = reach_of(error, len(values) - 1)
    return Mean(mean, len(values), max(ends[0], mean - reach), min(ends[1], mean + reach), error)


def reach_of(error: float, free: float) -> float:
    """Return half of the t interval of a mean with this standard error and degrees of freedom."""
    from scipy.stats import t  # a second, which tables without intervals need not wait for

    return float(t.ppf((1 + LEVEL) / 2, free)) * error


def reach_of_sum(terms: Iterable[tuple[float, Mean]]) -> float | None:
    """Return half of the interval of a weighted sum of independent means; None where an error is not known.

    Degrees of freedom: Welch and Satterthwaite.
    """
    parts = []  # variance, degrees of freedom
    for weight, mean in terms:
        if mean.error is None:
            return None
        parts.append(((weight * mean.error) ** 2, mean.n - 1))
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0
    return reach_of(math.sqrt(total), total**2 / sum(part**2 / free for part, free in parts))


def change(one: Mean | None, other: Mean | None) -> Change | None:
    """Return one minus the other, and half of the interval of that; None where either is lacking.

    Degrees of freedom are those of the side with fewer units: of two or three, Welch's are too many.
    """
    if one is None or other is None:
        return None
    if one.error is None or other.error is None:
        return one.mean - other.mean, None
    error = math.hypot(one.error, other.error)
    return one.mean - other.mean, reach_of(error, min(one.n, other.n) - 1)


# Against clean


def and_clean(groups: Groups, pair: Pair) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return a cell's repetitions, and clean's under the same defense."""
    return groups.get(pair, ()), groups.get((CLEAN, pair[1]), ())


def counterpart(row: Row, clean: Iterable[Row]) -> Row | None:
    """Find the repetition of the same seeds; clean is crafted once, and its first poison stands for all."""
    ours = [other for other in clean if other.rep == row.rep]
    return next((own for rep in (row.poison_rep, 0) for own in ours if own.poison_rep == rep), None)


def gaps_of(rows: Iterable[Row], clean: Iterable[Row], column: str) -> list[tuple[Row, float]]:
    """Return clean minus each repetition, with its row, where it and its counterpart have a value."""
    known = measured(clean, column)
    pairs = ((row, counterpart(row, known)) for row in measured(rows, column))
    return [(row, getattr(other, column) - getattr(row, column)) for row, other in pairs if other is not None]


# Rows -> cells of a table


@dataclass(frozen=True)
class Cell:
    """All repetitions of one method under one defense. Shares in [0,1] or nats; None: not there."""

    setting: str
    method: str
    defense: str
    mean: float | None  # over units
    std: float | None  # of the sample of repetitions; None below two
    n: int  # repetitions behind the mean
    status: str  # ok, partial (not all repetitions count), failed, skipped, unmeasured or missing
    reason: str | None
    gap: float | None = None  # of MI to its ceiling
    null: float | None = None
    poisons: int = 0  # that the repetitions are of
    low: float | None = None  # of the 95 % t interval over units; None below two
    high: float | None = None
    doubt: str | None = None  # why the accuracy is no verdict
    robust: float | None = None  # mean accuracy under attack, over units
    gap_low: float | None = None  # of the gap's 95 % t interval over units; None below two
    gap_high: float | None = None

    @property
    def whole(self) -> float | None:
        """The mean where all repetitions count."""
        return self.mean if self.status == "ok" else None


def pool(setting: str, pair: Pair, rows: Sequence[Row], column: str) -> Cell:
    """Average the repetitions of one cell, and say why some do not count."""
    known, reasons = measured(rows, column), dict.fromkeys(filter(None, (reason_of(r, column) for r in rows)))
    status = "ok" if len(known) == len(rows) else "partial"
    if not known:
        ends = [row.status for row in rows if row.status != "ok"]
        status = min(ends, default="unmeasured" if rows else "missing")  # failed before skipped
    found = summary(units_of(known, column), ends=SHARES if column.endswith("acc") else UNBOUNDED)
    mean, low, high = (found.mean, found.low, found.high) if found else (None, None, None)
    values, poisons = values_of(known, column), len({row.poison_rep for row in known})
    spread = stdev(values) if len(values) > 1 else None
    said = "; ".join(reasons) or None
    return Cell(setting, *pair, mean, spread, len(known), status, said, poisons=poisons, low=low, high=high)


def accuracy_cells(setting: str, pairs: Iterable[Pair], groups: Groups) -> dict[Pair, Cell]:
    """Average test accuracy, and say where it is no verdict."""
    return {
        pair: replace(
            pool(setting, pair, groups.get(pair, ()), "test_acc"),
            doubt=doubt_of(*and_clean(groups, pair)),
            robust=mean_of(units_of(groups.get(pair, ()), "robust_acc")),
        )
        for pair in pairs
    }


def early_cells(setting: str, methods: Iterable[str], name: str, groups: Groups) -> dict[str, Cell]:
    """Average what undefended victims reach at their best validation epoch, in cells of this name.

    Empty where no row has it.
    """
    rows = {method: groups.get((method, UNDEFENDED), ()) for method in methods}
    clean = groups.get((CLEAN, UNDEFENDED), ())
    cells = {
        method: replace(pool(setting, (method, name), own, "val_selected_acc"), doubt=doubt_of(own, clean))
        for method, own in rows.items()
    }
    return cells if any(cell.mean is not None for cell in cells.values()) else {}


def mi_cells(setting: str, pairs: Iterable[Pair], groups: Groups) -> dict[Pair, Cell]:
    """Average MI, its gap to its ceiling and its null."""
    cells = {}
    for pair in pairs:
        rows, clean = and_clean(groups, pair)
        gap = summary(units_of(rows, "mi_gap"))
        cells[pair] = replace(
            pool(setting, pair, rows, "mi"),
            gap=None if gap is None else gap.mean,
            gap_low=None if gap is None else gap.low,
            gap_high=None if gap is None else gap.high,
            null=mean_of(values_of(rows, "mi_null")),
            doubt=doubt_of(rows, clean),
        )
    return cells


class Means:
    """The rows of one setting; the metrics are test_acc in percent, mi and mi_gap in nats."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows, self.notes = told_apart(rows)  # notes: what names with @ stand for
        self.groups = grouped(self.rows)
        self.id = self.rows[0].setting

    def mean(self, pair: Pair, metric: str) -> Mean | None:
        """Return it with its interval over units; None where it was not measured."""
        return summary(self.values(pair, metric), ENDS.get(metric, UNBOUNDED))

    def values(self, pair: Pair, metric: str) -> list[float]:
        """Return one for each unit of replication."""
        scale = 100 if metric == "test_acc" else 1
        return [scale * value for value in units_of(self.groups.get(pair, ()), metric)]

    def doubt(self, pair: Pair) -> str | None:
        """Say why its accuracy is no verdict."""
        return doubt_of(*and_clean(self.groups, pair))


# Learning curves


@dataclass(frozen=True)
class Curve:
    """A victim's accuracy while it learned, means over repetitions, shares in [0,1]."""

    epochs: list[float]
    val: list[float]
    test: list[float]  # on the test subset
    spread: list[tuple[float, float]]  # least and greatest validation accuracy over repetitions

    @property
    def peak(self) -> tuple[float, float]:
        """Epoch and accuracy of the best point on the test subset: an oracle, nobody can choose it."""
        best = max(range(len(self.test)), key=self.test.__getitem__)
        return self.epochs[best], self.test[best]


def mean_curve(rows: Sequence[Row]) -> Curve | None:
    """Average over the points that all repetitions have; None where there is none."""
    points = parted((point for row in rows for point in row.curve), lambda point: point["epoch"])
    whole = {epoch: found for epoch, found in sorted(points.items()) if len(found) == len(rows)}
    if not whole:
        return None
    val = [[point["val_acc"] for point in found] for found in whole.values()]
    test = [[point["test_acc"] for point in found] for found in whole.values()]
    means = [[fmean(values) for values in column] for column in (val, test)]
    return Curve([*whole], means[0], means[1], [(min(values), max(values)) for values in val])
