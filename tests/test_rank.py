"""Rank correlation: closed forms, ties, too few methods, and the same interval again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from evidence import row

from bench.evidence import collect
from bench.rank import ENOUGH, correlation
from bench.rows import Row

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


def four(control: bool | None) -> list[Row]:
    """MI falls as accuracy rises, but for clean, which would turn the order."""
    said = None if control is None else False
    methods = enumerate(("em", "tap", "mi-ue"), 1)
    rows = [row(m, acc=0.1 * i, mi=1 - 0.1 * i, control=said) for i, m in methods]
    return [*rows, row("clean", acc=0.9, mi=5.0, linf=0.0, control=control)]


def test_controls_are_apart_and_n_counts_methods() -> None:
    repeated = [*four(True), row("em", rep=1, acc=0.1, mi=0.9)]
    (evidence,) = collect(repeated)
    found = evidence.correlation("none")
    assert (found.n, found.rho) == (3, pytest.approx(-1))
    assert evidence.controls == {"clean"} and not evidence.guessed


def test_a_variant_beside_its_base_is_no_method_of_its_own() -> None:
    """Each point alone, it would turn the order: em-class, mi-ue-cos, and the em of fewer rows."""
    other = {"data": {"digest": "d" * 64}, "method": {"name": "em", "steps": 5}}
    variants = [
        row("em-class", acc=0.4, mi=2.0),
        row("mi-ue-cos", acc=0.5, mi=3.0),
        replace(row("em", acc=0.6, mi=4.0, inputs=other), key="e" * 64),
    ]
    (evidence,) = collect([*four(True), row("em", "cutout", acc=0.1, mi=0.9), *variants])
    assert len(evidence.points("none")) == 7
    assert evidence.correlation("none") == collect(four(True))[0].correlation("none")

    (alone,) = collect([own for own in four(True) if own.method != "em"] + variants[:1])
    assert alone.correlation("none").n == 3  # without em, em-class is what there is of it


def test_old_rows_say_by_their_images_who_is_a_control() -> None:
    (evidence,) = collect(four(None))
    assert evidence.controls == {"clean"} and evidence.guessed
    assert evidence.correlation("none").n == 3


def test_a_method_without_mi_is_no_point() -> None:
    (evidence,) = collect([*four(True), row("emax", acc=0.2, mi=None)])
    assert "emax" not in evidence.points("none") and evidence.correlation("none").n == 3
