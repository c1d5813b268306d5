"""smi-hist: sliced MI by a histogram, the estimator of the MI-UE paper's table.

Zhu et al., ICLR 2026, arXiv 2603.03725. Each slice's scalar pairs fall into BINS x BINS equal cells
between the least and the largest value of either side; their plug-in MI is averaged over slices, and
the same of permuted pairs is subtracted, which takes away most of the plug-in's bias upwards. Code,
slices, permutations and interval are those of smi-ksg.
Differs from the paper: unknown. Its text gives neither the number or kind of bins, nor of slices, nor of
images, nor whether they are training or test images, nor what its MI of clean with itself is (0.71
nats); its repository has no measuring code. Compare orders with it, never values.
A binned pair tells less than the pair: the value is too small, the more so the stronger the dependence.
"""

from __future__ import annotations

import numpy as np

from bench.metrics.mi.estimate import Estimate, begin
from bench.metrics.mi.ksg import Doubles, Floats, Integers
from bench.metrics.mi.sliced import MISettings, sliced

BINS = 16  # of either side


def smi_hist(
    clean: Floats, published: Floats, seed: int, settings: MISettings | None = None, bins: int = BINS
) -> Estimate:
    """Of features (n,d) of the same images, nats, the null subtracted."""
    begun, settings = begin("smi-hist", clean, published), settings or MISettings()
    found = sliced(clean, published, settings, seed, lambda x, y: histogram_mi(x, y, bins))
    said = {"slices": settings.slices, "bins": bins}
    return begun.end(found.nats, found.reach, found.null, found.rank, said)


def histogram_mi(x: Doubles, y: Doubles, bins: int) -> Doubles:
    """Plug-in MI in nats of each row of x with that row of y, (rows,n) both."""
    rows, n = x.shape
    cell = (np.arange(rows)[:, None] * bins + _bin(x, bins)) * bins + _bin(y, bins)
    joint = np.bincount(cell.ravel(), minlength=rows * bins**2).reshape(rows, bins, bins) / n
    entropies = [_entropy(share.reshape(rows, -1)) for share in (joint.sum(axis=2), joint.sum(axis=1), joint)]
    return entropies[0] + entropies[1] - entropies[2]


def _bin(values: Doubles, bins: int) -> Integers:
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    inside: Integers = ((values - low) * (bins / (high - low))).astype(np.intp)
    return np.minimum(inside, bins - 1)


def _entropy(share: Doubles) -> Doubles:
    """In nats, of each row."""
    entropy: Doubles = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=1)
    return entropy
