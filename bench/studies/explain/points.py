"""Rows and records -> points: what each method at each strength costs a victim, and what may explain it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Literal

from bench.results.aggregate import counterpart, gaps, mean_of, values_of
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, by_setting, last_line, told_apart
from bench.studies.records import SCALE, difference, figure_of, ranks_apart, reach_over_images
from bench.studies.study import Record

Kind = Literal["MI", "proxy", "rival", "strength"]  # a proxy is bounded and no MI


@dataclass(frozen=True)
class Explanation:
    """A figure of a poison that may go with the accuracy it costs."""

    name: str  # of its column
    label: str  # for people, with the unit
    kind: Kind
    measure: str = ""  # none: the budget itself
    key: str = "value"
    gap_to: str | None = None  # the method from whose figure this one's is subtracted
    expected: int = 1  # whether the story says it rises with the gap (1), falls (-1), or says neither (0)
    by_rank: bool = True  # whether its scale depends on the dimensions of the features' code
    through_clean: bool = False  # seen by the net trained on clean, not by the poison's own victim


@dataclass(frozen=True)
class Sides:
    """What a gap is at least or at most, where one of its two estimates is a bound."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Point:
    """One method at one strength in one setting, undefended; means over repetitions."""

    setting: str
    method: str
    eps: float | None  # pixels in [0,1]
    control: bool
    reps: int  # rows that were computed
    accuracy: float | None
    gap: float | None  # accuracy of clean minus this one's, rep for rep
    figures: Mapping[str, float]  # by explanation
    reasons: Mapping[str, str]  # why there is none
    reaches: Mapping[str, float] = field(default_factory=dict)  # half of a figure's interval over images
    sides: Mapping[str, Sides] = field(default_factory=dict)  # of a gap without a figure, where known

    @property
    def strength(self) -> str:
        return "?" if self.eps is None else f"{255 * self.eps:g}"


class Measured:
    """All records of a study, found by what they are of."""

    def __init__(self, rows: Sequence[Row], records: Iterable[Record]) -> None:
        self.rows = {row.key: row for row in rows}
        self.records = {
            (record.measure, record.net_row, _poison(self.rows[record.poison_row])): record
            for record in records
            if record.poison_row in self.rows and record.net_row in self.rows
        }

    def figure(self, row: Row, explanation: Explanation) -> float | str:
        """Of the row's poison, or why there is none."""
        if not explanation.measure:
            eps = row.inputs["eps"]
            return "no budget was stated" if eps is None else 255 * float(eps)
        own = self._seen(row, explanation)
        value = _figure(own, explanation)
        if explanation.gap_to is None or isinstance(value, str):
            return value
        against = self._against(row, explanation.gap_to)
        if against is None:
            return f"no {explanation.gap_to} to compare with"
        there = self._seen(against, explanation)
        other = _figure(there, explanation)
        if isinstance(other, str):
            return f"{explanation.gap_to}: {other}"
        apart = ranks_apart(own, there, explanation.gap_to) if explanation.by_rank else None
        return apart or other - value

    def reach(self, row: Row, explanation: Explanation) -> float | None:
        """Half of the figure's interval over images; of a gap, the errors of both ends are independent."""
        own, there = self._ends(row, explanation)
        if explanation.gap_to is None:
            return reach_over_images(own)
        ends = reach_over_images(own), reach_over_images(there)
        return None if None in ends else hypot(*(end or 0.0 for end in ends))

    def sides(self, row: Row, explanation: Explanation) -> Sides:
        """Of a gap, from the ends of both intervals: one estimate a bound, the other a value."""
        own, there = self._ends(row, explanation)
        if own is None or there is None or (explanation.by_rank and ranks_apart(own, there, "")):
            return Sides()
        return Sides(difference(there, "at_least", own, "high"), difference(there, "high", own, "at_least"))

    def _ends(self, row: Row, explanation: Explanation) -> tuple[Record | None, Record | None]:
        """Return the poison's own record, and that of what it is read against."""
        name = explanation.gap_to
        against = None if name is None else self._against(row, name)
        there = None if against is None else self._seen(against, explanation)
        return self._seen(row, explanation), there

    def _seen(self, row: Row, explanation: Explanation) -> Record | None:
        nets = self.clean_nets(row) if explanation.through_clean else [row]
        keys = [(explanation.measure, net.key, _poison(row)) for net in nets]
        return next((self.records[key] for key in keys if key in self.records), None)

    def clean_nets(self, row: Row) -> list[Row]:
        """Victims of clean with the row's net and rep, those of its own setting first."""
        nets = [
            other
            for other in self.rows.values()
            if (other.method, other.defense, other.rep) == (CLEAN, row.defense, row.rep)
            and other.inputs["net"] == row.inputs["net"]
        ]
        return sorted(nets, key=lambda net: (net.setting != row.setting, net.poison_rep, net.key))

    def _against(self, row: Row, method: str) -> Row | None:
        """Find what the row is read against; no budget moves clean, so that of any grid will do."""
        cell, there = (row.setting, method, UNDEFENDED), self.rows.values()
        alike = [own for own in there if (own.setting, own.method, own.defense) == cell]
        nets = self.clean_nets(row) if method == CLEAN else alike
        return counterpart(row, [net for net in nets if net.status == "ok"])


def _figure(record: Record | None, explanation: Explanation) -> float | str:
    return "not measured" if record is None else figure_of(record, explanation.key)


def points_of(
    rows: Sequence[Row], records: Iterable[Record], explanations: Sequence[Explanation]
) -> list[Point]:
    """By setting, then by method; clean is what the others are read against and no point."""
    measured, found = Measured(rows, records), []
    for ours in by_setting(row for row in rows if row.defense == UNDEFENDED):
        renamed, _ = told_apart(ours, ["method"])
        for method in dict.fromkeys(row.method for row in renamed if row.method != CLEAN):
            found.append(_point([row for row in renamed if row.method == method], measured, explanations))
    return sorted(found, key=lambda point: (point.eps or 0, point.method, point.setting))


def _point(rows: Sequence[Row], measured: Measured, explanations: Sequence[Explanation]) -> Point:
    """Rows of one method in one setting; their methods' names may be told apart from those measured."""
    ours = [measured.rows[row.key] for row in rows if row.status == "ok"]
    failed = [last_line(row.reason) for row in rows if row.status != "ok"]
    figures, reasons, reaches, sides = {}, {}, {}, {}
    lone = ours[0] if len(ours) == 1 else None
    for explanation in explanations:
        seen = [measured.figure(row, explanation) for row in ours]
        mean = mean_of([figure for figure in seen if not isinstance(figure, str)])
        apart = any(isinstance(figure, str) and figure.endswith(SCALE) for figure in seen)
        if mean is None or apart:  # of the other repetitions alone it would be another mean
            said = [figure for figure in seen if isinstance(figure, str)] or failed
            reasons[explanation.name] = "; ".join(dict.fromkeys(said))
            if lone is not None and (known := measured.sides(lone, explanation)) != Sides():
                sides[explanation.name] = known
        else:
            figures[explanation.name] = mean
            reach = None if lone is None else measured.reach(lone, explanation)
            if reach is not None and explanation.kind in ("MI", "proxy"):
                reaches[explanation.name] = reach
    return Point(
        setting=rows[0].setting,
        method=rows[0].method,
        eps=rows[0].inputs["eps"],
        control=any(row.control for row in rows),
        reps=len(ours),
        accuracy=mean_of(values_of(ours, "test_acc")),
        gap=mean_of([gap for row in ours for gap in gaps([row], measured.clean_nets(row), "test_acc")]),
        figures=figures,
        reasons=reasons,
        reaches=reaches,
        sides=sides,
    )


def _poison(row: Row) -> str:
    """Tell poisons apart by their images."""
    return row.published or row.key
