"""Rows -> points: one method at one budget and one share, against clean and against the share's baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.results.aggregate import Change, Mean, change, gaps_of, mean_of, summary
from bench.results.replicates import by_unit, doubt_of, units_of
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, in_order, measured

Place = tuple[str, float, float]  # method, eps in 255ths, share


@dataclass(frozen=True)
class StrengthPoint:
    """One method at one budget and one share: means over its poisons. Shares in [0,1], nats.

    Clean, which is at every share of 0 as well, is one poison: its means are over victims.
    """

    method: str
    control: bool
    eps_255: float
    share: float
    reps: int  # behind the accuracy
    poisons: int  # that they are of
    accuracy: Mean | None
    accuracy_gap: float | None  # clean's minus this, victims of one seed beside each other
    mi: Mean | None
    mi_gap: Mean | None
    baseline: Mean | None  # accuracy of the victims that learned from the clean rest alone
    doubt: str | None  # why the accuracy is no verdict

    @property
    def gain(self) -> Change | None:
        """Accuracy minus the baseline's: of having the poisoned images."""
        return change(self.accuracy, self.baseline)

    @property
    def columns(self) -> dict[str, object]:
        """Return what a table has of it."""
        found = {name: value for name, value in vars(self).items() if name != "doubt"}
        for name in ("accuracy", "mi", "mi_gap", "baseline"):
            mean = found.pop(name)
            found |= {f"{name}{end}": getattr(mean, of, None) for end, of in ENDS.items()}
        gain, reach = self.gain or (None, None)
        return found | {"gain": gain, "gain_reach": reach, "doubt": self.doubt}


ENDS = {"": "mean", "_low": "low", "_high": "high"}  # of a column's name, and the fields of a mean


def points_of(rows: Iterable[Row]) -> list[StrengthPoint]:
    """By method, budget and share; a share of 0 is clean's, whoever's the poison that is left out."""
    ours = [row for row in rows if row.defense == UNDEFENDED]
    clean = [row for row in ours if row.method == CLEAN and not row.inputs["drop_poisoned"]]
    places: dict[Place, list[Row]] = {}
    baselines = {0.0: clean}  # of a share: the victims that left its images out
    for row in ours:
        left_out, share = row.inputs["drop_poisoned"], float(row.inputs["share"])
        known = baselines.setdefault(share, []) if left_out else places.setdefault(place_of(row), [])
        known.append(row)
    for method, eps, share in list(places):
        if share not in (0, 1):
            places.setdefault((method, eps, 0.0), clean)
    controls = {row.method for row in ours if row.control}
    order = in_order((method for method, _, _ in places), None, CLEAN)
    return [
        _point(place, place[0] in controls, places[place], clean, baselines.get(place[2], []))
        for place in sorted(places, key=lambda place: (order.index(place[0]), *place[1:]))
    ]


def place_of(row: Row) -> Place:
    """Clean has no budget and is the same at every share."""
    if row.method == CLEAN:
        return row.method, 0.0, 1.0
    eps = row.inputs["method"]["eps"]
    return row.method, round(255 * eps, 3), float(row.inputs["share"])


def _point(
    place: Place, control: bool, rows: Sequence[Row], clean: Sequence[Row], baseline: Sequence[Row]
) -> StrengthPoint:
    known, (method, eps, share) = measured(rows, "test_acc"), place
    return StrengthPoint(
        method=method,
        control=control,
        eps_255=eps,
        share=share,
        reps=len(known),
        poisons=len({row.poison_rep for row in known}),
        accuracy=summary(units_of(rows, "test_acc")),
        accuracy_gap=mean_of(by_unit(gaps_of(rows, clean, "test_acc"))),
        mi=summary(units_of(rows, "mi")),
        mi_gap=summary(units_of(rows, "mi_gap")),
        baseline=summary(units_of(baseline, "test_acc")),
        doubt=doubt_of(rows, clean),
    )
