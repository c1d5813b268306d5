"""Rank correlation: closed forms, ties, families, a third quantity, and the same interval again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from bench.report.summary import collect
from bench.results.correlation import DRAWS, ENOUGH, Correlation, correlation
from bench.results.rows import Row
from support.evidence import row

RISING = [(float(x), math.exp(x)) for x in range(ENOUGH)]


def test_monotone_is_one_whatever_its_shape() -> None:
    assert correlation(RISING).rho == pytest.approx(1)
    falling = correlation([(x, -y) for x, y in RISING])
    assert falling.rho == pytest.approx(-1)
    assert (falling.low, falling.high) == pytest.approx((-1, -1))


def test_ties_share_their_rank() -> None:
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)
    found = correlation([(1, 1), (2, 2), (2, 3), (9, 4)])
    assert found.rho == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_interval_holds_the_estimate_and_is_always_the_same() -> None:
    points = [(float(x), float(y)) for x, y in enumerate((3, 1, 2, 6, 4, 5, 9, 7, 8, 0))]
    found = correlation(points)
    assert found.rho is not None and found.low is not None and found.high is not None
    assert -1 <= found.low < found.rho < found.high <= 1
    assert correlation(points) == found


@pytest.mark.parametrize("points", [[], RISING[:2], [(0.5, y) for _, y in RISING]])
def test_none_where_there_can_be_none(points: list[tuple[float, float]]) -> None:
    found = correlation(points)
    assert (found.rho, found.low, found.n) == (None, None, len(points))
    assert str(found) == f"no rank correlation, n = {len(points)}"


def test_few_methods_are_descriptive() -> None:
    assert str(correlation(RISING[:-1])).endswith(f"n = {ENOUGH - 1}, descriptive")
    assert correlation(RISING[:-1]).low is None
    assert str(correlation(RISING)).endswith(f"], n = {ENOUGH}")


# Families, and what is given


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def over(
    families: Sequence[str], x: Sequence[float], y: Sequence[float], given: Sequence[float] | None = None
) -> Correlation:
    return correlation([*zip(x, y, strict=True)], families, given)


def test_the_interval_is_that_of_points_drawn_again() -> None:
    """By another implementation of the correlation, from draws of the same size."""
    x, y = draws(2, 12)
    y = np.round(x + y, 1)
    found = correlation([*zip(x, y, strict=True)])
    again = [spearmanr(x[i], y[i]).statistic for i in np.random.default_rng(1).integers(12, size=(DRAWS, 12))]
    assert found.rho == pytest.approx(spearmanr(x, y).statistic)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(again, [2.5, 97.5])), abs=0.05)


@pytest.mark.parametrize("n", [4, 9])
def test_each_point_is_a_family_where_none_are_named(n: int) -> None:
    x, y = draws(2, n)
    alone, named = correlation([*zip(x, y, strict=True)]), over([f"{i}" for i in range(n)], x, y)
    assert (alone.n, alone.points) == (named.n, named.points) == (n, n)
    for name in ("rho", "low", "high", "least", "most"):
        assert getattr(alone, name) == pytest.approx(getattr(named, name))


def test_partial_correlation_is_that_of_the_residuals_of_ranks() -> None:
    x, y, z = draws(3, 20)
    y = np.round(y + z, 1)  # with ties
    a, b, c = (rankdata(column) for column in (x, y, z))
    left = [side - np.polyval(np.polyfit(c, side, 1), c) for side in (a, b)]
    found = over(["a", "b", "c", "d"] * 5, x, y, z)
    assert found.rho == pytest.approx(np.corrcoef(*left)[0, 1])


def test_what_only_follows_a_third_quantity_has_nothing_left_given_it() -> None:
    z = draws(200)
    x, y = z + 0.5 * draws(200, seed=1), z + 0.5 * draws(200, seed=2)
    families = [f"{i % 40}" for i in range(200)]
    alone, beside = over(families, x, y), over(families, x, y, z)
    assert alone.rho is not None and beside.rho is not None and beside.low is not None
    assert alone.rho > 0.7
    assert abs(beside.rho) < 0.2
    assert beside.low < 0 < (beside.high or 0)
    assert over(families, x, y, np.exp(x)).rho is None  # it is all of x


def test_repeating_points_of_a_family_adds_no_evidence() -> None:
    x, y = draws(2, 10)
    families = [f"{i}" for i in range(10)]
    once, thrice = over(families, x, y), over(families * 3, [*x] * 3, [*y] * 3)
    assert (thrice.n, thrice.points) == (10, 30)
    for name in ("rho", "low", "high", "least", "most"):
        assert getattr(thrice, name) == pytest.approx(getattr(once, name))


def test_one_family_that_carries_it_all_is_seen_by_leaving_it_out() -> None:
    families = [f"{i // 2}" for i in range(10)]
    x, y = [1, 2, 2, 1, 1, 2, 2, 1, 10, 11], [1, 2, 1, 2, 1, 2, 1, 2, 10, 11]
    found = over(families, x, y)
    assert found.rho is not None and found.rho > 0.3
    assert found.least == pytest.approx(0)


@pytest.mark.parametrize("families", ["aab", "abc"])
def test_none_of_too_few_families_or_without_spread(families: str) -> None:
    found = over([*families], [1, 1, 1], [1, 2, 3])
    assert (found.rho, found.low, found.least) == (None, None, None)
    assert found.n == len(set(families)) and "no rank correlation" in str(found)


def test_few_families_are_descriptive_and_three_cannot_lose_one() -> None:
    found = over([*"abc"], [1, 2, 3], [1, 2, 4])
    assert found.descriptive and str(found) == "ρ = 1.00, n = 3, descriptive" and found.least is None
    assert not Correlation(ENOUGH, 30).descriptive


@pytest.mark.parametrize("n", [ENOUGH - 1, ENOUGH])
def test_there_is_an_interval_of_enough_families_alone(n: int) -> None:
    """However many points: below, a correlation describes those at hand."""
    x, noise = draws(2, 3 * n)
    found = over([f"{i // 3}" for i in range(3 * n)], x, x + 0.2 * noise)
    assert found.rho is not None and found.rho > 0.8 and found.least is not None
    assert [found.low is not None, found.high is not None, "[" in str(found)] == [n >= ENOUGH] * 3


# Over the methods of rows


def four() -> list[Row]:
    """MI falls as accuracy rises, but for clean, which would turn the order."""
    rows = [row(m, acc=0.1 * i, mi=1 - 0.1 * i) for i, m in enumerate(("em", "tap", "mi-ue"), 1)]
    return [*rows, row("clean", acc=0.9, mi=5.0, linf=0.0, control=True)]


def test_controls_are_apart_and_n_counts_methods() -> None:
    repeated = [*four(), row("em", rep=1, acc=0.1, mi=0.9)]
    (evidence,) = collect(repeated)
    found = evidence.correlation("none")
    assert (found.n, found.rho) == (3, pytest.approx(-1))
    assert evidence.controls == {"clean"}


def test_a_variant_beside_its_base_is_no_method_of_its_own() -> None:
    """Each point alone, it would turn the order: em-class, mi-ue-cos, and the em of fewer rows."""
    other = {"data": {"digest": "d" * 64}, "method": {"name": "em", "steps": 5}}
    variants = [
        row("em-class", acc=0.4, mi=2.0),
        row("mi-ue-cos", acc=0.5, mi=3.0),
        replace(row("em", acc=0.6, mi=4.0, inputs=other), key="e" * 64),
    ]
    (evidence,) = collect([*four(), row("em", "cutout", acc=0.1, mi=0.9), *variants])
    assert len(evidence.points("none")) == 7
    assert evidence.correlation("none") == collect(four())[0].correlation("none")

    (alone,) = collect([own for own in four() if own.method != "em"] + variants[:1])
    assert alone.correlation("none").n == 3  # without em, em-class is what there is of it


def test_a_method_without_mi_is_no_point() -> None:
    (evidence,) = collect([*four(), row("emax", acc=0.2, mi=None)])
    assert "emax" not in evidence.points("none") and evidence.correlation("none").n == 3
