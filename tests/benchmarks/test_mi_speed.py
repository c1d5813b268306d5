"""What MI costs on one thread: point estimate, null and interval; and KSG-1 beside that of a k-d tree."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.spatial import cKDTree
from scipy.special import digamma

from bench.ksg import ksg
from bench.mi import MISettings, sliced_mi

Doubles = NDArray[np.float64]
ROUNDS = 3


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


def yardstick() -> float:
    """CPU seconds of a fixed piece of work: other jobs on the machine slow it down as they do us."""
    values = np.random.default_rng(0).random(200_000)
    started = time.process_time()
    for _ in range(20):
        np.sort(values)
    return time.process_time() - started


@pytest.mark.parametrize(("images", "slices", "limit"), [(1000, 96, 1.0), (5000, 500, 5.0)])
def test_sliced_mi(benchmark: BenchmarkFixture, images: int, slices: int, limit: float) -> None:
    settings = MISettings(images, slices) if benchmark.enabled else MISettings(100, 4)
    clean, noise = np.random.default_rng(0).standard_normal((2, settings.images, 128))
    before, started = yardstick(), time.process_time()
    found = benchmark.pedantic(sliced_mi, (clean, clean + noise, settings, 0), rounds=ROUNDS)
    benchmark.extra_info["cpu seconds"] = (time.process_time() - started) / ROUNDS
    benchmark.extra_info["limit, seconds"] = limit
    benchmark.extra_info["yardstick, cpu seconds"] = (before + yardstick()) / 2
    benchmark.extra_info["images, slices, rank"] = [found.n, found.slices, found.rank]
    assert found.low < found.nats < found.high


@pytest.mark.parametrize("estimator", [ksg, by_tree])
def test_ksg(benchmark: BenchmarkFixture, estimator: Callable[[Doubles, Doubles, int], float]) -> None:
    x, noise = np.random.default_rng(0).standard_normal((2, 5000 if benchmark.enabled else 100))
    found = benchmark(estimator, x, 0.3 * x + noise, 5)
    assert found == pytest.approx(by_tree(x, 0.3 * x + noise, 5), abs=1e-6)
