"""smi-hist: sliced MI by a histogram, the estimator of the MI-UE paper's table.

Zhu et al., ICLR 2026, arXiv 2603.03725. A PCA fitted on the clean features keeps r components, up to 99 % of
the variance and RANK of them, and maps both sets. Each slice projects the clean code on theta and the
published one on phi, two independent directions of the unit sphere. Its scalar pairs fall into BINS x BINS
equal cells between the least and the largest value of either side; their plug-in MI is averaged over slices,
and the same of permuted images is subtracted, which takes away most of the plug-in's bias upwards.
Differs from the paper: unknown. Its text gives neither the number or kind of bins, nor of slices, nor of
images, nor whether they are training or test images, nor what its MI of clean with itself is (0.71
nats); its repository has no measuring code. Compare orders with it, never values.
A binned pair tells less than the pair: the value is too small, the more so the stronger the dependence. And
it shrinks with r: whitened normal features against themselves give about 1/(2r). Compare only numbers of
equal n, r, slices and net.

The 95 % interval is of other images for the same code and slices: ten disjoint subsamples of the images
(Politis & Romano, Ann. Statist. 22, 2031, 1994), less the interaction with the slices that they see (two-way
analysis of variance), and the spread of the null over slices; Student's t.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from bench.metrics.mi.estimate import LEVEL, Estimate, begin
from bench.metrics.mi.ksg import Doubles, Floats, Integers, standardise
from bench.metrics.mi.pca_code import fit_code

NAME = "smi-hist"
BINS = 16  # of either side
SLICES = 500
RANK = 32  # most dimensions of the code
SUBSAMPLES = 10  # of the images, disjoint; fewer where one would have less than LEAST
LEAST = 100
SPREAD_SLICES = 128  # seen by the subsamples


def smi_hist(clean: Floats, published: Floats, seed: int, slices: int = SLICES, bins: int = BINS) -> Estimate:
    """Of features (n,d) of the same images, nats, the null subtracted."""
    begun = begin(NAME, clean, published)
    mean, code = fit_code(clean, RANK)
    theta, phi = directions(slices, code.shape[1], seed)
    x = standardise(theta @ ((clean - mean) @ code).T, f"{NAME}: clean in its code")  # (slices,n)
    y = standardise(phi @ ((published - mean) @ code).T, f"{NAME}: published in clean's code")
    rng = np.random.default_rng([seed, 1])  # another stream than that of directions
    paired = histogram_mi(x, y, bins)
    null = histogram_mi(x, np.stack([rng.permutation(row) for row in y]), bins)
    reach = _half_width(_of_subsamples(x, y, bins, np.random.default_rng([seed, 2])), null)
    value, said = float(paired.mean() - null.mean()), {"slices": slices, "bins": bins}
    return begun.end(value, reach, float(null.mean()), code.shape[1], said)


def _of_subsamples(x: Doubles, y: Doubles, bins: int, rng: np.random.Generator) -> Doubles:
    """Scores (subsamples, slices) of disjoint subsamples of the images in the first slices."""
    slices, n = x.shape
    used, parts = min(slices, SPREAD_SLICES), max(2, min(SUBSAMPLES, n // LEAST))
    rows = np.array_split(rng.permutation(n), parts)
    return np.stack([histogram_mi(x[:used, part], y[:used, part], bins) for part in rows])


def _half_width(found: Doubles, null: Doubles) -> float:
    """Of the interval, given the scores of subsamples (parts,used) and the null of each slice."""
    (parts, used), slices = found.shape, len(null)
    images = found.mean(axis=1).var(ddof=1)
    if used < slices:
        interaction = found - found.mean(axis=0) - found.mean(axis=1, keepdims=True) + found.mean()
        each = (interaction**2).sum() / ((parts - 1) * (used - 1))
        images = max(images - each / used, 0) + each / slices
    error = np.sqrt(images / parts + null.var(ddof=1) / slices)
    return float(stdtrit(parts - 1, (1 + LEVEL) / 2) * error)


def directions(slices: int, r: int, seed: int) -> tuple[Doubles, Doubles]:
    """theta and phi, each (slices,r) with unit rows; codes of different rank share their draws."""
    draws = np.random.default_rng(seed).standard_normal((2, slices, RANK))[..., :r]
    theta, phi = draws / np.linalg.norm(draws, axis=-1, keepdims=True)
    return theta, phi


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
