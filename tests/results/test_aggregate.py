"""Means over repetitions: intervals against scipy's, pairing with clean, and one number for all readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from bench.report.summary import collect
from bench.results import baseline
from bench.results.aggregate import (
    Mean,
    Means,
    counterpart,
    gaps_of,
    mean_curve,
    mean_of,
    reach_of_sum,
    summary,
)
from bench.results.rows import Row
from bench.studies.depth import study as depth
from bench.studies.explain import points
from bench.studies.strength import points as strength_points
from support.rows import INPUTS, row

VALUES = [0.31, 0.35, 0.3, 0.42]
OTHERS = [0.61, 0.6, 0.75]


# Means and intervals


def test_the_interval_is_students() -> None:
    found = summary(VALUES)
    assert found is not None and found.mean == pytest.approx(np.mean(VALUES))
    assert found.std == pytest.approx(np.std(VALUES, ddof=1))
    assert found.n == 4 and summary([0.5]) == Mean(0.5, 1) and summary([]) is None
    theirs = ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_an_interval_does_not_pass_its_ends() -> None:
    found = summary([1.0, 99.0], ends=(0, 100))
    assert found is not None and (found.low, found.high) == (0, 100)


def test_a_difference_of_means_has_welchs_interval() -> None:
    one, other = summary(VALUES), summary(OTHERS)
    assert one is not None and other is not None
    theirs = ttest_ind(VALUES, OTHERS, equal_var=False).confidence_interval(0.95)
    assert reach_of_sum([(1, one), (-1, other)]) == pytest.approx((theirs.high - theirs.low) / 2)
    assert reach_of_sum([(-3, one)]) == pytest.approx(3 * (one.mean - (one.low or 0)))
    assert reach_of_sum([(1, one), (1, Mean(0.5, 1))]) is None  # its spread is not known
    assert reach_of_sum([(1, replace(one, error=0))]) == 0


# Against clean


def rows_of(method: str, accuracies: Sequence[float], poison_rep: int = 0, **values: object) -> list[Row]:
    """A row for each victim; MI is a tenth of its accuracy, of a ceiling of 0.085."""
    plain = {"control": method == "clean", "classes": 10, "net": "linear"} | values
    inputs = INPUTS | {"net": plain.pop("net"), "method": {"name": method, "eps": 8 / 255}, "defense": {}}
    return [
        row(
            method,
            "none",
            rep,
            poison_rep,
            test_acc=acc,
            mi=acc / 10,
            mi_gap=0.085 - acc / 10,
            inputs=inputs,
            **plain,
        )
        for rep, acc in enumerate(accuracies)
    ]


CLEAN = rows_of("clean", (0.9, 0.8))
TWICE = [*rows_of("em", (0.3, 0.4)), *rows_of("em", (0.25, 0.15), poison_rep=1)]


def test_clean_is_crafted_once_for_all_poisons() -> None:
    assert [counterpart(own, CLEAN) for own in TWICE] == [*CLEAN, *CLEAN]
    again = rows_of("clean", (0.7, 0.6), poison_rep=1)
    assert [counterpart(own, [*CLEAN, *again]) for own in TWICE] == [*CLEAN, *again]
    assert counterpart(row("em", rep=2), CLEAN) is None and counterpart(TWICE[0], again) is None


def gaps(rows: Sequence[Row], clean: Sequence[Row], column: str) -> list[float]:
    return [gap for _, gap in gaps_of(rows, clean, column)]


def test_what_moves_a_repetition_moves_no_gap() -> None:
    assert gaps(TWICE, CLEAN, "test_acc") == pytest.approx([0.6, 0.4, 0.65, 0.65])
    moved = [[replace(own, test_acc=own.test_acc + own.rep / 50) for own in rows] for rows in (TWICE, CLEAN)]
    assert gaps(*moved, "test_acc") == pytest.approx(gaps(TWICE, CLEAN, "test_acc"))
    assert gaps(TWICE, CLEAN[:1], "test_acc") == pytest.approx(
        [0.6, 0.65]
    )  # the others have none beside them


# Readers


def test_all_readers_have_one_mean_and_one_gap() -> None:
    """Clean is crafted once, the method twice. MI is a tenth of the accuracy, its ceiling clean's."""
    rows, code = [*CLEAN, *TWICE], {"method": "m", "defense": "d"}
    means, (evidence,) = Means(rows), collect(rows)
    assert evidence.board is not None
    accuracy, mi = (table.cells["em", "none"] for table in (evidence.accuracy, evidence.mi))
    (scores,) = (own for own in evidence.board.methods if own.method == "em")
    (strong,) = (own for own in strength_points.points_of(rows) if own.method == "em")
    (explained,) = points.points_of(rows, [], [])
    deep = depth.cells_of(rows, []).set_index("method").loc["em"]
    (kept,) = baseline.make([replace(own, linf=0.03, l2=1.0, code=code) for own in TWICE]).cells
    of_card = mean_of(means.values(("em", "none"), "test_acc"))
    levels = [accuracy.mean, scores.mean, strong.accuracy.mean, explained.accuracy, deep.accuracy]
    levels += [kept.measures["test_acc"].mean, 0.01 * (of_card or 0)]
    assert levels == pytest.approx([0.275] * len(levels))
    differences = [strong.accuracy_gap, explained.gap, deep.accuracy_gap]
    of_card = mean_of(means.values(("em", "none"), "mi_gap"))
    differences += [10 * (gap or 0) for gap in (mi.gap, scores.mi_gap, strong.mi_gap.mean, of_card)]
    assert differences == pytest.approx([0.575] * len(differences))


def test_a_curve_is_averaged_where_all_repetitions_have_points() -> None:
    curves = [{1: 0.2, 2: 0.4}, {1: 0.4, 2: 0.5, 3: 0.9}]
    rows = [
        row(
            "em", rep=rep, curve=[{"epoch": e, "val_acc": acc, "test_acc": 1 - acc} for e, acc in own.items()]
        )
        for rep, own in enumerate(curves)
    ]
    found = mean_curve(rows)
    assert found is not None and (found.epochs, found.val) == ([1, 2], pytest.approx([0.3, 0.45]))
    assert found.spread == [(0.2, 0.4), (0.4, 0.5)] and found.peak == (1, pytest.approx(0.7))
    assert mean_curve([]) is None and mean_curve([rows[0], row("em", rep=2, curve=[])]) is None
