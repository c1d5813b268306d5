"""What was found, as tables: one line a point, an explanation, a pair of them, a direction."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.studies.association import Association
from bench.studies.compare import Comparison, Direction, Judged, family
from bench.studies.points import Point


def tables(found: Comparison) -> dict[str, pd.DataFrame]:
    return {
        "points": pd.DataFrame([_point(point, found) for point in found.points]),
        "explanations": pd.DataFrame([_judged(judged) for judged in found.judged.values()]),
        "partial": pd.DataFrame(
            [
                {"explanation": name, "given": rival} | _numbers(own)
                for name, judged in found.judged.items()
                for rival, own in judged.given.items()
            ]
        ),
        "theory": pd.DataFrame([line for direction in found.directions for line in _direction(direction)]),
    }


def short(found: Comparison) -> pd.DataFrame:
    """What fits a terminal: correlations, what is left of them given the budget, and verdicts."""
    return pd.DataFrame(
        [
            {
                "explanation": name,
                "ρ": own.association.rho,
                "given budget": own.beside_strength.rho if own.beside_strength else None,
                "n": own.association.n,
                "verdict": own.verdict.value,
            }
            for name, own in found.judged.items()
        ],
        dtype=object,
    )


def _point(point: Point, found: Comparison) -> dict[str, Any]:
    names = [e.name for e in found.explanations if e.measure]
    missing = "; ".join(f"{name}: {reason}" for name, reason in point.reasons.items())
    return {
        "method": point.method,
        "family": family(point),
        "eps_255": None if point.eps is None else 255 * point.eps,
        "setting": point.setting[:8],
        "control": point.control,
        "rows": point.reps,
        "accuracy": point.accuracy,
        "accuracy_gap": point.gap,
        **{name: point.figures.get(name) for name in names},
        "missing": missing or None,
    }


def _judged(judged: Judged) -> dict[str, Any]:
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


def _direction(direction: Direction) -> list[dict[str, Any]]:
    pair = {"cause": direction.cause, "effect": direction.effect}
    whole = {"over": "methods and budgets", **_numbers(direction.over_all)}
    beside = {"over": "methods and budgets, given the budget", **_numbers(direction.beside_strength)}
    within = [
        {"over": f"budgets of {method}", "rho": own.rho, "points": own.points}
        for method, own in direction.within.items()
    ]
    return [pair | line for line in (whole, beside, *within)]


def _numbers(found: Association) -> dict[str, Any]:
    return {
        "rho": found.rho,
        "low": found.low,
        "high": found.high,
        "without_one_least": found.least,
        "without_one_most": found.most,
        "n": found.n,
        "points": found.points,
        "descriptive": found.descriptive,
    }
