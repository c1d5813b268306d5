"""What every estimator returns, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from bench.metrics.mi.ksg import Floats, check
from bench.metrics.mi.limits import CERTIFIED

LEVEL = 0.95  # of every interval
Setting = float | int | str
ENDS = {"": "value", "_low": "low", "_high": "high"}

SIDES = "clean", "published"
DISTINCT = 0.5  # share of the images whose features must differ from all before


@dataclass(frozen=True)
class Interval:
    """A value, and its interval at LEVEL."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A figure with everything it depends on; in nats, but for CKA."""

    estimator: str
    value: float | None  # None: outside the certified range, see at_least
    null: float  # the same of permuted pairs; each file says whether it is subtracted
    low: float | None  # interval of value at LEVEL; None where there is no value
    high: float | None
    n: int  # images
    d: int  # length of a feature vector
    rank: int  # dimensions that were used
    settings: Mapping[str, Setting]  # what else: slices, bins, neighbours, sigma, cap
    at_least: float | None = None  # stands for the value, where there is none
    reason: str | None = None  # why there is none
    ceiling: Interval | None = None  # of smi-noisy: what could be told
    gap: Interval | None = None  # ceiling - value
    seconds: float = field(default=0.0, compare=False)

    @property
    def figures(self) -> dict[str, Setting | None]:
        """Return what a record keeps; `at_least` stands for a value outside the certified range."""
        names = "value", "low", "high", "null", "at_least", "estimator", "n", "d", "rank"
        found = {name: getattr(self, name) for name in names}
        found |= {"bound": self.reason, "seconds": round(self.seconds, 3), **self.settings}
        if self.ceiling is not None:
            found["ceiling"] = self.ceiling.value
            found |= {f"gap{end}": getattr(self.gap, name, None) for end, name in ENDS.items()}
            known = self.gap is not None and self.ceiling.value > 0
            for end, name in ENDS.items():
                found[f"share{end}"] = getattr(self.gap, name) / self.ceiling.value if known else None
        return found

    def __str__(self) -> str:
        if self.value is None:
            return f"at least {self.at_least:.3f} ({self.reason})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


# of features (n,d) of the same images, clean and published, and a seed; ValueError where unusable
Estimator = Callable[[Floats, Floats, int], Estimate]


@dataclass(frozen=True)
class Begun:
    """An estimate at its beginning: what it is of, checked."""

    estimator: str
    n: int
    d: int
    since: float

    @property
    def least(self) -> int:
        """Return how few images there may be."""
        return CERTIFIED[self.estimator].images

    def end(
        self,
        value: float,
        reach: float,
        null: float,
        rank: int,
        settings: Mapping[str, Setting],
        doubt: str | None = None,
    ) -> Estimate:
        """reach: half of the interval; doubt: why the estimator itself would give but a bound."""
        reason = doubt or self._outside(value, rank)
        low, high, seconds = value - reach, value + reach, time.monotonic() - self.since
        found = Estimate(
            self.estimator, value, null, low, high, self.n, self.d, rank, settings, seconds=seconds
        )
        if reason is None:
            return found
        return replace(found, value=None, low=None, high=None, at_least=max(low, 0.0), reason=reason)

    def _outside(self, value: float, rank: int) -> str | None:
        certified = CERTIFIED[self.estimator]
        if value > certified.most:
            return f"certified up to {certified.most:g}"
        if self.n < certified.per_dimension * rank:
            needed = certified.per_dimension * rank
            return f"{self.n} images, certified from {needed} for {rank} dimensions"
        return None


def begin(estimator: str, clean: Floats, published: Floats) -> Begun:
    """ValueError unless both are (n,d) features of enough images, finite, varying and mostly distinct."""
    begun = begin_paired(estimator, clean, published, constant="")
    for name, side in zip(SIDES, (clean, published), strict=True):
        distinct = len(np.unique(side, axis=0))
        if distinct < DISTINCT * begun.n:
            raise ValueError(
                f"{estimator}: {name} features of {begun.n} images are {distinct} distinct ones, the others "
                f"duplicated; expected {DISTINCT:.0%} or more to be distinct"
            )
    return begun


def begin_paired(estimator: str, clean: Floats, published: Floats, constant: str = "published") -> Begun:
    """ValueError unless both are (n,d) features of enough images, finite and varying, but for one of them."""
    since, (n, d) = time.monotonic(), clean.shape if clean.ndim == 2 else (0, 0)
    check(estimator, SIDES, (clean, published), 2, 1, constant)
    begun = Begun(estimator, n, d, since)
    if n < begun.least:
        raise ValueError(f"{estimator}: features of {n} images, expected {begun.least} or more")
    return begun
