"""What MI costs on one thread: point estimate, null and interval; and KSG-1 beside that of a k-d tree."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma

from bench.metrics.mi.calibration import _error
from bench.metrics.mi.ksg import ksg
from bench.metrics.mi.settings import MISettings
from bench.metrics.mi.smi_noisy import smi_noisy
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


@pytest.mark.parametrize(("images", "slices", "most"), [(1000, 96, 1), (5000, 300, 5)])
def test_smi_noisy(images: int, slices: int, most: int, figures: Figures) -> None:
    torch.set_num_threads(1)
    settings = MISettings(images, slices) if figures.full else MISettings(200, 4)
    clean, noise, other = np.random.default_rng(0).standard_normal((3, settings.images, 512))

    def cell() -> None:
        """Of a cell's two pairs, as in a process that has not measured yet."""
        _error.cache_clear()
        for own in (noise, other):
            smi_noisy(clean, clean + own, 0, settings)

    what = f"MI of a cell's two pairs, with null, ceiling and interval, {images:,} images, {slices} slices"
    figures.add(what, figures.seconds(cell), "s", f"<= {most}")


def test_ksg(figures: Figures) -> None:
    x, noise = np.random.default_rng(0).standard_normal((2, 5000 if figures.full else 100))
    y = 0.3 * x + noise
    assert ksg(x, y, 5) == pytest.approx(by_tree(x, y, 5), abs=1e-6)
    ratio = figures.ratio(lambda: ksg(x, y, 5), lambda: by_tree(x, y, 5))
    figures.add("seconds of KSG-1 at 5,000 pairs, a k-d tree's / ours", ratio, "x")
