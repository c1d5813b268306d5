"""cka: debiased linear centred kernel alignment. A bounded proxy in [0,1], not MI.

Kornblith et al., ICML 2019, arXiv 1905.00414, with the unbiased HSIC of Song et al., JMLR 13, 2012. Of
the features as they are, without a code: alike up to rotation and scale gives 1, independent 0. It may
fall below 0 by chance. The null, of permuted pairs, is stated and not subtracted, since debiasing has
done so; the interval is by subsampling, as that of smi-hist.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from bench.metrics.mi.estimate import LEVEL, Estimate, Setting, begin
from bench.metrics.mi.ksg import Doubles, Floats

NAME = "cka"
SUBSAMPLES = 10
PERMUTATIONS = 10


def cka(clean: Floats, published: Floats, seed: int) -> Estimate:
    """Of features (n,d) of the same images."""
    begun, rng = begin(NAME, clean, published), np.random.default_rng(seed)
    x, y = (side - side.mean(axis=0, dtype=np.float64) for side in (clean, published))
    nulls = [debiased_cka(x, rng.permutation(y)) for _ in range(PERMUTATIONS)]
    parts = [debiased_cka(x[rows], y[rows]) for rows in np.array_split(rng.permutation(len(x)), SUBSAMPLES)]
    # At independence subsamples, whose error falls as 1/n, spread more than a tenth's root tells.
    error = np.std(parts, ddof=1) / np.sqrt(SUBSAMPLES)
    reach = float(stdtrit(SUBSAMPLES - 1, (1 + LEVEL) / 2) * error)
    said: dict[str, Setting] = {"not": "MI, a proxy in [0,1]", "permutations": PERMUTATIONS}
    return begun.end(debiased_cka(x, y), reach, float(np.mean(nulls)), x.shape[1], said)


def debiased_cka(x: Doubles, y: Doubles) -> float:
    """Of (n,d) features."""
    own = np.sqrt(max(_hsic(x, x), 0.0) * max(_hsic(y, y), 0.0))
    return min(float(_hsic(x, y) / own), 1.0) if own > 0 else 0.0


def _hsic(x: Doubles, y: Doubles) -> float:
    """Unbiased, of linear kernels; their (n,n) matrices without diagonals are never built."""
    n = len(x)
    own_x, own_y = (x**2).sum(axis=1), (y**2).sum(axis=1)
    rows_x, rows_y = x @ x.sum(axis=0) - own_x, y @ y.sum(axis=0) - own_y
    together = ((x.T @ y) ** 2).sum() - own_x @ own_y
    means = rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2))
    return float((together + means - 2 * (rows_x @ rows_y) / (n - 2)) / (n * (n - 3)))
