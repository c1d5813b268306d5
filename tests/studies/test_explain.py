"""Rival explanations: correlations over families, points from rows and records, words that follow."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Annotation, Text
from rich.console import Console

from bench.experiment.registry import catalog
from bench.metrics import METRICS
from bench.report.figures.style import style
from bench.results.correlation import ENOUGH, Correlation, correlation
from bench.results.rows import Row
from bench.studies.driver import show_findings
from bench.studies.explain.compare import (
    FAMILIES,
    ExplanationFindings,
    JudgedExplanation,
    Outcome,
    all_of,
    compare,
    verdict,
)
from bench.studies.explain.figures import scatters
from bench.studies.explain.points import Explanation, points_of
from bench.studies.explain.study import EXPLANATIONS, METHODS, STUDY, THEORY
from bench.studies.explain.text import text
from bench.studies.records import figure_of
from bench.studies.study import Findings, Record
from support.explained import ALL, BUDGETS, CONTROLS, MADE, made_records, made_row, made_rows

MI = Explanation("mi", "MI", "MI", "smi-hist", gap_to="clean")
DISTANCE = Explanation("distance", "distance", "rival", "feature-distance")
BUDGET = Explanation("strength", "budget", "strength", key="l2")


# Verdicts


def test_few_families_have_no_verdict() -> None:
    found = correlation([(1, 1), (2, 2), (3, 4)])
    assert verdict(found, 1) is verdict(found, -1) is Outcome.DESCRIPTIVE


@pytest.mark.parametrize("n", [ENOUGH - 1, ENOUGH])
def test_there_is_a_verdict_of_enough_families_alone(n: int) -> None:
    x, noise = np.random.default_rng(0).standard_normal((2, 3 * n))
    found = correlation([*zip(x, x + 0.2 * noise, strict=True)], [f"{i // 3}" for i in range(3 * n)])
    assert verdict(found, 1) is (Outcome.HELD if n >= ENOUGH else Outcome.DESCRIPTIVE)


@pytest.mark.parametrize(
    ("low", "high", "least", "most", "outcomes"),  # expected above 0, below 0, on either side
    [
        (0.2, 0.9, 0.1, 0.8, ("held", "did not hold", "held")),
        (0.2, 0.9, -0.1, 0.8, ("undecided", "did not hold", "undecided")),
        (-0.9, -0.4, -0.8, -0.5, ("did not hold", "held", "held")),
        (-0.1, 0.2, -0.1, 0.2, ("did not hold", "did not hold", "did not hold")),
        (-0.5, 0.6, -0.1, 0.2, ("undecided", "undecided", "undecided")),
    ],
)
def test_verdicts(low: float, high: float, least: float, most: float, outcomes: tuple[str, ...]) -> None:
    found = Correlation(9, 27, (low + high) / 2, low, high, least, most)
    assert tuple(verdict(found, sign) for sign in (1, -1, 0)) == outcomes


def test_a_claim_of_several_parts_needs_all_of_them() -> None:
    held, failed, undecided = Outcome.HELD, Outcome.FAILED, Outcome.OPEN
    assert all_of([held, held]) is held
    assert all_of([held, undecided]) is undecided
    assert all_of([held, undecided, failed]) is failed
    assert all_of([held, Outcome.DESCRIPTIVE, undecided]) is Outcome.DESCRIPTIVE
    assert all_of([]) is undecided


# Points


def record(net: str, poison: str | None = None, measure: str = "smi-hist", **values: float | None) -> Record:
    rows = {f"{own.method}-{own.rep}": own.key for own in few_rows()}
    return Record(measure, rows[net], rows[poison or net], values)


def few_rows():  # type: ignore[no-untyped-def]
    """clean and em, two victims each, at one budget."""
    return [
        made_row(m, 8, rep, acc=a + 0.1 * rep) for m, a in (("clean", 0.8), ("em", 0.3)) for rep in (0, 1)
    ]


def test_gaps_are_to_clean_of_the_same_seeds() -> None:
    rows = [replace(row, test_acc=0.2 if row.method == "em" else row.test_acc) for row in few_rows()]
    records = [record("clean-0", value=5.0), record("clean-1", value=7.0), record("em-1", value=1.0)]
    (point,) = points_of(rows, records, [MI, BUDGET])
    assert point.gap == pytest.approx(((0.8 - 0.2) + (0.9 - 0.2)) / 2)
    assert point.figures == {"mi": 6.0, "strength": pytest.approx(8)}
    assert (point.reps, point.strength) == (2, "8")


def test_clean_is_the_same_at_every_budget() -> None:
    rows = [made_row("clean", 8, acc=0.8), made_row("em", 4, acc=0.5), made_row("em", 16, acc=0.2)]
    weak, strong = points_of(rows, [], [BUDGET])
    assert (weak.gap, strong.gap) == (pytest.approx(0.3), pytest.approx(0.6))


def test_through_cleans_net_is_another_figure_than_through_the_own_victim() -> None:
    seen = replace(MI, name="there", through_clean=True)
    records = [record("clean-0", value=5.0), record("em-0", value=1.0), record("clean-0", "em-0", value=4.0)]
    (point,) = points_of(few_rows(), records, [MI, seen])
    assert point.figures == {"mi": 4.0, "there": 1.0}


def test_a_bound_is_no_figure_and_reasons_are_kept() -> None:
    bound = Record("m", "a", "b", {"value": None, "bound": 1.5})
    assert figure_of(bound, "value") == "a bound only: 1.5"
    assert figure_of(Record("m", "a", "b", {"value": 2.0, "censored": True}), "value") == "no value"
    assert figure_of(Record("m", "a", "b", {"value": float("nan")}), "value") == "no value"
    assert figure_of(Record("m", "a", "b", reason="em: constant"), "value") == "em: constant"
    assert figure_of(Record("m", "a", "b", {"value": 2}), "value") == 2.0
    records = [record("clean-0", value=5.0), record("em-0", value=None)]
    (point,) = points_of(few_rows(), records, [MI])
    assert point.figures == {} and "no value" in point.reasons["mi"]


def test_one_repetitions_gap_has_the_interval_of_both_ends() -> None:
    """They are of images alone: two repetitions say more by how they differ, and show none."""
    ends = {"low": 0.9, "high": 1.1}
    rows = [own for own in few_rows() if own.rep == 0]
    records = [record("clean-0", value=5.0, low=4.9, high=5.1), record("em-0", value=1.0, **ends)]
    (point,) = points_of(rows, records, [MI, replace(DISTANCE, measure="smi-hist")])
    assert point.reach("mi") == pytest.approx(0.1 * 2**0.5) and point.reach("distance") == 0
    (point,) = points_of(few_rows(), [*records, record("em-1", value=1.0, **ends)], [MI])
    assert point.reach("mi") == 0
    (point,) = points_of(rows, [records[0], record("em-0", value=1.0)], [MI])
    assert point.reach("mi") == 0


def test_beside_a_bound_the_gap_has_one_known_side() -> None:
    rows = [own for own in few_rows() if own.rep == 0]
    above, value = {"value": None, "at_least": 2.0}, {"value": 1.0, "low": 0.9, "high": 1.1}
    (point,) = points_of(rows, [record("clean-0", **above), record("em-0", **value)], [MI])
    assert point.figures == {} and point.ends == {"mi": (pytest.approx(0.9), None)}
    (point,) = points_of(rows, [record("clean-0", **value), record("em-0", **above)], [MI])
    assert point.ends == {"mi": (None, pytest.approx(-0.9))}
    (point,) = points_of(rows, [record("clean-0", **above), record("em-0", **above)], [MI])
    assert point.ends == {"mi": (None, None)}  # of two bounds nothing follows
    other = record("em-0", **value | {"rank": 11}), record("clean-0", **above | {"rank": 32})
    (point,) = points_of(rows, other, [MI])
    assert point.ends == {"mi": (None, None)}


def test_failed_rows_and_missing_records_say_so() -> None:
    rows = [
        own if own.method == "clean" else replace(own, status="failed", reason="boom") for own in few_rows()
    ]
    (point,) = points_of(rows, [], [MI])
    assert (point.gap, point.reps, point.reasons) == (None, 0, {"mi": "boom"})
    (point,) = points_of(few_rows(), [], [MI])
    assert point.reasons == {"mi": "not measured"}
    (point,) = points_of(few_rows()[2:], [record("em-0", value=1.0)], [MI])
    assert point.gap is None and "no clean to compare with" in point.reasons["mi"]


# The study


@pytest.fixture(scope="module")
def found() -> Findings:
    rows = made_rows()
    return STUDY.analyse(rows, made_records(rows))


@pytest.fixture(scope="module")
def many() -> Findings:
    """Of three methods more, which are enough for verdicts."""
    rows = made_rows(ALL)
    return STUDY.analyse(rows, made_records(rows))


def small(records: list[Record], rows: list[Row] | None = None) -> ExplanationFindings:
    """MI, distance and budget over all made-up points."""
    shown = (MI, DISTANCE, BUDGET)
    return compare(points_of(made_rows() if rows is None else rows, records, shown), shown, [])


def test_study_names_what_there_is() -> None:
    methods = catalog("methods")
    assert {methods.get(name).name for name in METHODS} == {*METHODS}
    assert [own.methods.split(",") for own in STUDY.grids()] == [[*METHODS]]
    families = {FAMILIES.get(name, name) for name in METHODS if not methods.get(name).control}
    assert len(families) >= ENOUGH  # else there is no verdict, however clear it is
    assert {*FAMILIES, *FAMILIES.values()} <= {*methods.names}
    assert {*STUDY.through_clean} <= {*STUDY.measures}
    ours = {"class-spread", "separability", "frequency", "feature-distance"}
    assert ours <= {*STUDY.measures} and ours <= {*METRICS}
    names = [e.name for e in EXPLANATIONS]
    assert len(names) == len({*names}) and {name for pair in THEORY for name in pair} <= {*names}


def test_controls_are_points_and_in_no_correlation(found: Findings) -> None:
    points, judged = found.tables["points"], found.tables["explanations"].set_index("explanation")
    assert set(points.method) == {*MADE} - {"clean"}
    assert set(points[points.control].method) == {*CONTROLS} - {"clean"}
    assert (judged.points == 6 * len(BUDGETS)).all() and (judged.n == 5).all()  # mi-ue-cos is mi-ue's
    assert judged.descriptive.all()


def test_of_five_methods_nothing_is_called_held(found: Findings) -> None:
    judged = found.tables["explanations"].set_index("explanation")
    assert {*judged.verdict[judged.rho.notna()]} == {"descriptive"} and judged.low.isna().all()
    for words in (found.text, *drawn_texts(found)):
        assert not re.search(r"held(?! out)|did not hold|\] *, n = 5", words)
    assert "[" not in found.text.partition("## How sure")[0]


def drawn_texts(found: Findings) -> Iterator[str]:
    for figure in found.figures.values():
        yield from (text.get_text() for text in figure.findobj(Text))


def test_what_was_put_into_the_records_is_found(many: Findings) -> None:
    found, judged = many, many.tables["explanations"].set_index("explanation")
    assert judged.loc["smi-noisy-gap", "rho"] > 0.8 and judged.loc["smi-noisy-gap", "verdict"] == "held"
    assert abs(judged.loc["centroid", "rho"]) < 0.5 and judged.loc["centroid", "verdict"] != "held"
    assert np.isnan(judged.loc["separability-train", "rho"])  # 1 for all of them
    partial = found.tables["partial"].set_index(["explanation", "given"])
    assert partial.loc[("smi-noisy-gap", "energy"), "rho"] > 0.5
    over = found.tables["theory"].over
    assert "methods and budgets, given the size" in set(over) and "budgets of tap" in set(over)


def test_words_follow_from_the_numbers(found: Findings, many: Findings) -> None:
    said = r"Effective poisons lower MI\.\*\* Among these {} methods: {} with smi-noisy-gap"
    assert re.search(said.format(5, "descriptive"), found.text) and "are descriptive" in found.text
    assert re.search(said.format(8, "held"), many.text) and "descriptive" not in many.text
    rows = made_rows(ALL)
    for turn, outcome in ((1, "held"), (-1, "did not hold")):
        records = [
            replace(own, values={"value": turn * float(own.values["value"] or 0)})
            for own in made_records(rows)
            if own.measure == "smi-hist"
        ]
        text_of = text(rows, small(records, rows))
        assert f"**Effective poisons lower MI.** Among these 8 methods: {outcome} with mi." in text_of


def test_what_only_goes_with_the_budget_is_not_held() -> None:
    """Larger budgets cost more and move a figure, but methods that cost more do not move it more."""
    rows = made_rows(ALL)
    records = [own for own in made_records(rows) if own.measure == "smi-hist"]
    noise = np.random.default_rng(1).standard_normal(len(records)) / 100
    by_budget = {own.key: 1 - own.inputs["eps"] * (own.method != "clean") for own in rows}
    records = [
        replace(own, values={"value": by_budget[own.poison_row] + e})
        for own, e in zip(records, noise, strict=True)
    ]
    judged = small([own for own in records if own.net_row == own.poison_row], rows).judged["mi"]
    assert verdict(judged.association, 1) is Outcome.HELD and judged.verdict is not Outcome.HELD


def against_rival(ours: float, rival: float, given: float) -> str:
    """What is said of MI whose correlation is ours, beside a rival's, and given that one."""
    steady = [Correlation(9, 27, rho, rho - 0.05, rho + 0.05, rho, rho) for rho in (ours, rival, given)]
    found = small(made_records(made_rows()))
    beside = {"distance": steady[2], "strength": steady[2]}
    judged = {
        "mi": JudgedExplanation(
            MI, steady[0], 0, beside, {"distance": steady[1], "strength": steady[1]}, steady[2]
        ),
        "distance": replace(found.judged["distance"], association=steady[1]),
        "strength": replace(found.judged["strength"], association=steady[1]),
    }
    said = text(made_rows(), replace(found, judged=judged))
    return said.partition("explains more than simpler stories.** ")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("ours", "rival", "given", "outcome"),
    [
        (0.8, 0.6, 0.5, "held"),
        (0.6, 0.8, 0.5, "undecided"),  # it says something of its own, but not more
        (0.8, 0.6, 0.0, "did not hold"),
    ],
)
def test_more_than_a_rival_needs_a_larger_correlation_and_a_rest(
    ours: float, rival: float, given: float, outcome: str
) -> None:
    assert against_rival(ours, rival, given).startswith(f"Among these 9 methods: {outcome}.")


def test_a_rival_that_was_not_measured_is_not_beaten() -> None:
    rows = made_rows(ALL)
    records = [own for own in made_records(rows) if own.measure == "smi-hist"]
    said = text(rows, small(records, rows)).partition("explains more than simpler stories.** ")[2]
    assert said.startswith("Among these 8 methods: undecided.") and "Not measured: distance." in said


def test_rivals_are_compared_over_the_same_points() -> None:
    """Points that one explanation is excused from count for no rival of it."""
    records = [own for own in made_records(made_rows()) if own.measure in ("smi-hist", "feature-distance")]
    lost = {own.key for own in made_rows() if own.method == "mi-ue"}
    records = [own for own in records if own.measure != "smi-hist" or own.net_row not in lost]
    judged = small(records).judged
    assert judged["mi"].rivals["distance"].points == judged["mi"].association.points
    assert judged["distance"].association.points == judged["mi"].association.points + len(BUDGETS)


def test_figures_of_other_dimensions_are_left_out_with_the_reason() -> None:
    records = [own for own in made_records(made_rows()) if own.measure == "smi-hist"]
    few = {own.key for own in made_rows() if own.method == "mi-ue"}
    records = [
        replace(own, values={**own.values, "rank": 11 if own.net_row in few else 32}) for own in records
    ]
    found = small(records)
    assert found.judged["mi"].left_out == len(BUDGETS)
    said = text(made_rows(), found)
    assert "- `mi`, 3 left out: features of 11 dimensions, clean's of 32: on another scale." in said


def test_points_left_out_are_counted() -> None:
    records = [own for own in made_records(made_rows()) if own.measure == "smi-hist"]
    taps = {own.key for own in made_rows() if own.method == "tap"}
    bounds = [
        replace(own, values={"value": None, "bound": 2.0}) if own.net_row in taps else own for own in records
    ]
    judged = small(bounds).judged
    assert (judged["mi"].left_out, judged["mi"].association.n) == (len(BUDGETS), 4)
    assert judged["strength"].left_out == 0


def test_every_estimate_is_in_a_table_with_its_interval() -> None:
    """Those of clean and those beyond the certified range as well."""
    rows = made_rows()
    whole = {"estimator": "smi-hist", "value": 0.5, "low": 0.4, "high": 0.6, "at_least": None, "n": 40}
    bound = whole | {"value": None, "low": None, "high": None, "at_least": 1.2, "bound": "certified up to 1"}
    clean, em = (next(own for own in rows if own.method == method) for method in ("clean", "em"))
    records = [
        Record("smi-hist", clean.key, clean.key, bound),
        Record("smi-hist", clean.key, em.key, whole),
        Record("distance", em.key, em.key, {"value": 1.0}),
    ]
    table = STUDY.analyse(rows, records).tables["estimates"]
    assert [*zip(table.net, table.method, table.eps_255, strict=True)] == [
        ("clean's", "em", 4.0),
        ("own", "clean", None),
    ]
    assert (table.low[0], table.high[0], table.at_least[1]) == (0.4, 0.6, 1.2)
    rows = [own for own in rows if own.method in CONTROLS or own.method == "em"]
    assert STUDY.analyse(rows, []).tables["estimates"].empty


def test_too_few_methods_decide_nothing() -> None:
    rows = [own for own in made_rows() if own.method in ("clean", "em", "tap")]
    found = STUDY.analyse(rows, [])
    assert "Undecided: 2 methods" in found.text
    assert STUDY.analyse([], []).figures == {}


# Figures


def test_labels_hide_neither_each_other_nor_marks_and_name_every_point() -> None:
    found = small(made_records(made_rows()))
    with style():
        figure = scatters(found, [MI, DISTANCE])
        assert figure is not None
        figure.draw_without_rendering()
    for axes in figure.axes:
        notes = [t for t in axes.texts if isinstance(t, Annotation) and t.get_text()]
        assert len(notes) == len(found.points)
        assert {t.get_text() for t in notes} >= {f"{m} {max(BUDGETS)}" for m in MADE if m != "clean"}
        boxes = [t.get_window_extent() for t in notes]
        apart = [not one.padded(-0.5).overlaps(other.padded(-0.5)) for one, other in combinations(boxes, 2)]
        assert all(apart)
        marks = [axes.transData.transform(xy) for line in axes.lines for xy in line.get_xydata()]
        assert not any(box.padded(-0.5).contains(*mark) for box in boxes for mark in marks)


def test_labels_leave_the_bars_of_intervals_free() -> None:
    rows = made_rows()
    records = [
        replace(own, values=own.values | {"low": float(value) - 0.001, "high": float(value) + 0.001})
        for own in made_records(rows)
        if own.measure == "smi-hist" and (value := own.values["value"])
    ]
    with style():
        figure = scatters(small(records), [MI])
        assert figure is not None
        figure.draw_without_rendering()
    (axes,) = figure.axes
    bars = [axes.transData.transform(bar) for part in axes.collections for bar in part.get_segments()]
    assert len(bars) == len(MADE[1:]) * len(BUDGETS)
    boxes = [t.get_window_extent().padded(-0.5) for t in axes.texts if t.get_text()]
    ends = np.array(bars)
    crossed = [
        (
            (ends[:, 0, 0] < box.x1)
            & (ends[:, 1, 0] > box.x0)
            & (ends[:, 0, 1] > box.y0)
            & (ends[:, 0, 1] < box.y1)
        ).any()
        for box in boxes
    ]
    assert sum(crossed) <= len(boxes) / 8  # where marks crowd there is not room for all
    said = " ".join(text.get_text() for text in figure.texts)
    assert "interval over images" in " ".join(said.split())


def test_every_figure_is_drawn_where_there_is_something(found: Findings) -> None:
    assert {*found.figures} == {"explanations-mi", "explanations-rivals", "correlations", "theory"}
    assert len(found.figures["correlations"].axes[0].get_yticklabels()) == len(EXPLANATIONS) - 1
    titles = [axes.get_title(loc="left") for axes in found.figures["explanations-rivals"].axes]
    assert not any("training" in title for title in titles)  # all points are alike: nothing to see


def test_the_table_on_the_terminal_fits_it(found: Findings) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    show_findings(found, console)
    printed = console.export_text()
    assert "…" not in printed and "smi-noisy-gap-clean-net" in printed and "undecided" in printed
