"""What becomes of an expectation, by rule."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from bench.results.correlation import Correlation

WEAK = 0.3  # correlations below it in size are next to none


class Outcome(StrEnum):
    """What became of an expectation."""

    HELD = "held"
    FAILED = "did not hold"
    DESCRIPTIVE = "descriptive"  # too few families for any of the others
    OPEN = "undecided"


def verdict(found: Correlation, expected: int) -> Outcome:
    """Of a correlation expected to be above (1) or below (-1) zero, or, with 0, on either side of it.

    Held: the interval, and the correlation without any one family, lie on that side. Did not hold:
    the interval ends below WEAK on that side, so that what there may be is next to nothing. Of fewer
    families than ENOUGH, neither.
    """
    if found.descriptive and found.rho is not None:
        return Outcome.DESCRIPTIVE
    if found.low is None or found.high is None or found.least is None or found.most is None:
        return Outcome.OPEN
    ends = {1: (found.low, found.least, found.high), -1: (-found.high, -found.most, -found.low)}
    sides = [ends[expected]] if expected else [*ends.values()]
    if any(low > 0 and least > 0 for low, least, _ in sides):
        return Outcome.HELD
    if all(high < WEAK for *_, high in sides):
        return Outcome.FAILED
    return Outcome.OPEN


def all_of(verdicts: Iterable[Outcome]) -> Outcome:
    """Of an expectation that has several parts."""
    seen = {*verdicts}
    for weakest in (Outcome.FAILED, Outcome.DESCRIPTIVE):
        if weakest in seen:
            return weakest
    return Outcome.HELD if seen == {Outcome.HELD} else Outcome.OPEN
