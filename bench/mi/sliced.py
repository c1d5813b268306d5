"""Estimated dependence between a net's features of clean and of published images, in nats.

What is estimated: sliced mutual information (Goldfeld & Greenewald, NeurIPS 2021, arXiv 2110.05279)
on a code of the features. A PCA fitted on the clean features keeps r = min(rank, components up to
99 % of the variance); it maps both sets, with the clean mean and the clean standard deviation of
every component. Each slice projects the clean code on theta and the published code on phi, two
independent directions on the unit sphere, and gives the scalar pairs to KSG-1 (Kraskov, Stögbauer &
Grassberger, Phys. Rev. E 69, 066138, 2004). `nats` is the mean over slices minus `null`, the mean
over the same slices with the published images permuted. Directions and permutations follow from
the seed alone, so methods compared under one seed share them; ties are broken by fixed noise.

`low` to `high` is a 95 % interval for `nats`, were other images drawn from the same source and shown to
the same net, through the same code and slices. Its variance is the sum of two:
- of the mean over slices, by subsampling without replacement (Politis & Romano, Ann. Statist. 22, 2031,
  1994): ten disjoint subsamples, each a tenth of the images; a tenth of the variance of their means is
  that of the whole. They give the spread alone and the interval is centred on `nats`, for KSG's bias
  grows as n shrinks. They see at most 128 slices; the variance of a mean over fewer slices than the
  estimate's is too large by the interaction of subsamples and slices (two-way analysis of variance),
  which is subtracted.
- of the null, which the permutations make independent from slice to slice: from its spread over slices.
The width is that of Student's t with one degree of freedom less than subsamples. Of 400 intervals on
Gaussians (n 500 and 1,000, rank 2 to 16), whose value on the same slices is known, 95 % covered it, 93
to 98 % by case. The terms of KSG-1 of each image, averaged over slices, cost nothing and would be the
other way to a variance; but neighbours share their neighbours, and that interval covered in 89 %.
Not in the interval: the choice of directions, which all methods share (its standard error is 0.001 for
500 slices of rank 32, as much as the interval reaches), and the victim's seed, for which there are
repetitions. Nor is it one for a gap between methods: their images are the same, and so is much of the
error.

Why "estimated dependence" and never "the mutual information": both features are functions of the
same image, for which the true value is infinite; what can be compared is how strongly one linear
view tells of another. The number depends on r and shrinks with it: whitened Gaussian features
against themselves give about 1/(2r). Compare only numbers with equal n, r, slices and net.

How it differs from MI-UE (arXiv 2603.03725): the paper also slices but prints a histogram estimate,
and its measuring code was never published, so its table can be compared by order, not by value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.stats import t as student

from bench.core.errors import BadInput
from bench.mi.ksg import Doubles, Floats, check, ksg_of_rows, standardise

ESTIMATOR = "smi-ksg"
VARIANCE = 0.99  # share of the clean variance at which the code ends, if it has not ended before
LEVEL = 0.95  # of the interval
SUBSAMPLES = 10  # of the images, disjoint; fewer where one would have less than LEAST for each neighbour
LEAST = 20  # with fewer images for each neighbour their spread is too small
SPREAD_SLICES = 128  # seen by the subsamples


@dataclass(frozen=True)
class MISettings:
    """How dependence is estimated."""

    images: int = 5000  # training images used; the caller picks them
    slices: int = 500
    rank: int = 32  # most dimensions of the PCA code
    neighbours: int = 5

    def __post_init__(self) -> None:
        if min(self.images, self.slices - 1, self.rank, self.neighbours) < 1:
            raise BadInput(f"MI settings must all be at least 1, and slices 2, got {self}")


@dataclass(frozen=True)
class MI:
    """An estimate with everything it depends on."""

    nats: float  # mean over slices minus the null; may fall slightly below 0
    null: float  # the same on permuted pairs
    low: float  # interval of nats at LEVEL
    high: float
    n: int
    rank: int  # dimensions of the code that was used
    slices: int
    estimator: str
    d: int  # length of a feature vector


def sliced_mi(clean: Floats, published: Floats, settings: MISettings, seed: int) -> MI:
    """Dependence between (n,d) features of the same n images, row by row."""
    check("sliced_mi", ("clean", "published"), (clean, published), 2, settings.neighbours)
    mean, code = fit_code(clean.astype(np.float64), settings.rank)
    theta, phi = directions(settings, code.shape[1], seed)
    x = standardise(theta @ ((clean - mean) @ code).T, "sliced_mi: clean in its code")  # (slices,n)
    y = standardise(phi @ ((published - mean) @ code).T, "sliced_mi: published in clean's code")
    rng = np.random.default_rng([seed, 1])  # another stream than that of directions
    k = settings.neighbours
    paired = ksg_of_rows(x, y, k)
    null = ksg_of_rows(x, np.stack([rng.permutation(row) for row in y]), k)
    nats = float(paired.mean() - null.mean())
    reach = _half_width(x, y, null, k, np.random.default_rng([seed, 2]))
    n, d = clean.shape
    interval = nats - reach, nats + reach
    return MI(nats, float(null.mean()), *interval, n, code.shape[1], settings.slices, ESTIMATOR, d)


def _half_width(x: Doubles, y: Doubles, null: Doubles, k: int, rng: np.random.Generator) -> float:
    """Of the interval, given the scores (slices,n) and the null of each slice."""
    slices, n = x.shape
    used, parts = min(slices, SPREAD_SLICES), max(2, min(SUBSAMPLES, n // (LEAST * k)))
    rows = np.array_split(rng.permutation(n), parts)
    found = np.stack([ksg_of_rows(x[:used, part], y[:used, part], k) for part in rows])  # (parts,used)
    images = found.mean(axis=1).var(ddof=1)
    if used < slices:
        interaction = found - found.mean(axis=0) - found.mean(axis=1, keepdims=True) + found.mean()
        each = (interaction**2).sum() / ((parts - 1) * (used - 1))
        images = max(images - each / used, 0) + each / slices
    error = np.sqrt(images / parts + null.var(ddof=1) / slices)
    return float(student.ppf((1 + LEVEL) / 2, parts - 1) * error)


def directions(settings: MISettings, r: int, seed: int) -> tuple[Doubles, Doubles]:
    """theta and phi, each (slices,r) with unit rows; codes of different rank share their draws."""
    draws = np.random.default_rng(seed).standard_normal((2, settings.slices, settings.rank))[..., :r]
    theta, phi = draws / np.linalg.norm(draws, axis=-1, keepdims=True)
    return theta, phi


def fit_code(clean: Doubles, most: int) -> tuple[Doubles, Doubles]:
    """Mean (d,) and map (d,r) that whiten the leading principal components of clean."""
    mean, d = clean.mean(axis=0), clean.shape[1]
    covariance = (clean - mean).T @ (clean - mean) / len(clean)
    variance, axes = eigh(covariance, subset_by_index=(max(d - most, 0), d - 1))
    variance, axes = variance[::-1], axes[:, ::-1]
    share = np.cumsum(variance) / np.trace(covariance)
    r = min(len(variance), int(np.searchsorted(share, VARIANCE)) + 1)
    axes = axes[:, :r]
    # LAPACKs return axes of either sign; the shared directions need one.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(r)])
    return mean, axes * signs / np.sqrt(variance[:r])
