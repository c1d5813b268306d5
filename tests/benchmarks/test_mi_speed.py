"""What MI costs on one thread: point estimate, null and interval; and KSG-1 beside that of a k-d tree."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

from bench.metrics.mi.ksg import ksg, ksg_of_rows
from bench.metrics.mi.sliced import MISettings, sliced
from benchmarks.figures import Figures

Doubles = NDArray[np.float64]


def by_tree(x: Doubles, y: Doubles, k: int) -> float:
    """KSG-1 as it is usually written."""
    pairs = np.stack([x / x.std(), y / y.std()], axis=1)
    radius = np.ravel(cKDTree(pairs).query(pairs, k=[k + 1], p=np.inf)[0]) * (1 - 1e-12)
    total = digamma(k) + digamma(len(x))
    for side in pairs.T:
        ascending = np.sort(side)
        inside = ascending.searchsorted(side + radius, "right") - ascending.searchsorted(side - radius)
        total -= digamma(inside).mean()
    return float(total)


@pytest.mark.parametrize(("images", "slices", "most"), [(1000, 96, 1), (5000, 500, 5)])
def test_sliced_mi(images: int, slices: int, most: int, figures: Figures) -> None:
    torch.set_num_threads(1)
    settings = MISettings(images, slices) if figures.full else MISettings(100, 4)
    clean, noise = np.random.default_rng(0).standard_normal((2, settings.images, 128))
    seconds = figures.seconds(lambda: sliced(clean, clean + noise, settings, 0, partial(ksg_of_rows, k=5)))
    what = f"MI with null and interval, {images:,} images, {slices} slices, 32 dimensions"
    figures.add(what, seconds, "s", f"<= {most}")


def test_ksg(figures: Figures) -> None:
    x, noise = np.random.default_rng(0).standard_normal((2, 5000 if figures.full else 100))
    y = 0.3 * x + noise
    assert ksg(x, y, 5) == pytest.approx(by_tree(x, y, 5), abs=1e-6)
    ratio = figures.ratio(lambda: ksg(x, y, 5), lambda: by_tree(x, y, 5))
    figures.add("seconds of KSG-1 at 5,000 pairs, a k-d tree's / ours", ratio, "x")
