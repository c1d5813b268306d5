"""The study of reference: its grids hold what is stored, and every verdict follows from the rows."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from scipy.stats import t

from bench.report.figures.style import method_styles, png, style
from bench.results import rows as files
from bench.results.rows import Row
from bench.runner.request import RunRequest, resolve, varied
from bench.studies.reference.patterns import PATTERNS, Pattern, judged, together
from bench.studies.reference.restored import PatternVerdict, RestoredShare, means_of, share_of
from bench.studies.reference.study import STUDY, pairs
from support.rows import row

STORED = Path(__file__).parent.parent.parent / "results" / "reference" / "rows"
Levels = Mapping[tuple[str, str], float]  # method, defense -> accuracy
STEP = 0.01  # between repetitions, and so the standard deviation of three
LEARNED, BARE, CONTROLS = 0.7, 0.2, ("clean", "random")


def cell(method: str, defense: str, *accuracies: float) -> list[Row]:
    """One row a poison, of clean a victim; MI is a tenth of the accuracy."""
    values = [
        {"test_acc": acc, "mi": acc / 10, "mi_gap": 0.08 - acc / 10, "control": method in CONTROLS}
        for acc in accuracies
    ]
    reps = [(i, 0) if method == "clean" else (0, i) for i in range(len(accuracies))]
    return [row(method, defense, *rep, **own) for rep, own in zip(reps, values, strict=True)]


def cells_of(asked: RunRequest) -> Iterator[tuple[str, str, int]]:
    """Method, defense and repetition, as the harness understands a grid."""
    found = resolve(asked)
    for method, defense in product(found.methods, found.defenses):
        yield from ((method.name, defense.name, rep) for rep in range(found.setting.reps))


@cache
def repetitions() -> dict[tuple[str, str], int]:
    """Of each cell of the grids."""
    found: dict[tuple[str, str], int] = {}
    for method, defense, _ in (
        one for asked in varied(RunRequest(), "", STUDY.grids()) for one in cells_of(asked)
    ):
        found[method, defense] = found.get((method, defense), 0) + 1
    return found


def all_rows(levels: Levels | None = None, poisons: int | None = None) -> list[Row]:
    """Every cell of the grids: no defense gives anything back, unless levels say so.

    poisons: one or three; else as many as there are repetitions.
    """
    rows = []
    for (method, defense), reps in repetitions().items():
        level = (levels or {}).get((method, defense), LEARNED if method in CONTROLS else BARE)
        rows += cell(
            method, defense, *([level] if (poisons or reps) == 1 else [level - STEP, level, level + STEP])
        )
    return rows


def without(rows: Sequence[Row], method: str, defense: str) -> list[Row]:
    return [one for one in rows if (one.method, one.defense) != (method, defense)]


# Grids


def test_the_grids_are_the_stated_cells_and_nothing_twice() -> None:
    cells = [one for asked in varied(RunRequest(), "", STUDY.grids()) for one in cells_of(asked)]
    assert len(cells) == len(set(cells)) == 136
    reps = repetitions()
    assert sorted(reps) == sorted(pairs())
    thrice = {pair for pair, n in reps.items() if n == 3}
    methods = {"clean", "em", "emax", "tap", "mi-ue", "em-class", "mi-ue-cos"}
    repeated = {(m, d) for m in methods for d in ("none", "iss-gray", "iss-jpeg10")}
    assert thrice == repeated | {("random", "none")} and {*reps.values()} == {1, 3}
    once = {m: {d for n, d in reps if n == m and (m, d) not in thrice} for m, _ in reps}
    defended = {"cutout", "uer", "iss-bdr2", "at-8", "at-4", "at-2"}
    swept = {f"iss-jpeg{quality}" for quality in (5, 30, 50, 75, 95)}
    assert {m for m, ds in once.items() if ds == swept | defended} == {"clean", "em", "emax", "tap", "mi-ue"}
    assert once["mi-ue-cos"] == swept | {"at-4"}
    assert once["em-class"] == swept | once["random"] and once["random"] == {"at-8", "at-4"}


def test_every_stored_row_is_a_cell_of_the_grids() -> None:
    cells = {one for asked in varied(RunRequest(), "", STUDY.grids()) for one in cells_of(asked)}
    stored = [(one.method, one.defense, one.rep) for one in files.load_all(STORED)]
    assert stored and len(stored) == len(set(stored)) and set(stored) <= cells


def test_the_stored_board_and_page_rank_over_one_set() -> None:
    home = STORED.parent
    board = (home / "leaderboard.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"Set of defenses: [^(]*\(hash \w+\)", board)
    assert said in (home / "report" / "report.html").read_text(encoding="utf-8")


def test_patterns_and_their_cells_are_among_the_grids() -> None:
    for pattern in PATTERNS:
        for method, defense in ((pattern.method, pattern.defense), ("clean", pattern.defense)):
            assert (method, defense) in pairs()


# The share given back


def shared(own: Sequence[float], bare: Sequence[float], clean: Sequence[float], *more: Row) -> RestoredShare:
    rows = [*cell("em", "at-8", *own), *cell("em", "none", *bare), *cell("clean", "at-8", *clean), *more]
    return share_of(means_of(rows), "em", "at-8")


def given_back(own: float, bare: float, clean: float) -> float:
    return (own - bare) / (clean - bare)


def test_share_and_interval_are_those_of_the_propagated_errors() -> None:
    """Derivatives by differences, degrees of freedom by Welch and Satterthwaite."""
    centers, errors = (0.6, 0.2, 0.7), (0.02, 0.01, 0.03)  # two values at c +- e have standard error e
    found = shared(*[(c - e, c + e) for c, e in zip(centers, errors, strict=True)])
    assert found.value == pytest.approx(given_back(*centers)) == 0.8
    variances = []
    for index, error in enumerate(errors):
        up, down = ([c + s * 1e-6 * (i == index) for i, c in enumerate(centers)] for s in (1, -1))
        variances.append(((given_back(*up) - given_back(*down)) / 2e-6 * error) ** 2)
    free = sum(variances) ** 2 / sum(v**2 for v in variances)  # one degree each
    off = t.ppf(0.975, free) * math.sqrt(sum(variances))
    assert (found.low, found.high) == pytest.approx((0.8 - off, 0.8 + off)) and found.single == ""


def test_one_poison_gives_a_share_and_no_interval_however_many_victims_it_has() -> None:
    alike = [replace(one, rep=rep) for rep in range(3) for one in cell("em", "at-8", 0.6)]
    found = share_of(
        means_of([*alike, *cell("em", "none", 0.2), *cell("clean", "at-8", 0.7, 0.7)]), "em", "at-8"
    )
    assert found.value == pytest.approx(0.8) and (found.low, found.high) == (None, None)
    assert found.single == "em x at-8, em x none"


def test_a_victim_that_did_not_learn_restores_nothing() -> None:
    rows = [*cell("em", "none", 0.2, 0.21), *cell("clean", "at-8", 0.7, 0.71)]
    learned = [replace(one, train_acc=0.7) for one in cell("em", "at-8", 0.65, 0.66)]
    assert share_of(means_of([*rows, *learned]), "em", "at-8").restored is PatternVerdict.HOLDS
    asleep = [replace(one, train_acc=0.12) for one in learned]
    assert share_of(means_of([*rows, *asleep]), "em", "at-8").restored is PatternVerdict.DID_NOT_LEARN
    text = STUDY.analyse([*rows, *asleep], ()).text
    assert "‡: victims, or clean's" in text


NEAR = (0.69, 0.7, 0.71), (0.19, 0.2, 0.21)
DIRECTIONS = {
    "restored": ((0.64, 0.65, 0.66), NEAR[1], NEAR[0], PatternVerdict.HOLDS),
    "not restored": ((0.24, 0.25, 0.26), NEAR[1], NEAR[0], PatternVerdict.BROKEN),
    "worse than undefended": ((0.09, 0.1, 0.11), NEAR[1], NEAR[0], PatternVerdict.BROKEN),
    "about half": ((0.44, 0.46, 0.48), NEAR[1], NEAR[0], PatternVerdict.UNDECIDED),
    "nothing to give back": (NEAR[0], NEAR[0], NEAR[0], PatternVerdict.UNDEFINED),
    "less than nothing": (NEAR[0], NEAR[0], (0.49, 0.5, 0.51), PatternVerdict.UNDEFINED),
    "clean did not learn": (NEAR[0], NEAR[0], NEAR[1], PatternVerdict.DID_NOT_LEARN),
    "hardly anything": (NEAR[0], (0.68, 0.69, 0.7), NEAR[0], PatternVerdict.UNDEFINED),
    "one poison": ((0.65,), (0.2,), NEAR[0], PatternVerdict.ONE_POISON),
    "one victim of clean": ((0.64, 0.66), (0.19, 0.21), (0.7,), PatternVerdict.ONE_POISON),
    "one poison and hardly anything": ((0.65,), (0.66,), NEAR[0], PatternVerdict.UNDEFINED),
    "no own": ((), NEAR[1], NEAR[0], PatternVerdict.NOT_RUN),
    "no bare": (NEAR[0], (), NEAR[0], PatternVerdict.NOT_RUN),
    "no clean": (NEAR[0], NEAR[1], (), PatternVerdict.NOT_RUN),
}
OPPOSITE = {PatternVerdict.HOLDS: PatternVerdict.BROKEN, PatternVerdict.BROKEN: PatternVerdict.HOLDS}


@pytest.mark.parametrize(("own", "bare", "clean", "expected"), DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_verdicts_follow_from_the_numbers(
    own: Sequence[float],
    bare: Sequence[float],
    clean: Sequence[float],
    expected: PatternVerdict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = shared(own, bare, clean)
    assert found.restored is expected
    nothing = (PatternVerdict.UNDEFINED, PatternVerdict.NOT_RUN, PatternVerdict.DID_NOT_LEARN)
    assert (found.value is None) == (expected in nothing)
    both = tuple(Pattern("em", "at-8", restored=restored) for restored in (True, False))
    monkeypatch.setattr("bench.studies.reference.patterns.PATTERNS", both)
    verdicts = [one.verdict for one in judged([found])]
    assert verdicts == [expected, OPPOSITE.get(expected, expected)]


def test_a_statement_on_several_patterns_holds_where_all_do() -> None:
    every = judged([])
    assert {one.verdict for one in every} == {PatternVerdict.NOT_RUN}
    for first in PatternVerdict:
        pair = [replace(every[0], verdict=first), replace(every[1], verdict=PatternVerdict.HOLDS)]
        assert together(PATTERNS[:2], pair) is first
    broken = [
        replace(every[0], verdict=PatternVerdict.NOT_RUN),
        replace(every[1], verdict=PatternVerdict.BROKEN),
    ]
    assert together(PATTERNS[:2], broken) is PatternVerdict.BROKEN


# Findings


def said(text: str, start: str) -> list[str]:
    """Cells of the line of a table that starts so."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [part.strip() for part in line.strip("|").split("|")]


def test_the_text_says_what_the_rows_say() -> None:
    """Verdicts turn with the numbers: none is written down."""
    text = STUDY.analyse(all_rows(poisons=3), ()).text
    for pattern in PATTERNS:  # nothing is given back
        verdict = PatternVerdict.BROKEN if pattern.restored else PatternVerdict.HOLDS
        assert said(text, str(pattern))[3] == verdict
    text = STUDY.analyse(all_rows({(p.method, p.defense): LEARNED for p in PATTERNS}, poisons=3), ()).text
    for pattern in PATTERNS:
        verdict = PatternVerdict.HOLDS if pattern.restored else PatternVerdict.BROKEN
        assert said(text, str(pattern))[1] == "1.00" and said(text, str(pattern))[3] == verdict
    assert said(text, "iss-gray restores em")[4] == "none" and "a method: no order" not in text
    text = STUDY.analyse(all_rows(), ()).text
    assert said(text, "at-8 restores em")[3:] == ["undecided: one poison", "em x at-8, clean x at-8"]
    assert "Without a number" not in text


def test_the_undefended_are_in_order_with_intervals() -> None:
    levels = {("em", "none"): 0.3, ("tap", "none"): 0.1, ("mi-ue", "none"): 0.105}
    text = STUDY.analyse(all_rows(levels), ()).text.split("## Patterns")[0]
    names = [line.split("|")[1].strip() for line in text.splitlines() if "|" in line]
    names = [name for name in names if name in ("tap", "mi-ue", "em", "clean (control)")]
    assert names == ["tap", "mi-ue", "em", "clean (control)"]
    off = t.ppf(0.975, 2) / math.sqrt(3)
    assert said(text, "em")[1:4] == ["30.0", f"[{30 - off:.1f}, {30 + off:.1f}]", "3"]
    lone = STUDY.analyse(all_rows(levels, poisons=1), ()).text.split("## Patterns")[0]
    assert "## Undefended\n" in lone and "One poison a method: no order." in lone and "[" not in lone
    order = text.split("have no order here: ")[1].splitlines()[0]
    assert "tap and mi-ue" in order and "em and" not in order


def test_a_missing_or_failed_cell_is_no_number() -> None:
    lost = row("mi-ue", "at-2", status="failed", reason="Traceback\nE: gone", control=False)
    rows = [*without(without(all_rows(), "mi-ue", "at-4"), "mi-ue", "at-2"), lost]
    findings = STUDY.analyse(rows, ())
    for radius in (4, 2):
        assert said(findings.text, f"at-{radius} does not restore mi-ue")[1:4] == ["-", "-", "not run"]
    assert "radius (at-4 does not restore mi-ue and at-2 does not restore mi-ue): not run" in findings.text
    assert "- mi-ue x at-4: not run" in findings.text
    assert "- mi-ue x at-2, repetition 0: failed, E: gone" in findings.text
    table = findings.tables["reference"]
    assert len(table) == len(pairs())
    empty = table[(table.method == "mi-ue") & (table.defense == "at-4")].iloc[0]
    assert empty.reps == 0 and empty[["accuracy", "std", "low", "high", "mi", "mi_gap"]].isna().all()


def test_rows_of_an_estimator_without_a_ceiling_say_why_they_have_no_gap() -> None:
    old = [replace(own, mi_gap=None, mi_estimator="smi-ksg") for own in all_rows()]
    assert "No gap: smi-ksg has no ceiling" in STUDY.analyse(old, ()).text
    assert "No gap" not in STUDY.analyse(all_rows(), ()).text


def test_the_table_counts_poisons_and_has_intervals_over_them() -> None:
    table = STUDY.analyse(all_rows(), ()).tables["reference"].set_index(["method", "defense"])
    own, single, clean = table.loc["em", "none"], table.loc["em", "at-8"], table.loc["clean", "none"]
    assert (own.reps, own.poisons, own["std"]) == (3, 3, pytest.approx(STEP))
    assert (single.reps, single.poisons, single["std"], single.low) == (1, 1, None, None)
    assert (clean.reps, clean.poisons) == (3, 1)
    assert clean.high - clean.accuracy == pytest.approx(own.high - own.accuracy)
    assert own.mi == pytest.approx(BARE / 10) and own.mi_gap == pytest.approx(
        0.08 - BARE / 10
    )  # each beside clean's first victim
    assert table.loc["random", "none"].control and not own.control


def drawn(axes: Axes) -> list[list[float]]:
    return [list(np.atleast_1d(line.get_ydata())) for line in axes.lines]


def test_figures_show_the_numbers() -> None:
    qualities = {5: 0.65, 10: 0.6, 30: 0.5, 50: 0.4, 75: 0.3, 95: 0.25}
    rows = all_rows({("tap", f"iss-jpeg{q}"): level for q, level in qualities.items()})
    figures = STUDY.analyse(rows, ()).figures
    (axes,) = figures["jpeg-sweep"].axes
    assert any(np.allclose(y, [65, 60, 50, 40, 30, 25, 20]) for y in drawn(axes) if len(y) == 7)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["5", "10", "30", "50", "75", "95", "none"]
    names = {text.get_text() for legend in figures["jpeg-sweep"].legends for text in legend.get_texts()}
    assert names == {"clean", "em", "emax", "tap", "mi-ue", "em-class", "mi-ue-cos", "chance"}
    colors = {line.get_label(): line.get_color() for line in figures["jpeg-sweep"].legends[0].get_lines()}
    assert all(look.color == colors[name] for name, look in method_styles(rows).items() if name in names)
    panels = {axes.get_title(loc="left") for axes in figures["restored"].axes if axes.get_visible()}
    assert panels == {"em", "emax", "tap", "mi-ue", "em-class", "mi-ue-cos"}
    with style():
        for figure in figures.values():
            assert matplotlib.image.imread(io.BytesIO(png(figure))).std() > 0.05


LACKING: dict[str, Callable[[Row], bool]] = {
    "everything": lambda one: False,
    "no clean": lambda one: one.method != "clean",
    "undefended only": lambda one: one.defense == "none",
    "defended only": lambda one: one.defense != "none",
    "one repetition": lambda one: one.rep == 0,
}


@pytest.mark.parametrize("kept", LACKING.values(), ids=LACKING.keys())
def test_a_study_that_has_just_begun_says_so(kept: Callable[[Row], bool]) -> None:
    rows = [one for one in all_rows() if kept(one)]
    findings = STUDY.analyse(rows, ())
    nothing = {PatternVerdict.NOT_RUN, PatternVerdict.UNDEFINED, PatternVerdict.ONE_POISON}
    assert {*findings.tables["patterns"].verdict} <= nothing
    assert ("Nothing was measured." in findings.text) == (not rows)
