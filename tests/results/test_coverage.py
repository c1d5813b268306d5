"""How often chance has its way: intervals cover what they say, equal methods are seldom put in an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.results.aggregate import Mean, summary
from bench.results.compare import Difference, between
from bench.results.leaderboard import leaderboard, ranks
from bench.results.replicates import by_unit
from bench.results.rows import Row
from support.rows import row

TRUTH, BETWEEN, WITHIN = 30.0, 1.5, 0.5  # percent, points: standard deviations of poisons, of one's victims
VICTIMS, DRAWS = 3, 3000
NUMBERS = (2, 3, 5)  # of poisons


def draws(poisons: int, draws: int, seed: int) -> NDArray[Any]:
    """Accuracies (draws, poisons * VICTIMS) in percent of a method whose mean over all poisons is TRUTH."""
    rng = np.random.default_rng([seed, poisons])
    own = rng.normal(TRUTH, BETWEEN, (draws, poisons, 1))
    return (own + rng.normal(0, WITHIN, (draws, poisons, VICTIMS))).reshape(draws, -1)


def rows_of(method: str, poisons: int) -> list[Row]:
    """In the order of the draws."""
    seeds = [(n, rep) for n in range(poisons) for rep in range(VICTIMS)]
    return [row(method, rep=rep, poison_rep=n, train_acc=0.9, synthetic=False) for n, rep in seeds]


def measured(rows: Sequence[Row], accuracies: NDArray[Any]) -> list[Row]:
    return [replace(own, test_acc=acc / 100) for own, acc in zip(rows, accuracies.tolist(), strict=True)]


def covers(found: Mean | None) -> bool:
    assert found is not None and found.low is not None and found.high is not None
    return found.low <= TRUTH <= found.high


@pytest.mark.parametrize("poisons", NUMBERS)
def test_intervals_over_poisons_cover_what_they_say(poisons: int) -> None:
    rows = rows_of("em", poisons)
    found = [summary(by_unit(zip(rows, own.tolist(), strict=True))) for own in draws(poisons, DRAWS, seed=0)]
    assert 0.93 <= np.mean([covers(own) for own in found]) <= 0.97


def test_victims_that_leave_the_poison_out_are_units_themselves() -> None:
    rows = [replace(own, inputs=own.inputs | {"drop_poisoned": True}) for own in rows_of("em", 2)]
    assert sorted(by_unit(zip(rows, [1.0, 2.0, 3.0] * 2, strict=True))) == [1.0, 2.0, 3.0]


def test_intervals_over_victims_would_not() -> None:
    """Nine victims of three poisons are no nine poisons."""
    assert np.mean([covers(summary(own.tolist())) for own in draws(3, DRAWS, seed=0)]) < 0.8


@pytest.mark.parametrize("poisons", NUMBERS)
def test_ranks_seldom_order_equal_methods(poisons: int) -> None:
    rows, ordered = rows_of("em", poisons), []
    for pair in zip(draws(poisons, DRAWS, seed=1), draws(poisons, DRAWS, seed=2), strict=True):
        found = [summary(by_unit(zip(rows, own.tolist(), strict=True))) for own in pair]
        worst = {str(n): (own.mean, own.low or 0, own.high or 0) for n, own in enumerate(found) if own}
        ordered.append(len(set(ranks(worst).values())) > 1)
    assert np.mean(ordered) <= 0.05


@pytest.mark.parametrize("apart", [False, True], ids=["paired", "by Welch"])
@pytest.mark.parametrize("poisons", NUMBERS)
def test_compare_seldom_orders_equal_methods(poisons: int, apart: bool) -> None:
    """By Welch where they are two methods, whose poisons have no seeds in common."""
    number, blank = 1000, Difference("", "none", None, None)
    one, other = rows_of("em", poisons), rows_of("tap" if apart else "em", poisons)
    values = zip(draws(poisons, number, seed=3), draws(poisons, number, seed=4), strict=True)
    found = [between(blank, measured(one, a), measured(other, b), "test_acc") for a, b in values]
    assert {own.paired for own in found} == {not apart}
    assert np.mean([(own.p or 0) < 0.05 for own in found]) <= 0.065
    assert all(((own.p or 0) < 0.05) == ((own.low or 0) > 0 or (own.high or 0) < 0) for own in found)


@pytest.mark.parametrize("poisons", [1, 3])
def test_the_leaderboard_seldom_orders_equal_methods(poisons: int) -> None:
    """And never where there is one poison a method."""
    number, names, ordered = 100, ("em", "tap"), []
    rows = [rows_of(name, poisons) for name in names]
    for pair in zip(draws(poisons, number, seed=5), draws(poisons, number, seed=6), strict=True):
        board = leaderboard([r for own, accs in zip(rows, pair, strict=True) for r in measured(own, accs)])
        ordered.append(len({method.rank for method in board.methods}) > 1)
        assert (board.no_order == "") == (poisons > 1)
    assert np.mean(ordered) <= (0.05 if poisons > 1 else 0)
