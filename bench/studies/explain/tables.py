"""What was found, as tables: one line a point, an explanation, a pair of them, a direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from bench.results.correlation import Correlation
from bench.results.rows import Row
from bench.studies.explain.compare import Direction, ExplanationFindings, JudgedExplanation, family
from bench.studies.explain.points import MethodPoint
from bench.studies.records import MI_LIKE
from bench.studies.study import Record

PLACE = ("estimator", "net", "method", "eps_255", "poison_rep", "rep")
KEPT = (
    *("value", "low", "high", "at_least", "bound", "null", "ceiling", "gap", "gap_low", "gap_high"),
    *("n", "d", "rank", "sigma", "seconds"),
)


def tables(
    found: ExplanationFindings, rows: Sequence[Row], records: Sequence[Record]
) -> dict[str, pd.DataFrame]:
    return {
        "points": pd.DataFrame(_point(point, found) for point in found.points),
        "explanations": pd.DataFrame(map(_judged, found.judged.values())),
        "partial": pd.DataFrame(
            {"explanation": name, "given": rival} | _numbers(own)
            for name, judged in found.judged.items()
            for rival, own in judged.given.items()
        ),
        "estimates": estimates(rows, records),
        "theory": pd.DataFrame(line for direction in found.directions for line in _direction(direction)),
    }


def short(found: ExplanationFindings) -> pd.DataFrame:
    """Tabulate what fits a terminal: correlations, what is left of them given the size, and verdicts."""
    columns = "explanation", "ρ", "given size", "n", "verdict"
    lines = []
    for name, own in found.judged.items():
        beside = own.beside_strength and own.beside_strength.rho
        lines.append((name, own.association.rho, beside, own.association.n, own.verdict))
    return pd.DataFrame(lines, columns=columns, dtype=object)


def _point(point: MethodPoint, found: ExplanationFindings) -> dict[str, Any]:
    names = [e.name for e in found.explanations if e.measure]
    sides = [(e.name, point.ends.get(e.name, (None, None))) for e in found.explanations if e.kind in MI_LIKE]
    missing = "; ".join(f"{name}: {reason}" for name, reason in point.reasons.items())
    return {
        "method": point.method,
        "family": family(point),
        "eps_255": None if point.eps is None else 255 * point.eps,
        "setting": point.setting[:8],
        "control": point.control,
        "rows": point.reps,
        "poisons": point.poisons,
        "accuracy": point.accuracy,
        "accuracy_gap": point.gap,
        "doubt": point.doubt,
        **{name: point.figures.get(name) for name in names},
        **{f"{name}_{end}": ends[end == "high"] for name, ends in sides for end in ("low", "high")},
        "missing": missing or None,
    }


def estimates(rows: Sequence[Row], records: Sequence[Record]) -> pd.DataFrame:
    """Every estimate of dependence, those of clean as well: through its own victim, or through clean's."""
    by_key, lines = {row.key: row for row in rows}, []
    for record in records:
        if "estimator" not in record.values or not {record.poison_row, record.net_row} <= by_key.keys():
            continue
        poison, net = by_key[record.poison_row], by_key[record.net_row]
        threat = poison.threat
        eps = round(255 * threat.radius, 3) if threat.norm == "linf" and threat.radius else None
        place = record.measure, "own" if net is poison else f"{net.method}'s", poison.method, eps
        reps = poison.poison_rep, net.rep
        lines.append([*place, *reps, *(record.values.get(name) for name in KEPT)])
    lines.sort(key=lambda line: [value or 0 for value in line[: len(PLACE)]])
    return pd.DataFrame(lines, columns=[*PLACE, *KEPT], dtype=object)


def _judged(judged: JudgedExplanation) -> dict[str, Any]:
    beside = {rival: own.rho for rival, own in judged.given.items() if own.rho is not None}
    sign = judged.explanation.expected or (1 if (judged.association.rho or 0) > 0 else -1)
    weakest = min(beside, key=lambda rival: sign * beside[rival], default=None)
    return {
        "explanation": judged.explanation.name,
        "what": judged.explanation.label,
        "kind": judged.explanation.kind,
        "expected_sign": judged.explanation.expected,
        **_numbers(judged.association),
        "left_out": judged.left_out,
        "weakest_partial": None if weakest is None else beside[weakest],
        "weakest_given": weakest,
        "verdict": judged.verdict.value,
    }


def _direction(direction: Direction) -> Iterator[dict[str, Any]]:
    pair, over = {"cause": direction.cause, "effect": direction.effect}, "methods and budgets"
    yield pair | {"over": over} | _numbers(direction.over_all)
    yield pair | {"over": f"{over}, given the size"} | _numbers(direction.beside_strength)
    for method, own in direction.within.items():
        yield pair | {"over": f"budgets of {method}", "rho": own.rho, "points": own.points}


def _numbers(found: Correlation) -> dict[str, Any]:
    ends = {"without_one_least": found.least, "without_one_most": found.most}
    counts = {"n": found.n, "points": found.points, "descriptive": found.descriptive}
    return {"rho": found.rho, "low": found.low, "high": found.high, **ends, **counts}
