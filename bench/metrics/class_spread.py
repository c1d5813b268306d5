"""How tightly each class's features lie together: what MI-UE's theory says a poison must lower.

Theorem 5.1 of Zhu et al. (ICLR 2026) bounds MI by half the mean over classes of the log determinant
of the published features' covariance within a class, and what does not depend on the method. Here the
covariances are those of a code (a PCA fitted on the clean features, whitened by them), so that a net that
only scales its features changes nothing. The code has as many dimensions as a tenth of the smallest class
has images, at most MOST: a number that no method moves. The log determinant of a sample's covariance is
too low by what is known of a normal one's (Wishart: a sum of digammas), which is added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from bench.metrics import Subject, Value
from bench.metrics.inputs import Doubles, both, labels_of
from bench.metrics.mi.pca_code import MOST, fit_code

PER_DIMENSION = 10  # images of a class for each dimension of the code


def class_spread(subject: Subject) -> dict[str, Value]:
    """`value`: log det within classes, published minus clean, in nats; below 0 the classes are tighter.

    Cosines are means over pairs of different images, of the features as they are. `kept` is the share
    of the published features' variance that the code, which is the clean features', sees.
    """
    clean, published = both(subject, "class-spread")
    labels = labels_of(subject, "class-spread")
    smallest = int(np.bincount(labels, minlength=subject.classes).min())
    if smallest < PER_DIMENSION:
        raise ValueError(
            f"class-spread: the smallest class has {smallest} images, expected {PER_DIMENSION} or more for "
            f"each dimension of the features' code"
        )
    rank = min(MOST, smallest // PER_DIMENSION)
    if (found := int(np.linalg.matrix_rank(clean - clean.mean(axis=0)))) < rank:
        raise ValueError(
            f"class-spread: clean features vary along {found} directions, expected {rank} or more, a "
            "tenth of the smallest class's images"
        )
    mean, code = fit_code(clean, rank, share=2.0)  # all of them, however little the last ones vary
    spread = {
        name: np.mean([_log_det((x[labels == k] - mean) @ code, k, name) for k in range(subject.classes)])
        for name, x in (("clean", clean), ("published", published))
    }
    intra, inter = _cosines(published, labels, subject.classes)
    clean_intra, clean_inter = _cosines(clean, labels, subject.classes)
    return {
        "value": float(spread["published"] - spread["clean"]),
        "log_det": float(spread["published"]),
        "clean_log_det": float(spread["clean"]),
        "intra_cosine": intra,
        "inter_cosine": inter,
        "clean_intra_cosine": clean_intra,
        "clean_inter_cosine": clean_inter,
        "intra_cosine_gain": intra - clean_intra,
        "kept": _kept(published, code),
        "rank": code.shape[1],
        "n": len(clean),
        "d": clean.shape[1],
    }


def _log_det(x: Doubles, k: int, name: str) -> float:
    """Of the covariance of one class's code (m,r), without bias where that is normal."""
    (m, r), centred = x.shape, x - x.mean(axis=0)
    sign, found = np.linalg.slogdet(centred.T @ centred)
    if sign <= 0 or not np.isfinite(found):
        raise ValueError(
            f"class-spread: {name} features of class {k} are constant over {m} images along some of {r} "
            f"directions, expected some that vary"
        )
    return float(found - digamma((m - 1 - np.arange(r)) / 2).sum() - r * np.log(2))


def _cosines(x: Doubles, labels: NDArray[np.int64], k: int) -> tuple[float, float]:
    """Mean cosine over pairs of one class, and over pairs of two; a feature of zeros has cosine 0."""
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    one_hot = labels[:, None] == np.arange(k)
    sums, sizes = one_hot.T.astype(np.float64) @ unit, one_hot.sum(axis=0)
    within, all_pairs = (sums**2).sum(), (sums.sum(axis=0) ** 2).sum()
    intra = (within - (unit**2).sum()) / (sizes * (sizes - 1)).sum()
    inter = (all_pairs - within) / (len(x) ** 2 - (sizes**2).sum())
    return float(intra), float(inter)


def _kept(published: Doubles, code: Doubles) -> float | None:
    """Share of the variance in the span of the code; None where the features do not vary."""
    span, _ = np.linalg.qr(code)
    centred = published - published.mean(axis=0)
    total = (centred**2).sum()
    return float(((centred @ span) ** 2).sum() / total) if total else None
