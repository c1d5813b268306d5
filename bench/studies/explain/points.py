"""Rows and records -> points: what each method at each strength costs a victim, and what may explain it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.results.aggregate import gaps_of, mean_of, summary
from bench.results.replicates import by_unit, doubt_of, units_of
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, by_setting, one_line, told_apart
from bench.studies.records import BOUND, MI_LIKE, SCALE, Ends, Explanation, Readings
from bench.studies.study import Record

GAP = "accuracy gap"  # what is to be explained, as a coordinate of points


@dataclass(frozen=True)
class MethodPoint:
    """One method at one budget in one setting, undefended; means over poisons of those over victims."""

    setting: str
    method: str
    eps: float | None  # pixels in [0,1]; None: its threat model is not L-inf
    control: bool
    reps: int  # rows that were computed
    poisons: int  # that they are of
    accuracy: float | None
    gap: float | None  # accuracy of clean minus this one's, rep for rep; None where victims did not learn
    doubt: str | None  # why the accuracy is no verdict
    figures: Mapping[str, float]  # by explanation
    reasons: Mapping[str, str]  # why there is none
    # of a figure's interval, over poisons, or over images of the only victim; of none, at least and at most
    ends: Mapping[str, Ends]

    @property
    def strength(self) -> str:
        """The budget in 255ths; nothing where it is another norm's."""
        return "" if self.eps is None else f"{255 * self.eps:g}"

    @property
    def name(self) -> str:
        """For people: the method, with its budget where that is L-inf's."""
        return f"{self.method} {self.strength}".strip()

    def reach(self, name: str) -> float:
        """Half of a figure's interval; 0 where none is known."""
        low, high = self.ends.get(name, (None, None))
        return 0.0 if name not in self.figures or low is None or high is None else (high - low) / 2

    @property
    def coordinates(self) -> Mapping[str, float]:
        """The figures and, where it is known, the accuracy gap in points."""
        return {**self.figures} if self.gap is None else {**self.figures, GAP: 100 * self.gap}


def points_of(
    rows: Sequence[Row], records: Iterable[Record], explanations: Sequence[Explanation]
) -> list[MethodPoint]:
    """By setting, then by method; clean is what the others are read against and no point."""
    readings, found = Readings(rows, records), []
    for ours in by_setting(row for row in rows if row.defense == UNDEFENDED):
        renamed, _ = told_apart(ours, ["method"])
        for method in dict.fromkeys(row.method for row in renamed if row.method != CLEAN):
            found.append(_point([row for row in renamed if row.method == method], readings, explanations))
    return sorted(found, key=lambda point: (point.eps or 0, point.method, point.setting))


def _point(rows: Sequence[Row], readings: Readings, explanations: Sequence[Explanation]) -> MethodPoint:
    """Rows of one method in one setting; their methods' names may be told apart from the readings'."""
    ours = [readings.rows[row.key] for row in rows if row.status == "ok"]
    failed = [one_line(row.reason) for row in rows if row.status != "ok"]
    figures, reasons, ends = {}, {}, {}
    for explanation in explanations:
        name, seen = explanation.name, [(row, readings.figure(row, explanation)) for row in ours]
        mean = summary(by_unit((row, figure) for row, figure in seen if not isinstance(figure, str)))
        said = [figure for _, figure in seen if isinstance(figure, str)]
        if mean is None or any(figure.endswith(SCALE) or BOUND in figure for figure in said):
            reasons[name] = "; ".join(dict.fromkeys(said or failed))
        else:  # of the other repetitions alone it would be another mean
            figures[name], ends[name] = mean.mean, (mean.low, mean.high)
        if len(ours) == 1 and explanation.kind in MI_LIKE:
            ends[name] = readings.interval(ours[0], explanation)
    clean = {net.key: net for row in ours for net in readings.clean_nets(row)}
    doubt = doubt_of(ours, [*clean.values()])
    gap = by_unit(one for row in ours for one in gaps_of([row], readings.clean_nets(row), "test_acc"))
    return MethodPoint(
        setting=rows[0].setting,
        method=rows[0].method,
        eps=threat.radius if (threat := rows[0].threat).norm == "linf" else None,
        control=any(row.control for row in rows),
        reps=len(ours),
        poisons=len({row.poison_rep for row in ours}),
        accuracy=mean_of(units_of(ours, "test_acc")),
        gap=None if doubt else mean_of(gap),
        doubt=doubt,
        figures=figures,
        reasons=reasons,
        ends=ends,
    )
