"""Estimated dependence between a net's features of clean and of published images, in nats.

What is estimated: sliced mutual information (Goldfeld & Greenewald, NeurIPS 2021, arXiv 2110.05279)
on a code of the features. A PCA fitted on the clean features keeps r = min(rank, components up to
99 % of the variance); it maps both sets, with the clean mean and the clean standard deviation of
every component. Each slice projects the clean code on theta and the published code on phi, two
independent directions on the unit sphere, and gives the scalar pairs to KSG-1 (Kraskov, Stögbauer &
Grassberger, Phys. Rev. E 69, 066138, 2004). `nats` is the mean over slices minus `null`, the mean
over the same slices with the published images permuted. Directions and permutations follow from
the seed alone, so methods compared under one seed share them; ties are broken by fixed noise.

`nats` ± `reach` is a 95 % interval, were other images drawn from the same source and shown to the same
net, through the same code and slices. Its variance is the sum of two:
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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from bench.metrics.mi.estimate import LEVEL
from bench.metrics.mi.ksg import Doubles, Floats, standardise
from bench.metrics.mi.pca_code import fit_code
from bench.metrics.mi.settings import MISettings as MISettings  # noqa: PLC0414 (callers take it from here)

ESTIMATOR = "smi-ksg"
SUBSAMPLES = 10  # of the images, disjoint; fewer where one would have less than LEAST for each neighbour
LEAST = 20  # with fewer images for each neighbour their spread is too small
SPREAD_SLICES = 128  # seen by the subsamples

Score = Callable[[Doubles, Doubles], Doubles]  # scalar pairs (rows,n), standardised -> nats of each row


@dataclass(frozen=True)
class Sliced:
    """Mean over slices of a score, and what is known of its error."""

    nats: float  # the null subtracted
    null: float
    reach: float  # half of the interval at LEVEL
    rank: int
    growth: float  # nats that paired images gain for each e-fold of their number, from subsamples to all


def sliced(
    clean: Floats, published: Floats, settings: MISettings, seed: int, score: Score, *, matched: bool = False
) -> Sliced:
    """Average a score over slices of the common code, nats. matched: theta is phi, one direction for both."""
    mean, code = fit_code(clean, settings.rank)
    theta, phi = directions(settings, code.shape[1], seed)
    if matched:
        phi = theta
    x = standardise(theta @ ((clean - mean) @ code).T, "sliced_mi: clean in its code")  # (slices,n)
    y = standardise(phi @ ((published - mean) @ code).T, "sliced_mi: published in clean's code")
    rng = np.random.default_rng([seed, 1])  # another stream than that of directions
    paired = score(x, y)
    null = score(x, np.stack([rng.permutation(row) for row in y]))
    parts = _of_subsamples(x, y, score, settings.neighbours, np.random.default_rng([seed, 2]))
    used = parts.shape[1]
    growth = float((paired[:used].mean() - parts.mean()) / np.log(len(parts)))
    nats = float(paired.mean() - null.mean())
    return Sliced(nats, float(null.mean()), _half_width(parts, null), code.shape[1], growth)


def _of_subsamples(x: Doubles, y: Doubles, score: Score, k: int, rng: np.random.Generator) -> Doubles:
    """Scores (subsamples, slices) of disjoint subsamples of the images in the first slices."""
    slices, n = x.shape
    used, parts = min(slices, SPREAD_SLICES), max(2, min(SUBSAMPLES, n // (LEAST * k)))
    rows = np.array_split(rng.permutation(n), parts)
    return np.stack([score(x[:used, part], y[:used, part]) for part in rows])


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


def directions(settings: MISettings, r: int, seed: int) -> tuple[Doubles, Doubles]:
    """theta and phi, each (slices,r) with unit rows; codes of different rank share their draws."""
    draws = np.random.default_rng(seed).standard_normal((2, settings.slices, settings.rank))[..., :r]
    theta, phi = draws / np.linalg.norm(draws, axis=-1, keepdims=True)
    return theta, phi
