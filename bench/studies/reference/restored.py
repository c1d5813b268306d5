"""Rows -> the cells as means with intervals, and the share that each defense gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bench.results.aggregate import Mean, Means, Pair, reach_of_sum
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED

HALF = 0.5  # of what a defense leaves clean; above it a method is restored


class PatternVerdict(StrEnum):
    HOLDS = "holds"
    BROKEN = "does not hold"
    UNDECIDED = "undecided"
    UNDEFINED = "not defined"  # what could be given back is not clearly above 0
    NOT_RUN = "not run"


@dataclass(frozen=True)
class CellNumbers:
    """One cell. Accuracy is in percent, MI in nats; None: not there."""

    method: str
    defense: str
    control: bool
    accuracy: Mean | None = None
    mi: float | None = None
    mi_gap: float | None = None
    comparable: bool = True  # whether MI is on the scale of clean's

    @property
    def n(self) -> int:
        """How many repetitions are behind the accuracy."""
        return self.accuracy.n if self.accuracy else 0

    @property
    def level(self) -> float:
        """The accuracy where there is one."""
        return self.accuracy.mean if self.accuracy else 0.0

    @property
    def columns(self) -> dict[str, object]:
        """Return what a table has of it; accuracies are shares in [0,1], std is that of a repetition."""
        own, borrowed = self.accuracy, self.accuracy is not None and self.accuracy.borrowed
        ends = (
            [None, None, None, None]
            if own is None
            else [own.mean, None if borrowed else own.std, own.low, own.high]
        )
        shares = [None if end is None else end / 100 for end in ends]
        return {
            **{"method": self.method, "defense": self.defense, "control": self.control, "n": self.n},
            **dict(zip(("accuracy", "std", "low", "high"), shares, strict=True)),
            **{"borrowed": borrowed, "mi": self.mi, "mi_gap": self.mi_gap, "comparable": self.comparable},
        }


@dataclass(frozen=True)
class RestoredShare:
    """What a defense gives back of what it leaves clean; no bounds. None: not known."""

    method: str
    defense: str
    restored: PatternVerdict  # whether most of it
    value: float | None = None
    low: float | None = None  # 95 %
    high: float | None = None
    single: str = ""  # which of its cells have one repetition


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
    values = mi.mean if mi else None, gap.mean if gap else None
    return CellNumbers(*pair, control, accuracy, *values, means.comparable(pair))


# The share given back


def share_of(means: Means | None, method: str, defense: str) -> RestoredShare:
    """(own - bare) / (clean - bare): of the method defended, undefended, and of clean under the defense."""
    pairs = [(method, defense), (method, UNDEFENDED), (CLEAN, defense)]
    found = [mean for pair in pairs if means and (mean := means.mean(pair, "test_acc"))]
    if len(found) < len(pairs):
        return RestoredShare(method, defense, PatternVerdict.NOT_RUN)
    own, bare, clean = found
    single = ", ".join(" x ".join(pair) for pair, mean in zip(pairs, found, strict=True) if mean.n == 1)
    room = clean.mean - bare.mean
    error = reach_of_sum([(1, clean), (-1, bare)])
    if error is None or room <= error:
        return RestoredShare(method, defense, PatternVerdict.UNDEFINED, single=single)
    value = (own.mean - bare.mean) / room
    off = reach_of_sum([(1 / room, own), ((value - 1) / room, bare), (-value / room, clean)])
    assert off is not None
    return RestoredShare(method, defense, restores(value, off), value, value - off, value + off, single)


def restores(value: float, off: float) -> PatternVerdict:
    """Which side of one half the interval lies on."""
    if abs(value - HALF) <= off:
        return PatternVerdict.UNDECIDED
    return PatternVerdict.HOLDS if value > HALF else PatternVerdict.BROKEN
