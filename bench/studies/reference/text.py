"""Cells and shares -> small tables, and the values of text.md.j2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import render
from bench.results.aggregate import Mean, Means
from bench.results.describe import circumstances, mixture, repetitions, sentences, span
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, one_a_family
from bench.studies.reference.patterns import EFFECT, SMALL, JudgedPattern, together
from bench.studies.reference.restored import CellNumbers, PatternVerdict

MARK = "°"  # one repetition


def text(
    means: Means | None, lines: Sequence[CellNumbers], found: Sequence[JudgedPattern], rows: Sequence[Row]
) -> str:
    """Markdown; only what the numbers say."""
    there, failed = {(row.method, row.defense) for row in rows}, [row for row in rows if row.status != "ok"]
    absent = [line for line in lines if (line.method, line.defense) not in there]
    values: dict[str, Any] = {"about": "", "failed": failed, "absent": absent}
    if means is not None:
        stds = [own.std for own in (line.accuracy for line in lines) if own and own.std and not own.borrowed]
        values |= {
            "about": sentences(circumstances(means.rows), mixture(means.rows), *means.notes),
            "over": repetitions(means.rows) or "of one repetition each",
            "mark": MARK,
            "spread": means.spread("test_acc") if stds else None,
            "stds": stds,
            "once": not any(row.poison_rep for row in means.rows),
            **_undefended([line for line in lines if line.defense == UNDEFENDED and line.n]),
            **_patterns(found),
            **_worst(lines),
            **_single(lines),
        }
    return render(__name__, **values)


def _percent(cell: CellNumbers) -> str:
    return f"{cell.level:z.1f}{MARK if cell.n == 1 else ''}" if cell.n else "-"


def _interval(own: Mean | None) -> str:
    return "-" if own is None or own.low is None or own.high is None else f"[{own.low:z.1f}, {own.high:z.1f}]"


def _undefended(lines: Iterable[CellNumbers]) -> dict[str, Any]:
    ordered = sorted(lines, key=lambda line: line.level)
    table = [
        {
            "method": f"{line.method} (control)" if line.control else line.method,
            "accuracy, %": _percent(line),
            "95 %": _interval(line.accuracy),
            "repetitions": str(line.n),
            "MI, nats": line.mi,
            "MI gap to clean": line.mi_gap,
        }
        for line in ordered
    ]
    ends = [(line.method, line.accuracy.low, line.accuracy.high) for line in ordered if line.accuracy]
    pairs = [
        f"{a} and {b}"
        for (a, _, high), (b, low, _) in pairwise(ends)
        if high is None or low is None or high >= low
    ]
    return {
        "undefended": markdown(pd.DataFrame(table, dtype=object)) if table else "",
        "tied": pairs,
        "apart": [line.method for line in ordered if not line.comparable],
    }


def _patterns(found: Sequence[JudgedPattern]) -> dict[str, Any]:
    table = [
        {
            "pattern": str(own.pattern),
            "share given back": "-" if own.share is None else f"{own.share:z.2f}",
            "95 %": "-" if own.low is None else f"[{own.low:z.2f}, {own.high:z.2f}]",
            "verdict": str(own.verdict),
            "cells with one repetition": own.single or "none",
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
        "together": together(SMALL, found),
    }


def _worst(lines: Sequence[CellNumbers]) -> dict[str, Any]:
    """Tabulate the worst case over the defenses that all share.

    Controls and variants bound no set of defenses; a variant without all of it is left out.
    """
    own: dict[str, dict[str, CellNumbers]] = {}
    for line in lines:
        if line.n and not line.control:
            own.setdefault(line.method, {})[line.defense] = line
    bases = [own[method] for method in one_a_family(own)]
    shared = [d for d in dict.fromkeys(line.defense for line in lines) if all(d in some for some in bases)]
    if not own or len(shared) < 2:
        return {"worst": ""}
    whole = [[some[d] for d in shared] for some in own.values() if all(d in some for d in shared)]
    worst = [max(cells, key=lambda line: line.level) for cells in whole]
    clean = {line.defense: line for line in lines if line.method == CLEAN and line.n}
    table = [
        {
            "method": line.method,
            "highest accuracy, %": _percent(line),
            "95 %": _interval(line.accuracy),
            "under": line.defense,
            "clean there, %": _percent(clean[line.defense]) if line.defense in clean else "-",
        }
        for line in sorted(worst, key=lambda line: line.level)
    ]
    lacking = [method for method, some in own.items() if not all(d in some for d in shared)]
    return {"worst": markdown(pd.DataFrame(table)), "shared": shared, "lacking": lacking}


def _single(lines: Sequence[CellNumbers]) -> dict[str, Any]:
    """Which cells have one repetition: defenses that the same methods have it under stand together."""
    once = [line for line in lines if line.n == 1]
    methods = {
        d: ", ".join(line.method for line in once if line.defense == d)
        for d in [line.defense for line in once]
    }
    single = {some: [d for d in methods if methods[d] == some] for some in methods.values()}
    others = [line.n for line in lines if line.n > 1]
    return {"single": single, "others": span(others) if others else ""}
