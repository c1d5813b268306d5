"""Cells and shares -> what follows from them, in words and small tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pandas as pd

from bench.aggregate import Means
from bench.captions import circumstances, mixture, repetitions, sentences, span
from bench.formats import markdown
from bench.rows import Row
from bench.select import CLEAN, UNDEFENDED, last_line, one_a_family
from bench.studies.reference_patterns import EFFECT, SMALL, Judged, together
from bench.studies.reference_shares import PERCENT, Line, Verdict

MARK = "°"  # one repetition
APART = (
    "No MI gap ({}): the victims' features have other dimensions than clean's. Sliced MI is about as one "
    "over their number, so such a value is not on the scale of the others."
)
PROTOCOL = (
    "Accuracies are final ones on the whole test set: means {}, with a 95 % t interval of the mean. A cell "
    "with one repetition, marked {}, borrows the pooled spread of the cells that are repeated ({})."
)
ONCE = " Each method was crafted once: no interval knows what another crafting would change."
DEFINITION = (
    "All by one definition: the share that a defense gives back of what it leaves clean is (accuracy of the "
    "method under the defense - accuracy of the method undefended) / (accuracy of clean under the defense - "
    "accuracy of the method undefended). It is 0 where the defense changes nothing, and 1 where the victim "
    "does as well as one of clean images under the same defense. Its interval (95 %) is by error "
    "propagation from the three cells, taken as independent, with Welch and Satterthwaite's degrees of "
    "freedom; there is no correction for looking at several patterns. A defense *restores* a method where "
    "the interval lies above 1/2, and does not where it lies below; otherwise that is undecided. Where the "
    "divisor is not clearly above 0 the share is not defined. MI plays no part in it."
)
WORST = (
    "The highest accuracy over the defenses that all methods have cells of, variants and controls aside "
    "({}): what a victim gets who chooses among these. The interval is that of the chosen cell, and knows "
    "nothing of the choice."
)


def text(means: Means | None, lines: Sequence[Line], found: Sequence[Judged], rows: Sequence[Row]) -> str:
    """Markdown; only what the numbers say."""
    undefended = [line for line in lines if line.defense == UNDEFENDED and line.n]
    parts = ["Nothing was measured.", _lost(lines, rows)]
    if means is not None:
        parts = [
            _protocol(means, lines),
            *_undefended(undefended),
            *_patterns(found),
            *_worst(lines),
            _single(lines),
            _lost(lines, rows),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _protocol(means: Means, lines: Iterable[Line]) -> str:
    """What all numbers share, and what their intervals know."""
    about = sentences(circumstances(means.rows), mixture(means.rows), *means.notes)
    over = repetitions(means.rows) or "of one repetition each"
    spread = means.spread("test_acc")
    stds = [PERCENT * line.std for line in lines if line.std is not None]
    pooled = "none is"
    if spread is not None and stds:
        pooled = f"{spread[0]:.1f} points, {spread[1]} degrees of freedom"
        pooled += f"; their own are from {min(stds):.1f} to {max(stds):.1f} points"
    once = "" if any(row.poison_rep for row in means.rows) else ONCE
    return f"{about}\n\n{PROTOCOL.format(over, MARK, pooled)}{once}"


def _undefended(lines: Iterable[Line]) -> list[str]:
    ordered = sorted(lines, key=lambda line: line.accuracy or 0.0)
    if not ordered:
        return []
    table = [
        {
            "method": f"{line.method} (control)" if line.control else line.method,
            "accuracy, %": _percent(line),
            "95 %": _interval(line.low, line.high),
            "repetitions": str(line.n),
            "MI, nats": line.mi,
            "MI gap to clean": line.mi_gap,
        }
        for line in ordered
    ]
    close = [f"{a.method} and {b.method}" for a, b in pairwise(ordered) if _overlap(a, b)]
    tied = f"Neighbours whose intervals overlap have no order here: {'; '.join(close)}." if close else ""
    names = [line.method for line in ordered if not line.comparable]
    apart = APART.format(", ".join(names)) if names else ""
    head = "## Undefended, from the most protective"
    return [head, markdown(pd.DataFrame(table, dtype=object)), tied, apart]


def _overlap(a: Line, b: Line) -> bool:
    """Also where an interval is not known."""
    return a.high is None or b.low is None or a.high >= b.low


def _percent(line: Line) -> str:
    if line.accuracy is None:
        return "-"
    return f"{PERCENT * line.accuracy:.1f}{MARK if line.n == 1 else ''}"


def _interval(low: float | None, high: float | None, factor: int = PERCENT, form: str = ".1f") -> str:
    if low is None or high is None:
        return "-"
    return f"[{factor * low:z{form}}, {factor * high:z{form}}]"


# Patterns


def _patterns(found: Sequence[Judged]) -> list[str]:
    table = [
        {
            "pattern": str(own.pattern),
            "share given back": "-" if own.share is None else f"{own.share:z.2f}",
            "95 %": _interval(own.low, own.high, 1, ".2f"),
            "verdict": str(own.verdict),
            "cells with one repetition": own.single or "none",
        }
        for own in found
    ]
    counts = Counter(own.verdict for own in found)
    said = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in Verdict if counts[verdict])
    effect = f"{EFFECT} ({' and '.join(map(str, SMALL))}): {together(SMALL, found)}."
    head = "## Patterns: what a defense gives back"
    return [head, DEFINITION, markdown(pd.DataFrame(table)), f"Of {len(found)} patterns, {said}. {effect}"]


# Worst case


def _worst(lines: Sequence[Line]) -> list[str]:
    """Controls and variants bound no set of defenses; a variant without all of it is left out."""
    own: dict[str, dict[str, Line]] = {}
    for line in lines:
        if line.n and not line.control:
            own.setdefault(line.method, {})[line.defense] = line
    bases = [own[method] for method in one_a_family(own)]
    shared = [d for d in dict.fromkeys(line.defense for line in lines) if all(d in some for some in bases)]
    if not own or len(shared) < 2:
        return []
    whole = [[some[d] for d in shared] for some in own.values() if all(d in some for d in shared)]
    worst = [max(cells, key=lambda line: line.accuracy or 0.0) for cells in whole]
    lacking = [method for method, some in own.items() if not all(d in some for d in shared)]
    said = f"Without some of these cells: {', '.join(lacking)}." if lacking else ""
    clean = {line.defense: line for line in lines if line.method == CLEAN and line.n}
    table = [
        {
            "method": line.method,
            "highest accuracy, %": _percent(line),
            "95 %": _interval(line.low, line.high),
            "under": line.defense,
            "clean there, %": _percent(clean[line.defense]) if line.defense in clean else "-",
        }
        for line in sorted(worst, key=lambda line: line.accuracy or 0.0)
    ]
    return ["## Worst case", WORST.format(", ".join(shared)), markdown(pd.DataFrame(table)), said]


# All cells


def _single(lines: Sequence[Line]) -> str:
    """Which cells have one repetition: defenses that the same methods have it under stand together."""
    methods: dict[str, list[str]] = {}
    for line in lines:
        if line.n == 1:
            methods.setdefault(line.defense, []).append(line.method)
    defenses: dict[str, list[str]] = {}
    for defense, some in methods.items():
        defenses.setdefault(", ".join(some), []).append(defense)
    others = [line.n for line in lines if line.n > 1]
    rest = f"; all others have {span(others)}" if others else ""
    said = "\n".join(f"- {', '.join(ds)}: {some}" for some, ds in defenses.items())
    return f"## Repetitions\n\nOne repetition{rest}:\n\n{said}" if defenses else ""


def _lost(lines: Iterable[Line], rows: Iterable[Row]) -> str:
    """Cells without a number, and why."""
    failed = [row for row in rows if row.status != "ok"]
    why = [f"repetition {row.rep}: {row.status}, {last_line(row.reason)}" for row in failed]
    said = [f"- {row.method} x {row.defense}, {own}" for row, own in zip(failed, why, strict=True)]
    there = {(row.method, row.defense) for row in rows}
    absent = [line for line in lines if (line.method, line.defense) not in there]
    said += [f"- {line.method} x {line.defense}: {Verdict.NOT_RUN}" for line in absent]
    return "\n".join(["## Without a number", "", *said]) if said else ""
