"""A case of the certificate, and how it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binom

from bench.metrics.mi.estimate import LEVEL, Estimate

CHANCE = 0.001  # that an interval which covers at LEVEL is found not to
ROUNDING = 1e-9


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


class Skip(Exception):
    """The case cannot be computed here; says why."""


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
class Line:
    """A case of the certificate, judged. The columns of certificate.csv."""

    estimator: str
    against: str
    d: int
    n: int
    draws: int
    truth: float | None  # mean over draws, as all that follows
    mean: float | None  # of those that gave a number
    bias: float | None
    spread: float | None  # standard deviation of the error over draws
    coverage: float | None
    bounds: int  # draws that gave a bound and no number
    tolerance: float | None  # of the bias; None: bounds were expected
    accepted: str  # in words
    verdict: str  # ok, FAILED, skipped
    reason: str | None
    seconds: float
    name: str
    revision: int = 0  # of the estimator; 0: not known, and computed anew
    cases: int = 0  # revision of the cases
    libraries: str | None = None  # that it was computed with; None: not recorded


def judge(case: Case, tick: Callable[[float], None] = lambda share: None) -> Line:
    """Draw all, and compare with what is accepted. tick: is told the share that is drawn."""
    began, trials, why = time.monotonic(), [], None
    try:
        for draw in range(case.draws):
            trials.append(case.trial(draw))
            tick((draw + 1) / case.draws)
    except Skip as skip:
        why = str(skip)
    reasons = list(_faults(case, trials)) if why is None else [why]
    mean, bias, spread = _figures(trials)
    verdict = "skipped" if why else "FAILED" if reasons else "ok"
    return Line(
        *(case.estimator, case.against, case.d, case.n, case.draws),
        truth=float(np.mean([t.truth for t in trials])) if trials else None,
        mean=mean,
        bias=bias,
        spread=spread,
        coverage=_coverage(trials),
        bounds=sum(t.value is None for t in trials),
        tolerance=case.tolerance,
        accepted=_accepted(case),
        verdict=verdict,
        reason="; ".join(reasons) or None,
        seconds=round(time.monotonic() - began, 2),
        name=case.name,
    )


def _figures(trials: list[Trial]) -> tuple[float | None, float | None, float | None]:
    """Mean of the numbers; mean and standard deviation of their errors."""
    errors = [t.value - t.truth for t in trials if t.value is not None and np.isfinite(t.truth)]
    if not errors:
        return None, None, None
    mean = float(np.mean([t.value for t in trials if t.value is not None]))
    spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else None
    return mean, float(np.mean(errors)), spread


def _coverage(trials: list[Trial]) -> float | None:
    """Share of the intervals that hold the truth; None where there are none."""
    ends = [(t.low, t.truth, t.high) for t in trials if t.low is not None and t.high is not None]
    return float(np.mean([low <= truth <= high for low, truth, high in ends])) if ends else None


def _accepted(case: Case) -> str:
    if case.tolerance is None:
        return "a bound that is true"
    return f"bias within {case.tolerance:.3g}" + (f", coverage from {case.least:.3g}" if case.covers else "")


def _faults(case: Case, trials: list[Trial]) -> Iterator[str]:
    numbers = sum(t.value is not None for t in trials)
    if case.tolerance is None:
        if numbers:
            yield f"{numbers} of {len(trials)} draws gave a number, expected bounds"
        untrue = sum(t.at_least is not None and t.at_least > t.truth + ROUNDING for t in trials)
        if untrue:
            yield f"{untrue} of {len(trials)} bounds are above the truth"
        return
    if numbers < len(trials):
        yield f"{len(trials) - numbers} of {len(trials)} draws gave a bound, expected numbers"
    _, bias, _ = _figures(trials)
    if bias is not None and not abs(bias) <= case.tolerance:
        yield f"bias {bias:+.4f}, accepted within {case.tolerance:.3g}"
    if case.covers and (found := _coverage(trials) or 0.0) < case.least:
        yield f"coverage {found:.3f}, accepted from {case.least:.3f}"
