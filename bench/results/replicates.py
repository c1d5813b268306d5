"""Rows -> what was replicated, and whether victims learned anything that an accuracy could speak of.

The unit of replication is the poison: two victims of one poison say nothing of another poison.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from bench.results.rows import Row
from bench.results.select import CLEAN, bare, measured

LEARNS = 0.2  # accuracy above chance below which a victim did not learn
ROUNDING = 1e-9  # 0.3 - 0.1 is below 0.2


def by_unit(values: Iterable[tuple[Row, float]]) -> list[float]:
    """Average the values of each unit of replication: of a poison over its victims.

    Clean is one poison, so that its units are victims; so are those of victims that leave the poison out.
    """
    units: dict[int, list[float]] = {}
    for row, value in values:
        units.setdefault(row.rep if of_victims(row) else row.poison_rep, []).append(value)
    return [fmean(own) for own in units.values()]


def units_of(rows: Iterable[Row], column: str) -> list[float]:
    """Return one value for each unit of replication that has any, in the column's unit."""
    return by_unit((row, getattr(row, column)) for row in measured(rows, column))


def is_clean(row: Row) -> bool:
    """Whether nothing was poisoned, whatever else tells this row's method apart."""
    return bare(row.method) == CLEAN


def of_victims(row: Row) -> bool:
    """Whether its victim is the same for every poison: of clean images alone."""
    return is_clean(row) or bool(row.inputs.get("drop_poisoned"))


def chance_of(rows: Sequence[Row]) -> float:
    """Return the share of the largest class in the test set; 1/classes where no row says."""
    return next((row.chance for row in rows if row.chance is not None), 1 / rows[0].classes)


def doubt_of(rows: Sequence[Row], clean: Sequence[Row]) -> str | None:
    """Say why a cell's accuracy is no verdict: its victims, or clean's under the same defense, did not learn.

    None where they learned, or nothing says. A victim that learned nothing says nothing of its poison.
    """
    known = measured(rows, "test_acc")
    if known and (own := _not_learned(known)):
        return f"did not learn: {own}"
    there = _not_learned(measured(clean, "test_acc")) if known else None
    return there and f"{CLEAN} did not learn under {known[0].defense} either: {there}"


def _not_learned(rows: Sequence[Row]) -> str | None:
    """Say how little the worst victim learned of what it was shown, or those of clean images in the mean."""
    if not rows:
        return None
    chance = chance_of(rows)
    seen = {
        "of the images it was shown": min((r.train_acc for r in rows if r.train_acc is not None), default=1.0)
    }
    if is_clean(rows[0]):
        seen["of the test images"] = fmean(units_of(rows, "test_acc"))
    low = (
        f"{100 * share:.1f} % {what}" for what, share in seen.items() if share < chance + LEARNS - ROUNDING
    )
    return next((f"{said}, chance {100 * chance:.1f} %" for said in low), None)
