"""Figures: what a benchmark measures, and the bar that it is held against.

A ratio is of two things that are timed in turn, in one run, on one machine. With --benchmark-disable (the
default of a plain pytest) each runs once, tiny, to show that it works.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Work = Callable[[], Any]


@dataclass
class Figures:
    """What a benchmark found: each figure with its bar, for the table."""

    benchmark: Any

    @property
    def full(self) -> bool:
        """Whether to measure, and not only to show that it runs."""
        return not self.benchmark.disabled

    def add(self, what: str, figure: float, unit: str = "", bar: str = "") -> None:
        """bar: such as >= 0.9 or <= 5; empty where the figure is only shown."""
        found = {"what": what, "figure": figure, "unit": unit, "bar": bar}
        self.benchmark.extra_info.setdefault("figures", []).append(found)

    def seconds(self, work: Work, rounds: int = 3) -> float:
        """The median."""
        self.benchmark.pedantic(work, rounds=rounds if self.full else 1, warmup_rounds=int(self.full))
        return float(self.benchmark.stats.stats.median) if self.full else 1.0

    def ratio(self, ours: Work, other: Work, rounds: int = 5) -> float:
        """How often ours fits into other: the median over pairs that were timed one after the other."""
        pairs: list[list[float]] = []

        def before() -> None:
            pairs.append([timed(other)])

        def timed_ours() -> None:
            pairs[-1].append(timed(ours))

        self.benchmark.pedantic(
            timed_ours, setup=before, rounds=rounds if self.full else 1, warmup_rounds=int(self.full)
        )
        return statistics.median(slow / fast for slow, fast in pairs[int(self.full) :])


def timed(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
