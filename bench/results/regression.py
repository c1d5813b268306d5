"""Rows against a baseline: whether they can be compared, and what moved. Pure: no torch, no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.core.errors import BadInput
from bench.results.aggregate import mean_of
from bench.results.baseline import Baseline, Cell, codes, rep_of
from bench.results.identity import shared
from bench.results.rows import Row
from bench.results.select import grouped, leaves, one_line

LONGEST = 20  # characters of a value in a message: digests are longer
VERSION = ("revision", "draft")
Verdict = Literal["failed", "missing", "moved", "within"]


@dataclass(frozen=True)
class Line:
    """One measure of one cell; a cell that is not whole has one line without numbers."""

    cell: str
    verdict: Verdict
    measure: str = ""  # column of a row
    then: float | None = None  # the baseline's mean
    now: float | None = None
    tolerance: float | None = None
    reason: str = ""

    @property
    def difference(self) -> float | None:
        return None if self.now is None or self.then is None else self.now - self.then

    @property
    def strain(self) -> float:
        """The share of the tolerance that is used up: above 1 the measure moved."""
        if self.difference is None or self.tolerance is None:
            return float("inf")
        return abs(self.difference) / self.tolerance


@dataclass(frozen=True)
class Comparison:
    """All lines, what moved first, and what changed without being an error."""

    lines: list[Line]
    notes: list[str]

    @property
    def passed(self) -> bool:
        return all(line.verdict == "within" for line in self.lines)


def compare(baseline: Baseline, rows: Sequence[Row]) -> Comparison:
    """Every cell of the baseline against its rows; BadInput where they were made under other conditions."""
    groups = grouped(comparable(baseline, rows))
    pairs = {(cell.method, cell.defense): cell for cell in baseline.cells}
    lines = [line for pair, cell in pairs.items() for line in _lines(baseline, cell, groups.get(pair, []))]
    lines.sort(key=lambda line: -line.strain)  # stable: else in the baseline's order
    ours = [row for pair in pairs for row in groups.get(pair, [])]
    return Comparison(lines, _notes(baseline, rows, ours))


# Which rows can be compared


def comparable(baseline: Baseline, rows: Sequence[Row]) -> list[Row]:
    """Keep the rows that were made as the baseline's were; BadInput names every field that differs."""
    ours, faults = alike(rows, lambda row: shared(row.inputs), baseline.setting)
    for kind, plugins in (("method", baseline.methods), ("defense", baseline.defenses)):
        found = [
            alike(
                [row for row in ours if getattr(row, kind) == name],
                lambda row, kind=kind: parameters(row.inputs[kind]),  # type: ignore[misc]
                parameters(inputs),
                f"{name}.",
            )
            for name, inputs in plugins.items()
        ]
        ours = [row for same, _ in found for row in same]
        faults += [fault for _, differing in found for fault in differing]
    if ours:
        # what must agree and stands in no row's inputs
        estimators, reps = {row.mi_estimator for row in ours if row.mi_estimator}, set(map(rep_of, ours))
        now = {"mi_estimator": sorted(estimators), "(poison_rep, rep)": sorted(reps)}
        reps = {rep for cell in baseline.cells for rep in cell.reps}
        faults += differences(now, {"mi_estimator": [baseline.estimator], "(poison_rep, rep)": sorted(reps)})
    if faults:
        raise BadInput(f"not comparable with the baseline: {'; '.join(faults)}")
    for (method, defense, _), number in Counter(
        (row.method, row.defense, rep_of(row)) for row in ours
    ).items():
        if number > 1:
            raise BadInput(
                f"{method} x {defense} was computed with several revisions in one folder, "
                f"expected the rows of one run; compute into a fresh --out"
            )
    return ours


def parameters(plugin: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the version of a method's or defense's inputs: it may change, that is what the gate is for."""
    return {name: value for name, value in plugin.items() if name not in VERSION}


def alike(
    rows: Sequence[Row],
    inputs: Callable[[Row], Mapping[str, Any]],
    expected: Mapping[str, Any],
    owner: str = "",
) -> tuple[list[Row], list[str]]:
    """Keep the rows with the expected inputs; where none has them, say how the nearest differ."""
    found = [(row, differences(inputs(row), expected, owner)) for row in rows]
    same = [row for row, differing in found if not differing]
    nearest = min((differing for _, differing in found), key=len, default=[])
    return same, [] if same else nearest


def differences(ours: Mapping[str, Any], expected: Mapping[str, Any], owner: str = "") -> list[str]:
    """Each field that is not the same, with both values."""
    now, then = leaves(ours), leaves(expected)
    return [
        f"{owner}{name} is {_short(now.get(name))}, in the baseline {_short(then.get(name))}"
        for name in dict.fromkeys([*then, *now])
        if now.get(name) != then.get(name)
    ]


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= LONGEST or " " in text else f"{text[: LONGEST - 4]}..."


# Cells -> lines


def _lines(baseline: Baseline, cell: Cell, rows: Sequence[Row]) -> list[Line]:
    for row in rows:
        if row.status != "ok":
            return [Line(cell.name, "failed", reason=one_line(row.reason))]
    if len(rows) != len(cell.reps):
        return [Line(cell.name, "missing", reason=f"{len(rows)} of {len(cell.reps)} repetitions are there")]
    return [_line(baseline, cell, column, rows) for column in baseline.rules if column in cell.measures]


def _line(baseline: Baseline, cell: Cell, column: str, rows: Sequence[Row]) -> Line:
    then = cell.measures[column]
    tolerance = baseline.rules[column].tolerance(then.spread)
    values = [getattr(row, column) for row in rows]
    now = None if None in values else mean_of(values)
    if now is None:
        reason = next((row.mi_reason for row in rows if row.mi_reason), None) or "not measured"
        return Line(cell.name, "missing", column, then.mean, None, tolerance, reason)
    verdict: Verdict = "moved" if abs(now - then.mean) > tolerance else "within"
    return Line(cell.name, verdict, column, then.mean, now, tolerance)


# What is said and is no error


def _notes(baseline: Baseline, rows: Sequence[Row], compared: Sequence[Row]) -> list[str]:
    """Say what was not compared, and which code, images and environment changed: they may."""
    keys = {row.key for row in compared}
    then = baseline.methods | baseline.defenses
    now = {getattr(row, kind): row.inputs[kind] for row in compared for kind in ("method", "defense")}
    revisions = {name: (then[name].get("revision"), own.get("revision")) for name, own in sorted(now.items())}
    known = {digest for cell in baseline.cells for digest in cell.published}
    places = {repr(row.environment): row.environment for row in compared}.values()
    said: dict[str, Iterable[str]] = {
        "not compared, the baseline has none such": sorted(
            {f"{row.method} x {row.defense}" for row in rows if row.key not in keys}
        ),
        **{
            f"{column} not compared, the baseline has none": [
                cell.name for cell in baseline.cells if column not in cell.measures
            ]
            for column in baseline.rules
        },
        "revised since the baseline": [
            f"{name} {old} -> {new}" for name, (old, new) in revisions.items() if old != new
        ],
        "code changed since the baseline": sorted(
            name for name, digest in codes(compared).items() if digest != baseline.code.get(name)
        ),
        "published images differ in some bits from the baseline's": sorted(
            {row.method for row in compared if row.published and row.published not in known}
        ),
        "environment": dict.fromkeys(
            fault for place in places for fault in differences(place, baseline.environment)
        ),
    }
    return [f"{what}: {', '.join(names)}" for what, names in said.items() if names]
