"""KSG-1 against brute force, closed forms, scikit-learn, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from bench.metrics.mi.ksg import ksg, ksg_of_rows, standardise

Doubles = NDArray[np.float64]


def correlated(rho: float, n: int = 2000, seed: int = 0) -> tuple[Doubles, Doubles]:
    x, z = np.random.default_rng(seed).standard_normal((2, n))
    return x, rho * x + np.sqrt(1 - rho**2) * z


def brute_force(x: Doubles, y: Doubles, k: int) -> float:
    """Equation 8 of Kraskov et al. as it is printed, from all n x n distances."""
    apart = [np.abs(side[:, None] - side) / side.std() for side in (x, y)]
    radius = np.sort(np.maximum(*apart), axis=1)[:, [k]]  # behind the pair itself
    nearer = [np.sum(side < radius, axis=1) - 1 for side in apart]
    return float(digamma(k) + digamma(len(x)) - np.mean([digamma(count + 1) for count in nearer]) * 2)


def shaped(shape: str, n: int) -> tuple[Doubles, Doubles]:
    """Pairs that are dense here and thin there, each in another way."""
    rng = np.random.default_rng(n)
    x, z = rng.standard_normal((2, n))
    coins = rng.integers(0, 2, (2, n)) + 0.05 * rng.random((2, n))
    return {
        "round": (x, z),
        "slim": (x, x + 0.1 * z),
        "curve": (x, x**2),
        "line": (x, x + 0.001 * z),
        "heavy tails": (x / np.abs(z), z / np.abs(x)),
        "one-sided": (np.exp(2 * x), np.exp(-3 * z + x)),
        "coins": (coins[0], coins[1]),
        "half a coin": (coins[0], x),
        "staircase": (np.sort(x), coins[0] + np.round(np.sort(x))),
    }[shape]


SHAPES = ("round", "slim", "curve", "line", "heavy tails", "one-sided", "coins", "half a coin", "staircase")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n", "k"), [(10, 1), (53, 5), (101, 10), (700, 1), (700, 5), (1201, 3), (1201, 60)])
def test_ksg_is_what_brute_force_gives(shape: str, n: int, k: int) -> None:
    x, y = shaped(shape, n)
    assert ksg(x, y, k) == pytest.approx(brute_force(x, y, k), abs=1e-12)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    pairs = [shaped(shape, 700) for shape in SHAPES] * 3
    x, y = (standardise(np.array(side), "side") for side in zip(*pairs, strict=True))
    together = ksg_of_rows(x, y, 5)
    assert together.tolist() == [ksg_of_rows(x[[i]], y[[i]], 5)[0] for i in range(len(pairs))]


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, -0.9, 0.99])
def test_ksg_of_bivariate_normal(rho: float) -> None:
    found = np.mean([ksg(*correlated(rho, seed=seed), 5) for seed in range(8)])
    assert found == pytest.approx(-0.5 * np.log(1 - rho**2), abs=0.02)


def test_ksg_of_uniform_with_uniform_noise() -> None:
    x, z = np.random.default_rng(0).random((2, 4000))
    assert ksg(x, x + 0.5 * z, 5) == pytest.approx(np.log(2) + 0.25, abs=0.04)  # h(sum) - h(noise)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("rho", [0.5, 0.95])
def test_ksg_agrees_with_scikit_learn(rho: float, k: int) -> None:
    x, y = correlated(rho, 1000)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=k, random_state=0)[0]
    assert ksg(x, y, k) == pytest.approx(theirs, abs=1e-3)


def test_ksg_is_symmetric_and_ignores_scale_and_order() -> None:
    x, y = correlated(0.8)
    order = np.random.default_rng(1).permutation(len(x))
    for a, b in ((y, x), (3 * x - 40, -1e-6 * y), (x[order], y[order])):
        assert ksg(a, b, 5) == pytest.approx(ksg(x, y, 5), abs=1e-3)


@pytest.mark.parametrize("monotone", [np.arcsinh, np.cbrt, np.tanh])
def test_ksg_survives_monotone_maps(monotone: np.ufunc) -> None:
    x, y = correlated(0.8)
    assert ksg(monotone(x), y, 5) == pytest.approx(ksg(x, y, 5), abs=0.04)


def test_ksg_breaks_ties() -> None:
    x, y = correlated(0.8)
    coarse = np.round(x * 20) / 20, np.round(y * 20) / 20
    assert ksg(*coarse, 5) == pytest.approx(ksg(x, y, 5), abs=0.05)
    coins = np.random.default_rng(0).integers(0, 2, 1000).astype(np.float64)
    assert ksg(coins, coins, 5) == pytest.approx(np.log(2), abs=0.05)


def test_wrong_input_is_refused() -> None:
    x, y = correlated(0.5, 100)
    with pytest.raises(ValueError, match=r"ksg: x .*constant"):
        ksg(np.ones(100), y, 5)
    with pytest.raises(ValueError, match=r"ksg: 49 rows.*50"):
        ksg(x[:49], y[:49], 5)
