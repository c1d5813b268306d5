"""Rows -> points: one method at one budget and one share, against clean and against the share's baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import hypot

from bench.results.aggregate import gaps, mean_of, on_scale, std_of, values_of
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, in_order, measured

Place = tuple[str, float, float]  # method, eps in 255ths, share


@dataclass(frozen=True)
class StrengthPoint:
    """Means over repetitions, with the standard deviation of a repetition. Shares in [0,1], nats.

    Differences are taken within a repetition, and only over those that both sides have. One repetition
    has no standard deviation; its MI has the interval over images, which knows nothing of other victims.
    """

    method: str
    control: bool
    eps_255: float
    share: float
    reps: int  # behind the accuracy
    accuracy: float | None
    accuracy_std: float | None
    accuracy_gap: float | None  # clean's minus this
    mi: float | None
    mi_std: float | None
    mi_low: float | None  # of one repetition, as the row has it; None: several, or not stated
    mi_high: float | None
    mi_gap: float | None
    mi_gap_std: float | None
    mi_gap_reach: float | None  # half of one repetition's interval, its errors and clean's independent
    comparable: bool  # whether MI is on the scale of clean's
    baseline: float | None  # accuracy of the victim that learned from the clean rest alone
    gain: float | None  # accuracy minus the baseline's: of having the poisoned images
    gain_std: float | None
    gains: int  # repetitions behind the gain


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
    method, eps, share = place
    accuracy, mi = (values_of(rows, column) for column in ("test_acc", "mi"))
    gain = [-gap for gap in gaps(rows, baseline, "test_acc")]
    mi_gaps = gaps(rows, clean, "mi")
    once, there, apart = _once(rows), _once(clean), None
    if mi_gaps and once and there and list(rows) != list(clean):  # clean is itself, exactly
        apart = hypot(once[1] - once[0], there[1] - there[0]) / 2
    return StrengthPoint(
        method=method,
        control=control,
        eps_255=eps,
        share=share,
        reps=len(accuracy),
        accuracy=mean_of(accuracy),
        accuracy_std=std_of(accuracy),
        accuracy_gap=mean_of(gaps(rows, clean, "test_acc")),
        mi=mean_of(mi),
        mi_std=std_of(mi),
        mi_low=once and once[0],
        mi_high=once and once[1],
        mi_gap=mean_of(mi_gaps),
        mi_gap_std=std_of(mi_gaps),
        mi_gap_reach=apart,
        comparable=on_scale(rows, clean),
        baseline=mean_of(values_of(baseline, "test_acc")),
        gain=mean_of(gain),
        gain_std=std_of(gain),
        gains=len(gain),
    )


def _once(rows: Iterable[Row]) -> tuple[float, float] | None:
    """Return the interval of MI over images, where there is one repetition."""
    known = measured(rows, "mi")
    if len(known) != 1 or known[0].mi_low is None or known[0].mi_high is None:
        return None
    return known[0].mi_low, known[0].mi_high
