"""Rows -> the cells as means with intervals, and the share that each defense gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bench.results.aggregate import Mean, Means, Pair, reach_of_sum
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, measured

HALF = 0.5  # of what a defense leaves clean; above it a method is restored
ROOM = 5.0  # points to give back, below which a share of them means nothing, where there is no interval


class PatternVerdict(StrEnum):
    HOLDS = "holds"
    BROKEN = "does not hold"
    UNDECIDED = "undecided"
    ONE_POISON = "undecided: one poison"
    UNDEFINED = "not defined"  # what could be given back is not clearly above 0
    DID_NOT_LEARN = "did not learn"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class CellNumbers:
    """One cell. Accuracy is in percent, MI in nats; None: not there."""

    method: str
    defense: str
    control: bool
    reps: int = 0  # behind the accuracy
    poisons: int = 0  # that they are of
    accuracy: Mean | None = None
    mi: float | None = None
    mi_gap: float | None = None
    doubt: str | None = None  # why the accuracy is no verdict

    @property
    def columns(self) -> dict[str, object]:
        """Return what a table has of it; accuracies are shares in [0,1], std is that of a unit."""
        found = [getattr(self.accuracy, name, None) for name in ("mean", "std", "low", "high")]
        mean, std, low, high = (None if value is None else value / 100 for value in found)
        own = vars(self) | {"accuracy": mean, "std": std, "low": low, "high": high}
        return own | {name: own.pop(name) for name in ("mi", "mi_gap", "doubt")}


@dataclass(frozen=True)
class RestoredShare:
    """What a defense gives back of what it leaves clean; no bounds. None: not known."""

    method: str
    defense: str
    restored: PatternVerdict  # whether most of it
    value: float | None = None
    low: float | None = None  # 95 %
    high: float | None = None
    single: str = ""  # which of its cells have no interval: one poison, or of clean one victim


def means_of(rows: Iterable[Row]) -> Means | None:
    """All grids are of one setting; None where nothing was measured."""
    ours = [row for row in rows if row.status == "ok"]
    assert len({row.setting for row in ours}) <= 1
    return Means(ours) if ours else None


def cell_of(means: Means | None, pair: Pair, controls: Iterable[str]) -> CellNumbers:
    """Without numbers where the cell was not run."""
    control = pair[0] in controls
    if means is None:
        return CellNumbers(*pair, control)
    accuracy, mi, gap = (means.mean(pair, metric) for metric in ("test_acc", "mi", "mi_gap"))
    rows = measured(means.groups.get(pair, ()), "test_acc")
    values = mi.mean if mi else None, gap.mean if gap else None
    counts = len(rows), len({row.poison_rep for row in rows})
    return CellNumbers(*pair, control, *counts, accuracy, *values, means.doubt(pair))


# The share given back


def share_of(means: Means | None, method: str, defense: str) -> RestoredShare:
    """(own - bare) / (clean - bare): of the method defended, undefended, and of clean under the defense."""
    pairs = [(method, defense), (method, UNDEFENDED), (CLEAN, defense)]
    found = [mean for pair in pairs if means and (mean := means.mean(pair, "test_acc"))]
    if means is None or len(found) < len(pairs):
        return RestoredShare(method, defense, PatternVerdict.NOT_RUN)
    if any(means.doubt(pair) for pair in pairs):
        return RestoredShare(method, defense, PatternVerdict.DID_NOT_LEARN)
    own, bare, clean = found
    single = ", ".join(" x ".join(pair) for pair, mean in zip(pairs, found, strict=True) if mean.n == 1)
    room, error = clean.mean - bare.mean, reach_of_sum([(1, clean), (-1, bare)])
    if room <= (ROOM if error is None else error):
        return RestoredShare(method, defense, PatternVerdict.UNDEFINED, single=single)
    value = (own.mean - bare.mean) / room
    off = reach_of_sum([(1 / room, own), ((value - 1) / room, bare), (-value / room, clean)])
    if off is None:
        return RestoredShare(method, defense, PatternVerdict.ONE_POISON, value, single=single)
    verdict = PatternVerdict.HOLDS if value > HALF else PatternVerdict.BROKEN
    if abs(value - HALF) <= off:
        verdict = PatternVerdict.UNDECIDED
    return RestoredShare(method, defense, verdict, value, value - off, value + off, single)
