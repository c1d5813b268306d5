"""The code of features that all estimators share: leading principal components of clean, whitened."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from bench.metrics.mi.ksg import Doubles, Floats, check

MOST = 32  # dimensions of the code, unless said otherwise
VARIANCE = 0.99  # share of the clean variance at which the code ends, if it has not ended before


def fit_code(clean: Floats, most: int, share: float = VARIANCE) -> tuple[Doubles, Doubles]:
    """Mean (d,) and map (d,r) that whiten the leading principal components of clean (n,d).

    share: of the clean variance, at which r ends below most; above 1 it does not.
    """
    clean = clean.astype(np.float64)
    mean, d = clean.mean(axis=0), clean.shape[1]
    covariance = (clean - mean).T @ (clean - mean) / len(clean)
    variance, axes = eigh(covariance, subset_by_index=(max(d - most, 0), d - 1))
    variance, axes = variance[::-1], axes[:, ::-1]
    seen = np.cumsum(variance) / np.trace(covariance)
    r = min(len(variance), int(np.searchsorted(seen, share)) + 1)
    axes = axes[:, :r]
    # LAPACKs return axes of either sign; the shared directions need one.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(r)])
    return mean, axes * signs / np.sqrt(variance[:r])


def codes(who: str, clean: Floats, published: Floats) -> tuple[Doubles, Doubles]:
    """Both features (n,d) in clean's code (n,r): clean has variance 1 in each dimension, published its own.

    Raises ValueError where published does not vary within the code.
    """
    mean, code = fit_code(clean, MOST)
    x, y = ((side - mean) @ code for side in (clean, published))
    check(who, ("clean in its code", "published in clean's code"), (x, y), 2, 1)
    return x, y


def ledoit_wolf(x: Doubles) -> Doubles:
    """Covariance (r,r) of centred x (n,r), shrunk towards its mean variance by as much as its error asks.

    Ledoit & Wolf, J. Multivariate Anal. 88, 365 (2004).
    """
    n, r = x.shape
    sample: Doubles = x.T @ x / n
    mean = np.trace(sample) / r
    apart = ((sample - mean * np.eye(r)) ** 2).sum()
    error = (((x**2).sum(axis=1) ** 2).sum() / n - (sample**2).sum()) / n
    share = 0.0 if apart == 0 else min(max(error / apart, 0.0), 1.0)
    shrunk: Doubles = (1 - share) * sample + share * mean * np.eye(r)
    return shrunk
