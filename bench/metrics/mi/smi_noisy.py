"""smi-noisy: how much published features tell of clean ones, of what they could tell; the rows' estimator.

For a direction theta, uniform on the unit sphere of the feature space, a = theta'g(X) of the clean image
and b = theta'g(X') of the published one, one direction for both (sliced mutual information: Goldfeld &
Greenewald, NeurIPS 2021, arXiv 2110.05279; matched as in MI-UE, arXiv 2603.03725). Three figures, means over
directions, in nats, N standard normal and sigma = 0.5 unless set otherwise:
- value: I(a + sigma std(a) N; b). The noise makes it finite where b is a function of a.
- ceiling: I(a + sigma std(a) N; a), what could be told. It is at most 1/2 log(1 + 1/sigma^2), the capacity of
  that channel, 0.805 nats of sigma 0.5, and near it for most features.
- gap: ceiling - value, in the same net and on the same images. By the data-processing inequality never below
  0 in the population. So neither a clean run nor another net's scale is needed to read it.
Features are neither whitened nor cut: another basis, unit, offset, or more dimensions of the same kind change
nothing. Fewer do only as far as the ones left tell more or less.

Each slice is estimated by KSG-1 (see ksg.py) on normal scores of both sides (their ranks, as quantiles of
a normal), which changes no mutual information and takes heavy tails away; ties, such as images in which no
ReLU is active, get an order that knows nothing. Subtracted are the mean over permuted images, and the small
error that KSG has with as many images on normal pairs that tell as much (see calibration.py).

Intervals at 95 % are over images and directions: the spread over slices, and that of ten disjoint subsamples
of the images as far as it is common to all slices (two-way analysis of variance; subsampling: Politis &
Romano, Ann. Statist. 22, 2031, 1994), by Student's t with one degree of freedom less than subsamples. Value,
ceiling and gap are of the same slices, images, noise and subsamples, so that the gap's own interval is the
one of their difference. Not in it: another victim, or another poison, for which there are repetitions.

Pairs that repeat others are left out (copies of images would tell of themselves), unless more than a
hundredth of the images are one pair, which is a point that features collapsed onto; where fewer than half
are left, there is no figure. Published features that are one point tell nothing: the value is 0. Of clean
ones that are one point there is no figure. Where an estimate still grows with the number of images (features
that collapse onto many points whose order along a direction is another one than clean's), it is but a bound.

What it cannot see. It is measured in the victim's own net, so that a victim that failed shows it here: it
goes with accuracy partly because both are of one net, and explains nothing by itself (the studies measure the
same in a net trained on clean images). A direction is matched with itself: dependence that turns directions,
such as a rotation of the features, or that takes several directions at once, is missed; gauss-cca and cka
see it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtrit

from bench.metrics.mi.calibration import without_bias
from bench.metrics.mi.estimate import DISTINCT, LEVEL, Begun, Estimate, Interval, begin_paired
from bench.metrics.mi.ksg import Doubles, Floats, Integers, ksg_of_rows, varies
from bench.metrics.mi.limits import STILL_GROWS
from bench.metrics.mi.settings import MISettings

NAME = "smi-noisy"
SUBSAMPLES = 10  # of the images, disjoint; fewer where one would have less than LEAST for each neighbour
LEAST = 20
SPREAD_SLICES = 32  # in which subsamples are looked at
BLOCK = 32  # slices at a time
SAME = 1e-6  # standard deviations within which two values are one
POINT = 0.01  # share of the images above which pairs that are alike are no copies, but collapsed features


def smi_noisy(clean: Floats, published: Floats, seed: int, settings: MISettings | None = None) -> Estimate:
    """Estimate value, ceiling and gap of features (n,d) of the same images; ValueError where unusable."""
    begun, settings = begin_paired(NAME, clean, published), settings or MISettings()
    theta = directions(settings.slices, clean.shape[1], seed)
    order = np.random.default_rng([seed, 1]).permutation(len(clean))
    x, y = clean[order].astype(np.float64), published[order].astype(np.float64)
    kept = _distinct(begun, x @ theta[:2].T, y @ theta[:2].T)
    x, y, k = x[kept], y[kept], settings.neighbours
    scores = _scores(x, y, theta, settings, seed)
    if not varies(published):
        scores.whole[0], scores.parts[:, 0] = scores.nulls, 0
    value, ceiling, gap = _intervals(scores, len(x), k)
    null, doubt = float(scores.nulls.mean()), _still_grows(scores, len(x), k)
    said = {"slices": settings.slices, "neighbours": k, "sigma": settings.sigma}
    begun = replace(begun, n=len(x))
    found = begun.end(value.value, value.high - value.value, null, begun.d, said, doubt)
    return replace(found, ceiling=ceiling, gap=gap if found.reason is None else None)


def directions(slices: int, d: int, seed: int) -> Doubles:
    """Draw unit vectors (slices,d)."""
    draws = np.random.default_rng(seed).standard_normal((slices, d))
    theta: Doubles = draws / np.linalg.norm(draws, axis=1, keepdims=True)
    return theta


def normal_scores(x: Doubles) -> Doubles:
    """Replace each value in its row (rows,n) by the normal quantile of its rank."""
    rows, n = x.shape
    scores: Doubles = ndtri((np.arange(n) + 0.5) / n)
    found = np.empty((rows, n))
    np.put_along_axis(found, x.argsort(axis=1), np.broadcast_to(scores, x.shape), axis=1)
    return found


def _distinct(begun: Begun, *sides: Doubles) -> Integers:
    """Which pairs to keep, given some projections (n,2) of both sides: one of each few that are alike."""
    scales = [side.std(axis=0) for side in sides]
    whole = np.concatenate(
        [side / np.where(scale > 0, SAME * scale, 1) for side, scale in zip(sides, scales, strict=True)],
        axis=1,
    )
    _, first, own, counts = np.unique(
        np.rint(whole), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    crowd = (counts > POINT * begun.n)[own.ravel()]
    kept = np.union1d(first, np.flatnonzero(crowd))
    if len(kept) < max(DISTINCT * begun.n, begun.least):
        raise ValueError(
            f"{begun.estimator}: of {begun.n} pairs of features {len(kept)} are distinct, the others "
            f"duplicated; expected {DISTINCT:.0%} or more, and at least {begun.least}"
        )
    return kept


@dataclass(frozen=True)
class _Scores:
    """KSG of slices: of value and ceiling (2,slices), of permuted images, and (subsamples,2,used)."""

    whole: Doubles
    nulls: Doubles
    parts: Doubles


def _scores(x: Doubles, y: Doubles, theta: Doubles, settings: MISettings, seed: int) -> _Scores:
    """All slices of features (n,d), whose images are in random order."""
    (n, _), k, slices = x.shape, settings.neighbours, len(theta)
    noise_rng, null_rng, rng = (np.random.default_rng([seed, stream]) for stream in (2, 3, 4))
    subsamples = np.array_split(rng.permutation(n), max(2, min(SUBSAMPLES, n // (LEAST * k))))
    used = min(slices, SPREAD_SLICES)
    found = _Scores(np.empty((2, slices)), np.empty(slices), np.empty((len(subsamples), 2, used)))
    for first in range(0, slices, BLOCK):
        rows = slice(first, first + BLOCK)
        a, b = theta[rows] @ x.T, theta[rows] @ y.T
        noise = settings.sigma * noise_rng.standard_normal(a.shape)
        found.whole[:, rows], u = _both(a, b, noise, k)
        # normal scores of either side are the same numbers, so that one null serves both
        found.nulls[rows] = ksg_of_rows(u, null_rng.permuted(normal_scores(a), axis=1), k)
        for index, part in enumerate(subsamples if first < used else ()):
            a_part, b_part, own = (side[: used - first, part] for side in (a, b, noise))
            found.parts[index, :, rows], _ = _both(a_part, b_part, own, k)
    return found


def _both(a: Doubles, b: Doubles, noise: Doubles, k: int) -> tuple[Doubles, Doubles]:
    """KSG of the noisy side with published, and with clean itself (2,rows); and the noisy side."""
    u = normal_scores(a + a.std(axis=1, keepdims=True) * noise)
    ceiling = ksg_of_rows(u, normal_scores(a), k)
    value = ceiling if np.array_equal(a, b) else ksg_of_rows(u, normal_scores(b), k)
    return np.stack([value, ceiling]), u


def _intervals(scores: _Scores, n: int, k: int) -> tuple[Interval, Interval, Interval]:
    """Value, ceiling and gap: means over slices."""
    whole, parts = scores.whole - scores.nulls, scores.parts
    value, ceiling = (without_bias(float(score.mean()), n, k) for score in whole)
    reaches = [_reach(whole[i], parts[:, i]) for i in range(2)]
    reaches.append(_reach(whole[1] - whole[0], parts[:, 1] - parts[:, 0]))
    middles = zip((value, ceiling, ceiling - value), reaches, strict=True)
    one, two, three = (Interval(middle, middle - reach, middle + reach) for middle, reach in middles)
    return one, two, three


def _still_grows(scores: _Scores, n: int, k: int) -> str | None:
    """Say by how much the value of all images is above that of subsamples, where that is too much."""
    means, used = scores.parts[:, 0].mean(axis=1), scores.parts.shape[2]
    at_first = without_bias(float(means.mean()), n // len(means), k)
    at_last = without_bias(float((scores.whole[0] - scores.nulls)[:used].mean()), n, k)
    folds, error = np.log(len(means)), means.std(ddof=1) / np.sqrt(len(means))
    if at_last - at_first - stdtrit(len(means) - 1, (1 + LEVEL) / 2) * error <= STILL_GROWS * folds:
        return None
    growth = (at_last - at_first) / folds
    return f"it still grows by {growth:.2f} nats for each e-fold of images, accepted up to {STILL_GROWS:g}"


def _reach(scores: Doubles, parts: Doubles) -> float:
    """Half of the interval of a mean over slices (slices,), given scores of subsamples (subsamples,used)."""
    count, used = parts.shape
    apart = parts - parts.mean(axis=0) - parts.mean(axis=1, keepdims=True) + parts.mean()
    interaction = (apart**2).sum() / ((count - 1) * max(used - 1, 1))
    images = max(parts.mean(axis=1).var(ddof=1) - interaction / used, 0.0)
    error = np.sqrt(images / count + scores.var(ddof=1) / len(scores))
    return float(stdtrit(count - 1, (1 + LEVEL) / 2) * error)
