"""Cells and shares -> small tables, and the values of text.md.j2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import render
from bench.report.tables import DOUBTED
from bench.results.aggregate import Mean, Means
from bench.results.describe import circumstances, mixture, no_gap, no_order, repetitions, sentences, span
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, parted
from bench.studies.reference.patterns import EFFECT, SMALL, JudgedPattern, together
from bench.studies.reference.restored import ROOM, CellNumbers, PatternVerdict

MARK = "°"  # no interval


def text(
    means: Means | None, lines: Sequence[CellNumbers], found: Sequence[JudgedPattern], rows: Sequence[Row]
) -> str:
    """Markdown; only what the numbers say."""
    there, failed = {(row.method, row.defense) for row in rows}, [row for row in rows if row.status != "ok"]
    absent = [line for line in lines if (line.method, line.defense) not in there]
    values: dict[str, Any] = {"about": "", "failed": failed, "absent": absent}
    if means is not None:
        values |= {
            "about": sentences(circumstances(means.rows), mixture(means.rows), *means.notes),
            "over": repetitions(means.rows) or "of one repetition each",
            "mark": MARK,
            "no_gap": sentences(*no_gap(means.rows)),
            "doubted": DOUBTED if any(line.doubt for line in lines) else "",
            **_undefended([line for line in lines if line.defense == UNDEFENDED and line.reps]),
            **_patterns(found),
            **_single(lines),
        }
    return render(__name__, **values)


def _percent(cell: CellNumbers) -> str:
    if cell.accuracy is None:
        return "-"
    return f"{cell.accuracy.mean:z.1f}{MARK if cell.accuracy.n == 1 else ''}{DOUBTED if cell.doubt else ''}"


def _interval(own: Mean | None) -> str:
    return "-" if own is None or own.low is None or own.high is None else f"[{own.low:z.1f}, {own.high:z.1f}]"


def _undefended(lines: Sequence[CellNumbers]) -> dict[str, Any]:
    """Tabulate from the most protective, if methods have an order; who did not learn comes last."""
    few = no_order((line.method, line.poisons) for line in lines if line.method != CLEAN)
    if not few:
        lines = sorted(lines, key=lambda own: (bool(own.doubt), own.accuracy.mean if own.accuracy else 0.0))
    table = [
        {
            "method": f"{line.method} (control)" if line.control else line.method,
            "accuracy, %": _percent(line),
            "95 %": _interval(line.accuracy),
            "poisons": str(line.poisons),
            "repetitions": str(line.reps),
            "MI, nats": line.mi,
            "MI gap": line.mi_gap,
        }
        for line in lines
    ]
    ends = [(line.method, line.accuracy.low, line.accuracy.high) for line in lines if line.accuracy]
    pairs = [
        f"{a} and {b}"
        for (a, _, high), (b, low, _) in pairwise(ends)
        if not few and high is not None and low is not None and high >= low
    ]
    return {
        "no_order": few,
        "undefended": markdown(pd.DataFrame(table, dtype=object)) if table else "",
        "tied": pairs,
    }


def _patterns(found: Sequence[JudgedPattern]) -> dict[str, Any]:
    table = [
        {
            "pattern": str(own.pattern),
            "share given back": "-" if own.share is None else f"{own.share:z.2f}",
            "95 %": "-" if own.low is None else f"[{own.low:z.2f}, {own.high:z.2f}]",
            "verdict": str(own.verdict),
            "cells without an interval": own.single or "none",
        }
        for own in found
    ]
    verdicts = Counter(own.verdict for own in found)
    return {
        "patterns": markdown(pd.DataFrame(table)),
        "verdicts": [own.verdict for own in found],
        "counts": [f"{each}: {verdicts[each]}" for each in PatternVerdict if verdicts[each]],
        "effect": EFFECT,
        "small": SMALL,
        "room": ROOM,
        "together": together(SMALL, found),
    }


def _single(lines: Sequence[CellNumbers]) -> dict[str, Any]:
    """Which cells have one repetition: defenses that the same methods have it under stand together."""
    once = [line for line in lines if line.reps == 1]
    under = parted(once, lambda line: line.defense)
    methods = {defense: ", ".join(line.method for line in own) for defense, own in under.items()}
    single = parted(methods, lambda defense: methods[defense])
    others = [line.reps for line in lines if line.reps > 1]
    return {"single": single, "others": span(others) if others else ""}
