"""Points -> what follows from them: two small tables, and the values of text.md.j2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import nats, percent, render
from bench.report.tables import DOUBTED
from bench.results.aggregate import Change, change
from bench.results.describe import circumstances, no_order
from bench.results.rows import Row
from bench.results.select import CLEAN, one_line, parted
from bench.studies.strength.points import StrengthPoint, place_of

UNITS = {"accuracy": (100.0, "points", ".1f"), "mi": (1.0, "nats", ".3f")}


def text(points: Sequence[StrengthPoint], rows: Sequence[Row]) -> str:
    """Markdown; only what the points say."""
    parts_of = {p.eps_255 for p in points if 0 < p.share < 1}
    budgets = parted((p for p in points if p.share == 1 and p.eps_255), lambda p: p.method)
    shares = parted((p for p in points if p.eps_255 in parts_of and not p.control), _place)
    by_budget = {method: {p.eps_255: _both(p) for p in own} for method, own in budgets.items()}
    by_share = {place: {100 * p.share: _percent(p) for p in own} for place, own in shares.items()}
    parts = {100 * p.share: p.baseline for own in shares.values() for p in own}
    by_share["the clean subset only"] = {share: percent(own.mean) for share, own in parts.items() if own}
    whole = [row for row in rows if row.inputs["share"] == 1] or rows
    plain = [row for row in whole if row.method == CLEAN] or whole
    return render(
        __name__,
        measured=any(p.accuracy for p in points),
        no_order=no_order((p.method, p.poisons) for p in points if p.share and p.method != CLEAN),
        doubted=DOUBTED if any(p.doubt for p in points) else "",
        # without the setting's id: each budget and share is a setting of its own
        circumstances=circumstances(plain[:1]) if rows else "",
        clean=next((p for p in points if p.method == CLEAN and p.accuracy is not None), None),
        budgets=[(own[0], _course(own, "accuracy"), _course(own, "mi")) for own in budgets.values()],
        budget_table=_table(by_budget, "accuracy, % (MI gap, nats)", "/255"),
        shares=[(own[0].method, _gains(own)) for own in shares.values()],
        share_table=_table(by_share, "accuracy, %", " % poisoned"),
        lost=[_lost(row) for row in rows if row.status != "ok"],
    )


def _place(point: StrengthPoint) -> str:
    return f"{point.method} at {point.eps_255:g}/255"


def _lost(row: Row) -> str:
    method, eps, share = place_of(row)
    left = ", poisoned ones left out" if row.inputs["drop_poisoned"] else ""
    return f"{method} at {eps:g}/255, share {share:g}{left}: {row.status}, {one_line(row.reason)}"


def _percent(point: StrengthPoint) -> str:
    own = point.accuracy
    if own is None:
        return "-"
    spread = "" if own.low is None or own.high is None else f" ±{percent((own.high - own.low) / 2)}"
    return f"{percent(own.mean)}{DOUBTED if point.doubt else ''}{spread}"


def _both(p: StrengthPoint) -> str:
    return _percent(p) + ("" if p.mi_gap is None else f" ({nats(p.mi_gap.mean)})")


def _table(down: dict[str, dict[float, str]], first: str, unit: str) -> str:
    """Budgets or shares across."""
    table = pd.DataFrame.from_dict(down, orient="index").sort_index(axis=1).fillna("-")
    return markdown(
        table.rename(columns=lambda level: f"{level:g}{unit}").rename_axis(first).reset_index(), "lr"
    )


def _course(points: Sequence[StrengthPoint], column: Literal["accuracy", "mi"]) -> list[str]:
    """At which steps of the budget it falls or rises, by more than its interval over poisons."""
    known = [p for p in points if not p.doubt]
    steps = [
        (f"from {a.eps_255:g} to {b.eps_255:g}/255", change(getattr(b, column), getattr(a, column)))
        for a, b in pairwise(known)
    ]
    return _decided(steps, ("falls", "rises"), column)


def _gains(points: Sequence[StrengthPoint]) -> list[str]:
    """At which shares the poisoned images are worse than leaving them out, by more than the interval."""
    parts = [(f"at {100 * p.share:g} %", p.gain) for p in points if 0 < p.share < 1 and not p.doubt]
    return _decided(parts, ("worse", "better"), "accuracy")


def _decided(
    changes: Iterable[tuple[str, Change | None]], words: tuple[str, str], column: Literal["accuracy", "mi"]
) -> list[str]:
    """Sort changes into those below 0, above it, and within their interval; who has none is left out."""
    factor, unit, form = UNITS[column]
    kinds: dict[str, list[str]] = {word: [] for word in (*words, "not clearly either")}
    for where, found in changes:
        if found is not None and (reach := found[1]) is not None:
            kind = "not clearly either" if abs(found[0]) <= reach else words[found[0] > 0]
            kinds[kind].append(f"{where} ({factor * found[0]:+{form}} ±{factor * reach:{form}} {unit})")
    return [f"{kind} {', '.join(some)}" for kind, some in kinds.items() if some]
