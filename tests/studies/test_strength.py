"""The study of strength: its grids are what the harness accepts, and its findings follow from the rows."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from bench.report.figures.style import png, style
from bench.results.aggregate import Mean, summary
from bench.results.rows import Row
from bench.runner.request import RunRequest, resolve, varied
from bench.studies.driver import show_findings
from bench.studies.strength.points import StrengthPoint, points_of
from bench.studies.strength.study import STUDY
from bench.studies.strength.text import text
from support.rows import INPUTS, row

CLEAN = 0.9
ACCURACY = {"em": {2: 0.8, 4: 0.6, 8: 0.3, 16: 0.1}, "tap": {2: 0.85, 4: 0.7, 8: 0.75, 16: 0.4}}
SHARED = {"em": {0.5: 0.7, 0.8: 0.55}, "tap": {0.5: 0.6, 0.8: 0.65}}
BASELINE = {0.5: 0.65, 0.8: 0.6}


def made(method: str, eps: int, acc: float, rep: int = 0, **more: object) -> Row:
    """A row at eps/255; MI is a tenth of the accuracy. rep: of the poison; of clean, of the victim.

    more: share, drop_poisoned.
    """
    inputs = INPUTS | {"method": {"name": method, "eps": eps / 255}} | more
    values = {
        "test_acc": acc,
        "mi": acc / 10,
        "mi_gap": (CLEAN - acc) / 10,
        "classes": 10,
        "control": method in ("clean", "random"),
    }
    reps = (rep, 0) if method == "clean" else (0, rep)
    return row(method, "none", *reps, inputs=inputs, setting=f"{eps}-{more}", **values)


def all_rows(rep: int = 0, shift: float = 0.0) -> list[Row]:
    """One poison of everything, accuracies moved by a shift."""
    rows = [made("clean", 0, CLEAN + shift, rep)]
    rows += [made("random", eps, 0.88 + shift, rep) for eps in (2, 4, 8, 16)]
    rows += [made(m, eps, acc + shift, rep) for m, some in ACCURACY.items() for eps, acc in some.items()]
    rows += [made(m, 8, acc + shift, rep, share=s) for m, some in SHARED.items() for s, acc in some.items()]
    rows += [made("clean", 0, acc + shift, rep, share=s, drop_poisoned=True) for s, acc in BASELINE.items()]
    return rows


def at(points: Sequence[StrengthPoint], method: str, eps: float, share: float = 1.0) -> StrengthPoint:
    (found,) = (p for p in points if (p.method, p.eps_255, p.share) == (method, eps, share))
    return found


# Grids


def cells_of(asked: RunRequest) -> Iterator[tuple[str, float, float, bool]]:
    """Method, eps, share and whether the poisoned are dropped, as the harness understands a grid."""
    found = resolve(asked)
    assert [d.name for d in found.defenses] == ["none"]
    for method in found.methods:
        yield method.name, round(255 * method.value.eps, 6), found.setting.share, found.setting.drop_poisoned


def test_grids_are_what_the_question_asks_for_and_nothing_twice() -> None:
    cells = [cell for asked in varied(RunRequest(), "", STUDY.grids()) for cell in cells_of(asked)]
    assert len(cells) == len(set(cells))
    ours = ("em", "tap", "mi-ue")
    asked = {(m, eps, 1.0, False) for m in (*ours, "random") for eps in (2.0, 4.0, 8.0, 16.0)}
    asked |= {(m, 8.0, share, False) for m in ours for share in (0.5, 0.8)}
    asked |= {("clean", 0.0, share, True) for share in (0.5, 0.8)} | {("clean", 0.0, 1.0, False)}
    assert set(cells) == asked  # a share of 0 is clean, see test_partial.py


# Points


def mean(own: Mean | None) -> float:
    assert own is not None
    return own.mean


def test_points_are_read_against_clean_and_against_the_shares_baseline() -> None:
    points = points_of(all_rows())
    whole = at(points, "em", 8)
    assert (mean(whole.accuracy), whole.baseline, whole.gain) == (0.3, None, None)
    assert whole.accuracy_gap == pytest.approx(0.6) and mean(whole.mi_gap) == pytest.approx(0.06)
    part = at(points, "em", 8, 0.8)
    assert (mean(part.accuracy), mean(part.baseline)) == (0.55, 0.6) and part.gain == (
        pytest.approx(-0.05),
        None,
    )
    none = at(points, "em", 8, 0)
    assert (mean(none.accuracy), mean(none.baseline), mean(none.mi_gap)) == (CLEAN, CLEAN, 0)
    assert {p.control for p in points if p.method in ("clean", "random")} == {True}
    assert {p.share for p in points if p.eps_255 != 8} == {1.0}


def test_victims_are_averaged_within_a_poison_before_anything_else() -> None:
    """A poison with many victims counts as one, and so has no interval."""
    many = [
        replace(own, rep=rep, key=f"{own.key}{rep}")
        for rep in range(5)
        for own in all_rows()
        if own.method != "clean"
    ]
    lone = at(points_of([*all_rows(), *many]), "tap", 8, 0.5)
    assert (lone.reps, lone.poisons) == (5 + 1, 1) and lone.accuracy == Mean(0.6, 1)
    part = at(points_of([*all_rows(), *many, *all_rows(1, 0.04)]), "tap", 8, 0.5)
    assert (part.reps, part.poisons) == (5 + 2, 2) and mean(part.accuracy) == pytest.approx(0.62)
    both = summary([0.6, 0.64])
    assert both is not None and part.accuracy == Mean(*map(pytest.approx, vars(both).values()))


def test_the_order_of_rows_means_nothing() -> None:
    assert points_of(all_rows()[::-1]) == points_of(all_rows())


def test_rows_of_a_defense_and_failed_ones_give_no_number() -> None:
    failed = row("mi-ue", inputs=INPUTS | {"method": {"eps": 8 / 255}}, status="failed", reason="x\nE: gone")
    defended = row("em", "cutout", inputs=INPUTS | {"method": {"eps": 2 / 255}}, test_acc=0.0, mi=0.0)
    points = points_of([*all_rows(), failed, defended])
    assert mean(at(points, "em", 2).accuracy) == 0.8
    lost = at(points, "mi-ue", 8)
    assert (lost.accuracy, lost.mi, lost.reps) == (None, None, 0)
    assert "mi-ue at 8/255, share 1: failed, E: gone" in STUDY.analyse([*all_rows(), failed], ()).text


# Findings


def line(text: str, method: str, nth: int) -> str:
    """What is said of a method: first of its budgets, then of its shares."""
    return [part for part in text.splitlines() if part.startswith(f"- {method}")][nth]


def three(noise: float = 0.001) -> list[Row]:
    """Three poisons of everything, nearly alike."""
    return [own for rep, part in enumerate((-1, 0, 1)) for own in all_rows(rep, part * noise)]


def test_the_text_follows_from_the_numbers() -> None:
    text = STUDY.analyse(three(), ()).text
    assert "accuracy falls from 2 to 4/255 (-20.0 ±0.4 points), from 4 to 8/255 (-30.0" in line(text, "em", 0)
    rise = line(text, "tap", 0)
    assert "rises from 4 to 8/255 (+5.0 ±0.4 points)" in rise
    assert "MI falls from 2 to 4/255" in rise and "rises from 4 to 8/255 (+0.005 ±0.000 nats)" in rise
    assert "worse at 80 % (-5.0 ±0.4 points); better at 50 % (+5.0 ±0.4 points)" in line(text, "em", 1)
    assert "worse at 50 % (-5.0 ±0.4 points); better at 80 % (+5.0 ±0.4 points)" in line(text, "tap", 1)
    assert "no order" not in text and "Not measured" not in text
    assert "accuracy 90.0 %, MI 0.090 nats" in text
    assert "| the clean subset only | 90.0 | 65.0 | 60.0 | - |" in text


def test_with_one_poison_there_are_numbers_and_no_order() -> None:
    text = STUDY.analyse(all_rows(), ()).text
    assert "One poison a method: no order" in text and not [
        li for li in text.splitlines() if li.startswith("- ")
    ]
    assert "| em | 80.0 (0.010) | 60.0 (0.030) | 30.0 (0.060) | 10.0 (0.080) |" in text


def test_what_lies_within_the_interval_is_not_clear() -> None:
    """-5 and +11 points; +5 and +9 are more than a standard deviation, but could be that by chance."""
    two = [*all_rows(0), *all_rows(1)]
    for share, moved, said in ((0.8, 0.16, "at 80 % (+3.0"), (0.5, 0.04, "at 50 % (+7.0")):
        noisy = made("em", 8, SHARED["em"][share] + moved, 1, share=share)
        text = STUDY.analyse([noisy if r.key == noisy.key else r for r in two], ()).text
        assert f"not clearly either {said}" in line(text, "em", 1)


def test_equal_strengths_rarely_get_an_order() -> None:
    """Poisons differ by 1.5 points, victims of one poison by 0.5: only the former decide."""
    draw = random.Random(0)

    def decided(poisons: int) -> tuple[bool, bool]:
        rows = [
            made("clean", 0, 0.5 + draw.gauss(0, 0.005), rep, share=0.5, drop_poisoned=True)
            for rep in range(3)
        ]
        for (eps, share), rep in product(((4, 1.0), (8, 1.0), (8, 0.5)), range(poisons)):
            poison = 0.5 + draw.gauss(0, 0.015)
            one = made("em", eps, 0.0, rep, share=share)
            rows += [
                replace(one, rep=v, key=f"{one.key}{v}", test_acc=poison + draw.gauss(0, 0.005))
                for v in range(3)
            ]
        said = text(points_of(rows), rows).split("## Share")
        return " falls " in said[0] or " rises " in said[0], " worse at" in said[1] or " better at" in said[1]

    assert decided(1) == (False, False)
    for poisons in (2, 4):
        found = [decided(poisons) for _ in range(120)]
        assert all(sum(some) <= 0.06 * len(found) for some in zip(*found, strict=True))


def test_a_victim_that_did_not_learn_is_marked_and_in_no_step() -> None:
    rows = [
        replace(r, train_acc=0.1) if r.key in {made("em", 4, 0.0, rep).key for rep in range(3)} else r
        for r in three()
    ]
    text = STUDY.analyse(rows, ()).text
    assert "60.0‡ ±0.2" in text and "‡: victims" in text
    assert "accuracy falls from 2 to 8/255" in line(text, "em", 0)


def test_the_table_has_a_line_for_each_point() -> None:
    (table,) = STUDY.analyse(all_rows(), ()).tables.values()
    assert len(table) == len(points_of(all_rows())) == 1 + 3 * 4 + 2 * 3
    em = table[(table.method == "em") & (table.share == 0.8)].iloc[0]
    assert em.gain == pytest.approx(-0.05) and em.eps_255 == 8


def drawn(axes: Axes) -> list[tuple[list[float], list[float]]]:
    return [(list(np.atleast_1d(li.get_xdata())), list(np.atleast_1d(li.get_ydata()))) for li in axes.lines]


def has(axes: Axes, x: Sequence[float], y: Sequence[float]) -> bool:
    return any(len(a) == len(x) and np.allclose(a, x) and np.allclose(b, y) for a, b in drawn(axes))


def legend(figure: Figure) -> set[str]:
    return {text.get_text() for legend in figure.legends for text in legend.get_texts()}


def test_figures_show_the_numbers_with_clean_chance_and_the_baseline() -> None:
    figures = STUDY.analyse(all_rows(), ()).figures
    accuracy, gap = figures["strength-eps"].axes
    assert has(accuracy, [2, 4, 8, 16], [80, 60, 30, 10]) and has(
        gap, [2, 4, 8, 16], [0.01, 0.03, 0.06, 0.08]
    )
    assert has(accuracy, [0, 1], [90, 90]) and has(accuracy, [0, 1], [10, 10])
    assert legend(figures["strength-eps"]) == {"em", "tap", "random", "clean", "chance"}
    accuracy, gap = figures["strength-share"].axes
    assert has(accuracy, [0, 50, 80, 100], [90, 70, 55, 30]) and has(accuracy, [0, 50, 80], [90, 65, 60])
    assert has(gap, [0, 50, 80, 100], [0, 0.02, 0.035, 0.06])
    assert {"the clean subset only", "clean", "chance"} < legend(figures["strength-share"])
    with style():
        for figure in figures.values():
            assert matplotlib.image.imread(io.BytesIO(png(figure))).std() > 0.05


def test_what_is_not_there_is_not_drawn() -> None:
    findings = STUDY.analyse([], ())
    assert not findings.figures and findings.text == "Nothing was measured.\n"
    assert all(table.empty for table in findings.tables.values())
    only_budgets = [r for r in all_rows() if r.inputs["share"] == 1]
    assert {*STUDY.analyse(only_budgets, ()).figures} == {"strength-eps"}
    assert "Share" not in STUDY.analyse(only_budgets, ()).text
    without_clean = STUDY.analyse([r for r in all_rows() if r.method != "clean"], ())
    assert "no clean victim" in without_clean.text and {*without_clean.figures} == {
        "strength-eps",
        "strength-share",
    }


def test_the_table_on_the_terminal_fits_it() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    show_findings(STUDY.analyse(all_rows(), ()), console)
    printed = console.export_text()
    assert "…" not in printed and all(word in printed for word in ("80 %", "16/255", "90.0", "tap"))
