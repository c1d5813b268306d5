"""The study of strength: its grids are what the harness accepts, and its findings follow from the rows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from bench.report.figures.style import png, style
from bench.results.rows import Row
from bench.runner.request import RunRequest, resolve, varied
from bench.studies.driver import show_findings
from bench.studies.strength.points import StrengthPoint, points_of
from bench.studies.strength.study import STUDY
from support.rows import INPUTS, row

CLEAN = 0.9
ACCURACY = {"em": {2: 0.8, 4: 0.6, 8: 0.3, 16: 0.1}, "tap": {2: 0.85, 4: 0.7, 8: 0.75, 16: 0.4}}
SHARED = {"em": {0.5: 0.7, 0.8: 0.55}, "tap": {0.5: 0.6, 0.8: 0.65}}
BASELINE = {0.5: 0.65, 0.8: 0.6}


def made(method: str, eps: int, acc: float, rep: int = 0, **more: object) -> Row:
    """A row at eps/255; MI is a tenth of the accuracy. more: share, drop_poisoned."""
    inputs = INPUTS | {"method": {"name": method, "eps": eps / 255}} | more
    values = {"test_acc": acc, "mi": acc / 10, "classes": 10, "control": method in ("clean", "random")}
    return row(method, rep=rep, inputs=inputs, setting=f"{eps}-{more}", **values)


def all_rows(rep: int = 0, shift: float = 0.0) -> list[Row]:
    """One repetition of everything, accuracies moved by a shift."""
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


def test_points_are_read_against_clean_and_against_the_shares_baseline() -> None:
    points = points_of(all_rows())
    whole = at(points, "em", 8)
    assert (whole.accuracy, whole.baseline, whole.gain) == (0.3, None, None)
    assert whole.accuracy_gap == pytest.approx(0.6) and whole.mi_gap == pytest.approx(0.06)
    part = at(points, "em", 8, 0.8)
    assert (part.accuracy, part.baseline) == (0.55, 0.6) and part.gain == pytest.approx(-0.05)
    none = at(points, "em", 8, 0)
    assert (none.accuracy, none.baseline, none.gain, none.mi_gap) == (CLEAN, CLEAN, 0, 0)
    assert {p.control for p in points if p.method in ("clean", "random")} == {True}
    assert {p.share for p in points if p.eps_255 != 8} == {1.0}


def test_differences_are_within_repetitions() -> None:
    """What moves all victims of a repetition alike moves no gap and no gain."""
    points = points_of([*all_rows(0), *all_rows(1, 0.04)])
    part = at(points, "tap", 8, 0.5)
    assert part.reps == 2 and part.accuracy == pytest.approx(0.62)
    assert part.accuracy_std == pytest.approx(0.04 / 2**0.5)
    assert part.gain == pytest.approx(-0.05) and part.gain_std == pytest.approx(0)
    assert part.accuracy_gap == pytest.approx(0.3) and part.mi_gap_std == pytest.approx(0)
    lone = points_of([*all_rows(0), *all_rows(1, 0.04)[1:]])  # no clean victim in the second
    assert at(lone, "tap", 16).accuracy_gap == pytest.approx(0.5)


def test_the_order_of_rows_means_nothing() -> None:
    assert points_of(all_rows()[::-1]) == points_of(all_rows())


def test_rows_of_a_defense_and_failed_ones_give_no_number() -> None:
    failed = row("mi-ue", inputs=INPUTS | {"method": {"eps": 8 / 255}}, status="failed", reason="x\nE: gone")
    defended = row("em", "cutout", inputs=INPUTS | {"method": {"eps": 2 / 255}}, test_acc=0.0, mi=0.0)
    points = points_of([*all_rows(), failed, defended])
    assert at(points, "em", 2).accuracy == 0.8
    lost = at(points, "mi-ue", 8)
    assert (lost.accuracy, lost.mi, lost.reps) == (None, None, 0)
    assert "mi-ue at 8/255, share 1: failed, E: gone" in STUDY.analyse([*all_rows(), failed], ()).text


# Findings


def line(text: str, method: str, nth: int) -> str:
    """What is said of a method: first of its budgets, then of its shares."""
    return [part for part in text.splitlines() if part.startswith(f"- {method}")][nth]


def test_the_text_follows_from_the_numbers() -> None:
    text = STUDY.analyse(all_rows(), ()).text
    assert "accuracy falls at every step from 2/255 to 16/255; MI falls at every step" in line(text, "em", 0)
    rise = line(text, "tap", 0)
    assert "accuracy does not fall at every step: not from 4 to 8/255 (+5.0 points)" in rise
    assert "MI does not fall at every step: not from 4 to 8/255 (+0.005 nats)" in rise
    assert "worse at 80 % (-5.0 points); better at 50 % (+5.0 points)" in line(text, "em", 1)
    assert "worse at 50 % (-5.0 points); better at 80 % (+5.0 points)" in line(text, "tap", 1)
    assert "the spread is unknown" in text and "Not measured" not in text
    assert "accuracy 90.0 %, MI 0.090 nats" in text
    assert "| the clean subset only | 90.0 | 65.0 | 60.0 | - |" in text


def test_a_difference_within_the_spread_is_called_unclear() -> None:
    rows = [*all_rows(0), *all_rows(1)]
    noisy = made("em", 8, SHARED["em"][0.8] + 0.16, 1, share=0.8)  # -5 and +11 points
    rows = [noisy if r.key == noisy.key else r for r in rows]
    text = STUDY.analyse(rows, ()).text
    assert "better at 50 % (+5.0 ±0.0 points); not clearly either at 80 % (+3.0 ±11.3 points)" in text
    assert "spread is unknown" not in text and "Means over 2 repetitions" in text


def test_several_repetitions_count_by_their_interval() -> None:
    """+5 and +9 points: more than a standard deviation, but two repetitions could be that by chance."""
    rows = [*all_rows(0), *all_rows(1)]
    noisy = made("em", 8, SHARED["em"][0.5] + 0.04, 1, share=0.5)
    text = STUDY.analyse([noisy if r.key == noisy.key else r for r in rows], ()).text
    assert "not clearly either at 50 % (+7.0 ±2.8 points)" in line(text, "em", 1)


def test_mi_of_other_dimensions_has_no_course() -> None:
    """A victim that collapses under the largest budget, with a higher MI from that alone."""
    rows = [replace(r, mi_rank=32) for r in all_rows()]
    strong = made("em", 16, 0.1)
    rows = [replace(r, mi=0.9, mi_rank=11) if r.key == strong.key else r for r in rows]
    point = at(points_of(rows), "em", 16)
    assert (point.mi, point.mi_gap, point.comparable) == (0.9, None, False)
    text = STUDY.analyse(rows, ()).text
    assert "MI falls at every step from 2/255 to 8/255" in line(text, "em", 0)
    assert "on another scale: em at 16/255." in text


def test_a_small_difference_of_one_repetition_is_called_unclear() -> None:
    near = made("em", 8, SHARED["em"][0.8] + 0.04, 0, share=0.8)  # -1 point
    text = STUDY.analyse([near if r.key == near.key else r for r in all_rows()], ()).text
    assert "better at 50 % (+5.0 points); not clearly either at 80 % (-1.0 points)" in text


def test_a_rise_of_mi_within_one_repetitions_intervals_is_called_unclear() -> None:
    """Of tap from 4 to 8/255 it rises by 0.005; the interval over images is all the noise that is known."""

    def at_4_to_8(reach: float) -> str:
        rows = [replace(r, mi_low=(r.mi or 0) - reach, mi_high=(r.mi or 0) + reach) for r in all_rows()]
        return line(STUDY.analyse(rows, ()).text, "tap", 0)

    assert "MI does not fall at every step: not from 4 to 8/255 (+0.005 nats)" in at_4_to_8(0.003)
    said = at_4_to_8(0.004)  # 0.0057 of both together
    assert "MI does not fall at every step: not from 4 to 8/255 (+0.005 nats, unclear)" in said
    assert said.endswith("unclear).")
    assert "MI falls" not in said and "(unclear falls: from 2 to 4/255)" in at_4_to_8(0.02)


def test_one_repetitions_gap_has_an_interval_of_both_ends() -> None:
    rows = [replace(r, mi_low=(r.mi or 0) - 0.003, mi_high=(r.mi or 0) + 0.003) for r in all_rows()]
    points = points_of(rows)
    assert at(points, "em", 8).mi_gap_reach == pytest.approx(0.003 * 2**0.5)
    assert at(points, "em", 8).mi_low == pytest.approx(0.027)
    assert at(points, "em", 8, 0).mi_gap_reach is None  # clean is itself
    several = points_of([*rows, *all_rows(1)])
    assert at(several, "em", 8).mi_gap_reach is None and at(several, "em", 8).mi_low is None


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
