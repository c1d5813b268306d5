"""Estimated dependence between a net's features of clean and of published images, in nats.

What is estimated: sliced mutual information (Goldfeld & Greenewald, NeurIPS 2021, arXiv 2110.05279)
on a code of the features. A PCA fitted on the clean features keeps r = min(rank, components up to
99 % of the variance); it maps both sets, with the clean mean and the clean standard deviation of
every component. Each slice projects the clean code on theta and the published code on phi, two
independent directions on the unit sphere, and gives the scalar pairs to KSG-1 (Kraskov, Stögbauer &
Grassberger, Phys. Rev. E 69, 066138, 2004). `nats` is the mean over slices minus `null`, the mean
over the same slices with the published images permuted. Directions and permutations follow from
the seed alone, so methods compared under one seed share them; ties are broken by fixed noise.

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

from bench.core.errors import BadInput
from bench.ksg import Doubles, Floats, check, ksg_of_rows, standardise

ESTIMATOR = "smi-ksg"
VARIANCE = 0.99  # share of the clean variance at which the code ends, if it has not ended before


@dataclass(frozen=True)
class MISettings:
    """How dependence is estimated."""

    images: int = 5000  # training images used; the caller picks them
    slices: int = 500
    rank: int = 32  # most dimensions of the PCA code
    neighbours: int = 5

    def __post_init__(self) -> None:
        if min(self.images, self.slices, self.rank, self.neighbours) < 1:
            raise BadInput(f"MI settings must all be at least 1, got {self}")


@dataclass(frozen=True)
class MI:
    """An estimate with everything it depends on."""

    nats: float  # mean over slices minus the null; may fall slightly below 0
    null: float  # the same on permuted pairs
    n: int
    rank: int  # dimensions of the code that was used
    slices: int
    estimator: str
    d: int  # length of a feature vector


def sliced_mi(clean: Floats, published: Floats, settings: MISettings, seed: int) -> MI:
    """Dependence between (n,d) features of the same n images, row by row."""
    check("sliced_mi", ("clean", "published"), (clean, published), 2, settings.neighbours)
    mean, code = _fit_code(clean.astype(np.float64), settings.rank)
    theta, phi = directions(settings, code.shape[1], seed)
    x = standardise(theta @ ((clean - mean) @ code).T, "sliced_mi: clean in its code")  # (slices,n)
    y = standardise(phi @ ((published - mean) @ code).T, "sliced_mi: published in clean's code")
    rng = np.random.default_rng([seed, 1])  # another stream than that of directions
    k = settings.neighbours
    paired = ksg_of_rows(x, y, k)
    null = ksg_of_rows(x, np.stack([rng.permutation(row) for row in y]), k)
    nats = float(paired.mean() - null.mean())
    n, d = clean.shape
    return MI(nats, float(null.mean()), n, code.shape[1], settings.slices, ESTIMATOR, d)


def directions(settings: MISettings, r: int, seed: int) -> tuple[Doubles, Doubles]:
    """theta and phi, each (slices,r) with unit rows; codes of different rank share their draws."""
    draws = np.random.default_rng(seed).standard_normal((2, settings.slices, settings.rank))[..., :r]
    theta, phi = draws / np.linalg.norm(draws, axis=-1, keepdims=True)
    return theta, phi


def _fit_code(clean: Doubles, most: int) -> tuple[Doubles, Doubles]:
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
