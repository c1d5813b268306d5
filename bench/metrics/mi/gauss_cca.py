"""gauss-cca: I(Z; Z' + sigma N) of jointly Gaussian codes, from held-out canonical correlations.

Z and Z' are the codes of clean and of published features, in clean's units; N is standard normal. For
Gaussians it is -1/2 sum log(1 - rho_i^2) over canonical correlations (Kay, IEEE Trans. Inf. Theory 38,
1992), for others the part of the dependence that is linear. Correlations of the images that the
directions were fitted on are far too large, so there are five folds: directions from four of them, with
covariances shrunk as Ledoit & Wolf (J. Multivariate Anal. 88, 2004) say, correlations from the products
of the fifth. The noise is not drawn: its variance is added. Correlations below 0 count as 0.

The mean over permuted pairs is subtracted. The interval is that of a mean: each image's influence on the
estimate, given the directions, and the null's spread. Directions are never quite right, so the value is
too small with few images for each dimension; see CERTIFIED for how many make it a number.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh, svd
from scipy.special import ndtri

from bench.metrics.mi.estimate import LEVEL, Estimate, begin
from bench.metrics.mi.ksg import Doubles, Floats
from bench.metrics.mi.limits import NEARLY_ONE, SIGMA
from bench.metrics.mi.pca_code import codes, ledoit_wolf

NAME = "gauss-cca"
FOLDS = 5
PERMUTATIONS = 12


def gauss_cca(clean: Floats, published: Floats, seed: int, sigma: float = SIGMA) -> Estimate:
    """Of features (n,d) of the same images, nats, the null subtracted."""
    begun, rng = begin(NAME, clean, published), np.random.default_rng(seed)
    x, y = codes(NAME, clean, published)
    value, influence, largest = held_out(x, y, sigma, rng)
    nulls = [held_out(x, rng.permutation(y), sigma, rng)[0] for _ in range(PERMUTATIONS)]
    null, n = float(np.mean(nulls)), len(x)
    variance = influence.var(ddof=1) / n + np.var(nulls, ddof=1) * (1 + 1 / PERMUTATIONS)
    reach = float(ndtri((1 + LEVEL) / 2) * np.sqrt(variance))
    doubt = None
    if largest > NEARLY_ONE:
        doubt = f"diverges: a canonical correlation of {largest:.5f}, told from 1 up to {NEARLY_ONE}"
    said = {"sigma": sigma, "folds": FOLDS, "permutations": PERMUTATIONS}
    return begun.end(value - null, reach, null, x.shape[1], said, doubt)


def held_out(x: Doubles, y: Doubles, sigma: float, rng: np.random.Generator) -> tuple[float, Doubles, float]:
    """MI in nats of codes (n,r), each image's influence on it (n,), and the largest correlation."""
    u, v, noise = (np.concatenate(parts) for parts in zip(*_projections(x, y, sigma, rng), strict=True))
    u, v = u - u.mean(axis=0), v - v.mean(axis=0)
    c, vx, vy = np.mean(u * v, axis=0), np.mean(u**2, axis=0), np.mean(v**2, axis=0)
    noisy = vy + noise.mean(axis=0)
    rho = np.clip(c / np.sqrt(vx * noisy), 0, 1 - 1e-9)
    # Of a correlation's ingredients on -1/2 log(1 - rho^2): the chain rule, image by image.
    moved = u * v / np.sqrt(vx * noisy) - rho * (1 + (u**2 / vx - 1) / 2 + (v**2 - vy) / (2 * noisy))
    influence = (moved * rho / (1 - rho**2)).sum(axis=1)
    return float(-0.5 * np.log1p(-(rho**2)).sum()), influence, float(rho.max())


def _projections(
    x: Doubles, y: Doubles, sigma: float, rng: np.random.Generator
) -> Iterator[tuple[Doubles, Doubles, Doubles]]:
    """For each fold its images (rows,r) along canonical directions of the others, and the noise along y's."""
    everyone = rng.permutation(len(x))
    for fold in np.array_split(everyone, FOLDS):
        rest = np.setdiff1d(everyone, fold)
        a, _, b = canonical(x[rest], y[rest], sigma)
        noise = np.tile(((sigma * b) ** 2).sum(axis=0), (len(fold), 1))
        yield (x[fold] - x[rest].mean(axis=0)) @ a, (y[fold] - y[rest].mean(axis=0)) @ b, noise


def canonical(x: Doubles, y: Doubles, sigma: float) -> tuple[Doubles, Doubles, Doubles]:
    """Directions (r,r) of x as columns, their correlations (r,) with those of y, the largest first."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    by_x = _whitening(ledoit_wolf(x))
    by_y = _whitening(ledoit_wolf(y) + sigma**2 * np.eye(y.shape[1]))
    left, rho, right = svd(by_x @ (x.T @ y / len(x)) @ by_y)
    return by_x @ left, rho, by_y @ right.T


def _whitening(covariance: Doubles) -> Doubles:
    """Its inverse square root."""
    variance, axes = eigh(covariance)
    root: Doubles = (axes / np.sqrt(np.maximum(variance, 1e-12 * variance.max()))) @ axes.T
    return root
