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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial import cKDTree
from scipy.special import digamma

from bench.core.errors import BadInput

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

ESTIMATOR = "smi-ksg"
VARIANCE = 0.99  # share of the clean variance at which the code ends, if it has not ended before
NOISE = 1e-10  # standard deviations added to break ties; scikit-learn's choice
PER_NEIGHBOUR = 10  # images needed for each neighbour of the KSG estimator


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
    _check("sliced_mi", ("clean", "published"), (clean, published), 2, settings.neighbours)
    mean, code = _fit_code(clean.astype(np.float64), settings.rank)
    theta, phi = directions(settings, code.shape[1], seed)
    x = theta @ ((clean - mean) @ code).T  # (slices,n)
    y = phi @ ((published - mean) @ code).T
    rng = np.random.default_rng([seed, 1])  # another stream than that of directions
    k = settings.neighbours
    paired = float(np.mean([ksg(a, b, k) for a, b in zip(x, y, strict=True)]))
    null = float(np.mean([ksg(a, rng.permutation(b), k) for a, b in zip(x, y, strict=True)]))
    n, d = clean.shape
    return MI(paired - null, null, n, code.shape[1], settings.slices, ESTIMATOR, d)


def directions(settings: MISettings, r: int, seed: int) -> tuple[Doubles, Doubles]:
    """theta and phi, each (slices,r) with unit rows; codes of different rank share their draws."""
    draws = np.random.default_rng(seed).standard_normal((2, settings.slices, settings.rank))[..., :r]
    theta, phi = draws / np.linalg.norm(draws, axis=-1, keepdims=True)
    return theta, phi


def ksg(x: Floats, y: Floats, k: int) -> float:
    """KSG-1 in nats between n scalar pairs, each side standardised."""
    _check("ksg", ("x", "y"), (x, y), 1, k)
    pairs = np.stack([_standardise(x), _standardise(y)], axis=1)
    pairs += NOISE * np.random.default_rng(0).standard_normal(pairs.shape)
    pairs = pairs[np.argsort(pairs[:, 0])]  # queries that are near in memory are faster
    tree = cKDTree(pairs, balanced_tree=False)  # the median split costs more than it saves here
    radius = np.ravel(tree.query(pairs, k=[k + 1], p=np.inf)[0])  # + 1: a pair is its own nearest
    marginals = sum(digamma(_within(side, radius)).mean() for side in pairs.T)
    return float(digamma(k) + digamma(len(pairs)) - marginals)


def _within(values: Doubles, radius: Doubles) -> NDArray[np.intp]:
    """How many values, itself included, lie nearer to a value than its radius; in ascending order."""
    order = np.argsort(values)
    values, radius = values[order], radius[order]
    # Rounding must not let the k-th neighbour in, whose distance may be the radius itself.
    radius = np.maximum(radius - 2 * np.spacing(np.abs(values) + radius), 0)
    above: NDArray[np.intp] = np.searchsorted(values, values + radius, "right")
    return above - np.searchsorted(values, values - radius)


def _standardise(x: Floats) -> Doubles:
    z: Doubles = x.astype(np.float64)
    z -= z.mean()
    z /= z.std()
    return z


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


def _check(who: str, names: tuple[str, str], arrays: tuple[Floats, Floats], ndim: int, k: int) -> None:
    """Both arrays have one shape, enough rows, and finite values that vary."""
    shapes = [a.shape for a in arrays]
    if shapes[0] != shapes[1] or len(shapes[0]) != ndim:
        raise ValueError(f"{who}: {names[0]} and {names[1]} need one {ndim}-D shape, got {shapes}")
    if len(arrays[0]) < PER_NEIGHBOUR * k:
        raise ValueError(f"{who}: {len(arrays[0])} rows; {k} neighbours need {PER_NEIGHBOUR * k} or more")
    for name, a in zip(names, arrays, strict=True):
        if not np.isfinite(a).all():
            raise ValueError(f"{who}: {name} has {np.sum(~np.isfinite(a))} values that are not finite")
        floor = 16 * np.finfo(a.dtype).eps * np.abs(a).max(initial=0)  # a few roundings do not count
        if np.ptp(a, axis=0).max(initial=0) <= floor:
            raise ValueError(f"{who}: {name} is constant over {len(a)} rows; expected values that vary")
