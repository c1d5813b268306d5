"""Points -> what follows from them: two small tables, and the values of text.md.j2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import hypot, sqrt
from typing import Literal

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import nats, percent, render
from bench.results.aggregate import reach_of
from bench.results.describe import circumstances, span
from bench.results.rows import Row
from bench.results.select import CLEAN, last_line
from bench.studies.strength.points import Point, place_of

Groups = dict[str, list[Point]]  # by method, or by method and budget
UNITS = {"accuracy": (100.0, "points", ".1f"), "mi": (1.0, "nats", ".3f")}
NOISE = 0.03  # of an accuracy: what two victims of one poison may differ by, where one repetition shows none


def text(points: Sequence[Point], rows: Sequence[Row]) -> str:
    """Markdown; only what the points say."""
    reps = {p.reps for p in points if p.reps}
    parted = {p.eps_255 for p in points if 0 < p.share < 1}
    budgets = _grouped((p.method, p) for p in points if p.share == 1 and p.eps_255)
    shares = _grouped((_place(p), p) for p in points if p.eps_255 in parted and not p.control)
    by_budget = {method: {p.eps_255: _both(p) for p in own} for method, own in budgets.items()}
    by_share = {place: {100 * p.share: _percent(p) for p in own} for place, own in shares.items()}
    parts = {100 * p.share: p.baseline for own in shares.values() for p in own}
    by_share["the clean subset only"] = {
        at: percent(least) for at, least in parts.items() if least is not None
    }
    whole = [row for row in rows if row.inputs["share"] == 1] or rows
    plain = [row for row in whole if row.method == CLEAN] or whole
    return render(
        __name__,
        reps=span(reps) if reps else "",
        once=reps == {1},
        noise=f"{100 * NOISE:g}",
        # without the setting's id: each budget and share is a setting of its own
        circumstances=circumstances(plain[:1]) if rows else "",
        clean=next((p for p in points if p.method == CLEAN and p.accuracy is not None), None),
        budgets=[(own[0], _course(own, "accuracy"), _course(own, "mi")) for own in budgets.values()],
        budget_table=_table(by_budget, "accuracy, % (MI gap, nats)", "/255"),
        apart=[_place(p) for own in budgets.values() for p in own if not p.comparable],
        shares=[(own[0].method, [*_gains(own)]) for own in shares.values()],
        share_table=_table(by_share, "accuracy, %", " % poisoned"),
        lost=[_lost(row) for row in rows if row.status != "ok"],
    )


def _grouped(named: Iterable[tuple[str, Point]]) -> Groups:
    found: Groups = {}
    for name, point in named:
        found.setdefault(name, []).append(point)
    return found


def _place(point: Point) -> str:
    return f"{point.method} at {point.eps_255:g}/255"


def _lost(row: Row) -> str:
    method, eps, share = place_of(row)
    left = ", poisoned ones left out" if row.inputs["drop_poisoned"] else ""
    return f"{method} at {eps:g}/255, share {share:g}{left}: {row.status}, {last_line(row.reason)}"


def _percent(point: Point) -> str:
    spread = "" if point.accuracy_std is None else f" ±{percent(point.accuracy_std)}"
    return "-" if point.accuracy is None else percent(point.accuracy) + spread


def _both(p: Point) -> str:
    return _percent(p) + ("" if p.mi_gap is None else f" ({nats(p.mi_gap)})")


def _table(down: dict[str, dict[float, str]], first: str, unit: str) -> str:
    """Budgets or shares across."""
    table = pd.DataFrame.from_dict(down, orient="index").sort_index(axis=1).fillna("-")
    return markdown(
        table.rename(columns=lambda level: f"{level:g}{unit}").rename_axis(first).reset_index(), "lr"
    )


def _course(points: Sequence[Point], column: Literal["accuracy", "mi"]) -> dict[str, list[str]]:
    """Where it does not fall with the budget, and which falls are within the noise."""
    known = [p for p in points if getattr(p, column) is not None and (column != "mi" or p.comparable)]
    factor, unit, form = UNITS[column]
    rises, unclear = [], []
    for a, b in pairwise(known):
        change = getattr(b, column) - getattr(a, column)
        step, within = f"from {a.eps_255:g} to {b.eps_255:g}/255", _within(a, b, change, column)
        if change >= 0:
            rises.append(f"{step} ({factor * change:+{form}} {unit}{', unclear' if within else ''})")
        elif within:
            unclear.append(step)
    return {"levels": [f"{p.eps_255:g}/255" for p in known], "rises": rises, "unclear": unclear}


def _within(a: Point, b: Point, change: float, column: str) -> bool:
    """Whether the noise of both ends may make up the change."""
    stds = [std for p in (a, b) if (std := getattr(p, f"{column}_std")) is not None]
    if len(stds) == 2:
        return abs(change) <= hypot(*stds)
    return abs(change) <= (NOISE if column == "accuracy" else hypot(_reach(a), _reach(b)))


def _reach(point: Point) -> float:
    """Half of the interval of one repetition's MI; 0 where none is known."""
    return 0.0 if point.mi_low is None or point.mi_high is None else (point.mi_high - point.mi_low) / 2


def _gains(points: Sequence[Point]) -> Iterator[str]:
    """At which shares the poisoned images are worse than leaving them out, by more than the noise.

    That is the reach of the gain's t interval or, of one repetition, a usual spread.
    """
    kinds: dict[str, list[str]] = {"worse": [], "better": [], "not clearly either": []}
    for p in points:
        if 0 < p.share < 1 and p.gain is not None:
            spread, noise = "", NOISE
            if p.gain_std is not None:
                spread, noise = f" ±{percent(p.gain_std)}", reach_of(p.gain_std / sqrt(p.gains), p.gains - 1)
            kind = "not clearly either" if abs(p.gain) <= noise else "worse" if p.gain < 0 else "better"
            kinds[kind].append(f"at {100 * p.share:g} % ({100 * p.gain:+.1f}{spread} points)")
    return (f"{kind} {', '.join(some)}" for kind, some in kinds.items() if some)
