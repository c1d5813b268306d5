"""Points -> what follows from them, in words and two small tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import hypot, sqrt
from typing import Literal

import pandas as pd

from bench.aggregate import reach_of
from bench.captions import circumstances, sentences, span
from bench.formats import markdown
from bench.rows import Row
from bench.select import CLEAN, last_line
from bench.studies.strength_points import Point, place_of

Column = Literal["accuracy", "mi"]
UNITS = {"accuracy": (100.0, "points", ".1f"), "mi": (1.0, "nats", ".3f")}
APART = "\nMI without a gap, since features of other dimensions than clean's put it on another scale: {}."
NAMES = {"accuracy": "accuracy", "mi": "MI"}
NOISE = 0.03  # of an accuracy: what two victims of one poison may differ by, where one repetition shows none
SPREAD = "Means over {} repetitions, ± a standard deviation"
PROTOCOL = (
    "Each poison was crafted on all images; at a share the others are published clean. The clean subset's "
    "victim learned from these others alone, for as many epochs. 0 % is clean's victim: it is shown the same."
)
UNKNOWN = (
    f"One repetition: the spread is unknown, and differences below {100 * NOISE:g} points are called unclear"
    ", and of MI those within its interval over images (95 %), which knows nothing of other victims"
)


def text(points: Sequence[Point], rows: Sequence[Row]) -> str:
    """Markdown; only what the points say."""
    reps = {p.reps for p in points if p.reps}
    if not reps:
        return "\n\n".join(filter(None, ["Nothing was measured.", _lost(rows)])) + "\n"
    parted = {p.eps_255 for p in points if 0 < p.share < 1}
    parts = [
        "# What smaller budgets and shares leave of the protection",
        sentences(_common(rows), UNKNOWN if max(reps) == 1 else SPREAD.format(span(reps))),
        _clean(points),
        *_budgets([p for p in points if p.share == 1 and p.eps_255]),
        *_shares([p for p in points if p.eps_255 in parted and not p.control]),
        _lost(rows),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _common(rows: Sequence[Row]) -> str:
    """What all settings share: data, nets, recipe, seed."""
    whole = [row for row in rows if row.inputs["share"] == 1] or rows
    plain = next((row for row in whole if row.method == CLEAN), whole[0])
    return circumstances([plain]).rpartition(", setting ")[0]


def _clean(points: Sequence[Point]) -> str:
    for p in points:
        if p.method == CLEAN and p.accuracy is not None:
            mi = "" if p.mi is None else f", MI {p.mi:.3f} nats"
            return f"Victims of clean images: accuracy {100 * p.accuracy:.1f} %{mi}."
    return "There is no clean victim to read the others against."


# Budgets


def _budgets(points: Sequence[Point]) -> list[str]:
    if not points:
        return []
    levels = sorted({p.eps_255 for p in points})
    found = {(p.method, p.eps_255): p for p in points}
    methods = list(dict.fromkeys(p.method for p in points))
    head = ["accuracy, % (MI gap, nats)", *(f"{level:g}/255" for level in levels)]
    lines = [[m, *(_both(found.get((m, level))) for level in levels)] for m in methods]
    own = {m: [p for p in points if p.method == m] for m in methods}
    names = {m: f"{m} (control)" if some[0].control else m for m, some in own.items()}
    said = [f"- {names[m]}: {course(own[m], 'accuracy')}; {course(own[m], 'mi')}." for m in methods]
    said += (
        [APART.format(", ".join(apart))] if (apart := [_place(p) for p in points if not p.comparable]) else []
    )
    table = markdown(pd.DataFrame(lines, columns=head), "lr")
    return ["## Budget, all images poisoned", table, "\n".join(said)]


def _place(point: Point) -> str:
    return f"{point.method} at {point.eps_255:g}/255"


def _both(point: Point | None) -> str:
    gap = "" if point is None or point.mi_gap is None else f" ({point.mi_gap:z.3f})"
    return _percent(point) + gap


def _percent(point: Point | None) -> str:
    if point is None or point.accuracy is None:
        return "-"
    spread = "" if point.accuracy_std is None else f" ±{100 * point.accuracy_std:.1f}"
    return f"{100 * point.accuracy:.1f}{spread}"


def course(points: Iterable[Point], column: Column) -> str:
    """Whether it falls with the budget, where it does not, and which steps are within the noise."""
    known = [p for p in points if getattr(p, column) is not None and (column != "mi" or p.comparable)]
    ends = [f"{p.eps_255:g}/255" for p in known]
    if len(known) < 2:
        return f"{NAMES[column]} was measured at {ends[0] if ends else 'no budget'} alone"
    steps = [(a, b, getattr(b, column) - getattr(a, column)) for a, b in pairwise(known)]
    rises = [_rise(*step, column) for step in steps if step[2] >= 0]
    unclear = [_step(a, b) for a, b, change in steps if change < 0 and _within(a, b, change, column)]
    said = (
        f"does not fall at every step: not {', nor '.join(rises)}"
        if rises
        else f"falls at every step from {ends[0]} to {ends[-1]}"
    )
    return f"{NAMES[column]} {said}" + (f" (unclear falls: {', '.join(unclear)})" if unclear else "")


def _rise(a: Point, b: Point, change: float, column: Column) -> str:
    factor, unit, form = UNITS[column]
    unclear = ", unclear" if _within(a, b, change, column) else ""
    return f"{_step(a, b)} ({factor * change:+{form}} {unit}{unclear})"


def _step(a: Point, b: Point) -> str:
    return f"from {a.eps_255:g} to {b.eps_255:g}/255"


def _within(a: Point, b: Point, change: float, column: Column) -> bool:
    """Whether the noise of both ends may make up the change."""
    stds = [std for p in (a, b) if (std := getattr(p, f"{column}_std")) is not None]
    if len(stds) == 2:
        return abs(change) <= hypot(*stds)
    return abs(change) <= (NOISE if column == "accuracy" else hypot(_reach(a), _reach(b)))


def _reach(point: Point) -> float:
    """Half of the interval of one repetition's MI; 0 where none is known."""
    return 0.0 if point.mi_low is None or point.mi_high is None else (point.mi_high - point.mi_low) / 2


# Shares


def _shares(points: Sequence[Point]) -> list[str]:
    if not points:
        return []
    shares = sorted({p.share for p in points})
    own = {(p.method, p.eps_255): [q for q in points if q.method == p.method] for p in points}
    baseline = {p.share: p.baseline for p in points if p.baseline is not None}
    head = ["accuracy, %", *(f"{100 * share:g} % poisoned" for share in shares)]
    lines = []
    for (method, eps), some in own.items():
        found = {p.share: p for p in some if p.eps_255 == eps}
        lines.append([f"{method} at {eps:g}/255", *(_percent(found.get(share)) for share in shares)])
    least = (f"{100 * baseline[s]:.1f}" if s in baseline else "-" for s in shares)
    lines.append(["the clean subset only", *least])
    said = [f"- {m}: {verdict([p for p in some if p.eps_255 == eps])}." for (m, eps), some in own.items()]
    table = markdown(pd.DataFrame(lines, columns=head), "lr")
    return ["## Share of poisoned images", PROTOCOL, table, "\n".join(said)]


def verdict(points: Iterable[Point]) -> str:
    """At which shares the poisoned images are worse than leaving them out."""
    known = [p for p in points if 0 < p.share < 1 and p.gain is not None]
    if not known:
        return "no share has both a victim and its baseline"
    clear = [p for p in known if abs(_gain(p)) > _noise(p)]
    kinds = {
        "worse": [p for p in clear if _gain(p) < 0],
        "better": [p for p in clear if _gain(p) > 0],
        "not clearly either": [p for p in known if p not in clear],
    }
    said = [f"{what} {', '.join(map(_at, some))}" for what, some in kinds.items() if some]
    return f"learning from the poisoned images too, rather than leaving them out, is {'; '.join(said)}"


def _noise(point: Point) -> float:
    """What a gain must pass to count: the reach of its t interval, or, of one repetition, a usual spread."""
    return NOISE if point.gain_std is None else reach_of(point.gain_std / sqrt(point.gains), point.gains - 1)


def _gain(point: Point) -> float:
    return point.gain or 0.0


def _at(point: Point) -> str:
    spread = "" if point.gain_std is None else f" ±{100 * point.gain_std:.1f}"
    return f"at {100 * point.share:g} % ({100 * _gain(point):+.1f}{spread} points)"


# Both


def _lost(rows: Iterable[Row]) -> str:
    """Cells without a number."""
    lines = [f"    {_name(row)}: {row.status}, {last_line(row.reason)}" for row in rows if row.status != "ok"]
    return "\n".join(["Not measured:", "", *lines]) if lines else ""


def _name(row: Row) -> str:
    method, eps, share = place_of(row)
    left = ", poisoned ones left out" if row.inputs["drop_poisoned"] else ""
    return f"{method} at {eps:g}/255, share {share:g}{left}"
