"""A case of the certificate, and how it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta
from scipy.stats import binom

from bench.metrics.mi.estimate import LEVEL, Estimate

CHANCE = 0.001  # that an interval which covers at LEVEL is found not to
ROUNDING = 1e-9
Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Trial:
    """One draw: what is true of it, and what was found."""

    truth: float
    value: float | None  # None: only a bound
    low: float | None = None
    high: float | None = None
    at_least: float | None = None


def trial(truth: float, estimate: Estimate) -> Trial:
    return Trial(truth, estimate.value, estimate.low, estimate.high, estimate.at_least)


@dataclass(frozen=True)
class Case:
    """An estimator on draws of one kind, and what is accepted; nats, and 1 of CKA."""

    estimator: str
    against: str  # what is known, in words
    d: int  # length of the feature vectors
    n: int  # images
    draws: int
    trial: Callable[[int], Trial] = field(repr=False, compare=False)  # of draw number ...
    tolerance: float | None = None  # of the mean over draws; None: no number is accepted, only bounds
    covers: bool = False  # whether its intervals must cover the truth at LEVEL
    about: float | None = None  # what is true of endlessly many images, where that is known beforehand

    @property
    def name(self) -> str:
        return f"{self.estimator}: {self.against}, d {self.d}, n {self.n}, {self.draws} draws"

    @property
    def least(self) -> float:
        """Coverage below which the intervals are too short, by CHANCE."""
        return float(binom.ppf(CHANCE, self.draws, LEVEL)) / self.draws


@dataclass(frozen=True)
class CaseResult:
    """A case of the certificate, judged. The columns of certificate.csv."""

    estimator: str
    against: str
    d: Count
    n: Count
    draws: Count
    truth: float | None  # mean over draws, as all that follows
    mean: float | None  # of those that gave a number
    bias: float | None
    spread: Annotated[float, Meta(ge=0)] | None  # standard deviation of the error over draws
    coverage: Annotated[float, Meta(ge=0, le=1)] | None
    bounds: Annotated[int, Meta(ge=0)]  # draws that gave a bound and no number
    tolerance: float | None  # of the bias; None: bounds were expected
    accepted: str  # in words
    verdict: Literal["ok", "FAILED"]
    reason: str | None
    seconds: float
    name: str
    revision: int = 0  # of the estimator; 0: not known, and computed anew
    cases: int = 0  # revision of the cases
    libraries: str | None = None  # that it was computed with; None: not recorded


def judge(case: Case, tick: Callable[[float], None] = lambda share: None) -> CaseResult:
    """Draw all, and compare with what is accepted. tick: is told the share that is drawn."""
    began, trials = time.monotonic(), []
    for draw in range(case.draws):
        trials.append(case.trial(draw))
        tick((draw + 1) / case.draws)
    values = [t.value for t in trials if t.value is not None]
    errors = [t.value - t.truth for t in trials if t.value is not None and np.isfinite(t.truth)]
    held = [t.low <= t.truth <= t.high for t in trials if t.low is not None and t.high is not None]
    accepted = "a bound that is true"
    if case.tolerance is not None:
        least = f", coverage from {case.least:.3g}" if case.covers else ""
        accepted = f"bias within {case.tolerance:.3g}{least}"
    found = CaseResult(
        *(case.estimator, case.against, case.d, case.n, case.draws),
        truth=_mean([t.truth for t in trials]),
        mean=_mean(values) if errors else None,
        bias=_mean(errors),
        spread=float(np.std(errors, ddof=1)) if len(errors) > 1 else None,
        coverage=_mean(held),
        bounds=len(trials) - len(values),
        tolerance=case.tolerance,
        accepted=accepted,
        verdict="ok",
        reason=None,
        seconds=round(time.monotonic() - began, 2),
        name=case.name,
    )
    faults = "; ".join(_faults(case, trials, found))
    return replace(found, verdict="FAILED", reason=faults) if faults else found


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _faults(case: Case, trials: Sequence[Trial], found: CaseResult) -> Iterator[str]:
    if case.tolerance is None:
        if found.bounds < len(trials):
            yield f"{len(trials) - found.bounds} of {len(trials)} draws gave a number, expected bounds"
        if untrue := sum(t.at_least is not None and t.at_least > t.truth + ROUNDING for t in trials):
            yield f"{untrue} of {len(trials)} bounds are above the truth"
        return
    if found.bounds:
        yield f"{found.bounds} of {len(trials)} draws gave a bound, expected numbers"
    if found.bias is not None and not abs(found.bias) <= case.tolerance:
        yield f"bias {found.bias:+.4f}, accepted within {case.tolerance:.3g}"
    if case.covers and (found.coverage or 0.0) < case.least:
        yield f"coverage {found.coverage or 0.0:.3f}, accepted from {case.least:.3f}"
