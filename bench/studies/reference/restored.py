"""Rows -> the cells as means with intervals, and the share that each defense gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bench.results.aggregate import Mean, Means, Pair, reach_of_sum
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED

HALF = 0.5  # of what a defense leaves clean; above it a method is restored
PERCENT = 100


class Verdict(StrEnum):
    HOLDS = "holds"
    BROKEN = "does not hold"
    UNDECIDED = "undecided"
    UNDEFINED = "not defined"  # what could be given back is not clearly above 0
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Line:
    """One cell. Accuracies are shares in [0,1], MI is in nats; None: not there."""

    method: str
    defense: str
    control: bool
    n: int = 0  # repetitions behind the accuracy
    accuracy: float | None = None
    std: float | None = None  # of a repetition; None below two
    low: float | None = None  # 95 % t interval of the mean
    high: float | None = None
    borrowed: bool = False  # one repetition: the interval is from the pooled spread of the repeated cells
    mi: float | None = None
    mi_gap: float | None = None
    comparable: bool = True  # whether MI is on the scale of clean's


@dataclass(frozen=True)
class Share:
    """What a defense gives back of what it leaves clean; no bounds. None: not known."""

    method: str
    defense: str
    restored: Verdict  # whether most of it
    value: float | None = None
    low: float | None = None  # 95 %
    high: float | None = None
    single: str = ""  # which of its cells have one repetition


def means_of(rows: Iterable[Row]) -> Means | None:
    """All grids are of one setting; None where nothing was measured."""
    ours = [row for row in rows if row.status == "ok"]
    assert len({row.setting for row in ours}) <= 1
    return Means(ours) if ours else None


def line_of(means: Means | None, pair: Pair, controls: Iterable[str]) -> Line:
    """Without numbers where the cell was not run."""
    found, mi, gap = (_mean(means, pair, metric) for metric in ("test_acc", "mi", "mi_gap"))
    if found is None:
        return Line(*pair, control=pair[0] in controls)
    std = None if found.borrowed else found.std
    return Line(
        *pair,
        control=pair[0] in controls,
        n=found.n,
        accuracy=found.mean / PERCENT,
        std=_part(std),
        low=_part(found.low),
        high=_part(found.high),
        borrowed=found.borrowed,
        mi=mi.mean if mi else None,
        mi_gap=gap.mean if gap else None,
        comparable=means is not None and means.comparable(pair),
    )


def _mean(means: Means | None, pair: Pair, metric: str) -> Mean | None:
    return None if means is None else means.mean(pair, metric)


def _part(percent: float | None) -> float | None:
    return None if percent is None else percent / PERCENT


# The share given back


def share_of(means: Means | None, method: str, defense: str) -> Share:
    """(own - bare) / (clean - bare): of the method defended, undefended, and of clean under the defense."""
    pairs = [(method, defense), (method, UNDEFENDED), (CLEAN, defense)]
    found = [mean for pair in pairs if (mean := _mean(means, pair, "test_acc"))]
    if len(found) < len(pairs):
        return Share(method, defense, Verdict.NOT_RUN)
    own, bare, clean = found
    single = ", ".join(" x ".join(pair) for pair, mean in zip(pairs, found, strict=True) if mean.n == 1)
    room = clean.mean - bare.mean
    error = reach_of_sum([(1, clean), (-1, bare)])
    if error is None or room <= error:
        return Share(method, defense, Verdict.UNDEFINED, single=single)
    value = (own.mean - bare.mean) / room
    off = reach_of_sum([(1 / room, own), ((value - 1) / room, bare), (-value / room, clean)])
    assert off is not None
    return Share(method, defense, restores(value, off), value, value - off, value + off, single)


def restores(value: float, off: float) -> Verdict:
    """Which side of one half the interval lies on."""
    if abs(value - HALF) <= off:
        return Verdict.UNDECIDED
    return Verdict.HOLDS if value > HALF else Verdict.BROKEN
