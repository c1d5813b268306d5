"""What KSG-1 is off by on normal pairs, as a function of what they tell.

With a thousand pairs that share 0.5 to 0.8 nats it finds 0.01 too many, with a hundred as much too few, since
densities are not constant around a pair. The error changes slowly with the strength of the dependence and its
shape, so that it is computed once for a number of pairs and neighbours, and subtracted.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import digamma

from bench.metrics.mi.ksg import ksg_of_rows, standardise

NATS = 0.2, 0.4, 0.6, 0.8, 1.0
PAIRS = 160_000  # drawn for each of NATS


def without_bias(nats: float, n: int, k: int) -> float:
    """Subtract from a mean of KSG-1, over samples of n pairs, its error on normal pairs that tell as much."""
    linear, square = _error(n, k)
    return nats - linear * nats - square * nats**2


@cache
def _error(n: int, k: int) -> tuple[float, float]:
    """Fit the error as linear * nats + square * nats^2; there is none at 0.

    What a sample's own correlation says is subtracted from each, for most of the spread is common to both.
    """
    rng, rows = np.random.default_rng([n, k]), max(8, PAIRS // n)
    of_correlation = 0.5 * float(digamma((n - 1) / 2) - digamma((n - 2) / 2))  # its own error, for any nats
    found = []
    for nats in NATS:
        rho = np.sqrt(-np.expm1(-2 * nats))
        x, z = rng.standard_normal((2, rows, n))
        x, y = (standardise(side, "x") for side in (x, rho * x + np.sqrt(1 - rho**2) * z))
        r = (x * y).mean(axis=1)
        found.append((ksg_of_rows(x, y, k) + 0.5 * np.log1p(-(r**2))).mean() + of_correlation)
    powers = np.stack([NATS, np.square(NATS)], axis=1)
    (linear, square), *_ = np.linalg.lstsq(powers, np.array(found), rcond=None)
    return float(linear), float(square)
