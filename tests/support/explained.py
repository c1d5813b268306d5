"""Made-up rows and records of a study of explanations: eight methods at three budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.metrics import Value
from bench.results.rows import Row
from bench.studies.explain.study import STUDY
from bench.studies.study import Record
from support.evidence import row

BUDGETS = (4, 8, 16)
MADE = ("clean", "random", "em", "em-class", "emax", "tap", "mi-ue", "mi-ue-cos")
POWER = dict(zip(MADE, (0.0, 0.02, 0.5, 0.7, 0.15, 0.6, 0.75, 0.8), strict=True))  # how much each does
CONTROLS = ("clean", "random")
OTHERS = ("other-1", "other-2", "other-3")  # with these there are methods enough for intervals and verdicts
POWER |= dict(zip(OTHERS, (0.3, 0.4, 0.05), strict=True))
ALL = (*MADE, *OTHERS)


def effect(method: str, budget: int) -> float:
    """What it costs a victim, share in [0,1]: it saturates at 0.45."""
    return 0.45 * (1 - float(np.exp(-POWER[method] * budget / 2)))


def made_row(method: str, budget: int, rep: int = 0, **values: Any) -> Row:
    acc = 0.56 - effect(method, budget)
    eps = budget / 255
    inputs = {
        "eps": eps,
        "net": "slim",
        "data": {"train_images": 4750},
        "method": {"name": method, "eps": 0.0 if method == "clean" else eps},
    }
    plain: dict[str, Any] = {
        "setting": f"{budget:02}" * 32,
        "inputs": inputs,
        "control": method in CONTROLS,
        "l2": 0.0 if method == "clean" else float(budget),
        "published": "clean" if method == "clean" else f"{method}-{budget}",
        "acc": acc,
    }
    return row(method, rep=rep, **plain | values)


def made_rows(methods: Sequence[str] = MADE, **values: Any) -> list[Row]:
    """Clean is there once: no budget moves it."""
    asked = [(method, budget) for budget in BUDGETS for method in methods]
    return [made_row(*own, **values) for own in asked if own[0] != "clean" or own[1] == BUDGETS[1]]


def values_of(measure: str, effect: float, budget: int, rng: np.random.Generator) -> dict[str, Value]:
    """MI falls as the effect rises; feature distance too but with noise; frequencies are noise."""

    def about(value: float, spread: float) -> float:
        return float(value + spread * rng.standard_normal())

    match measure:
        case "class-spread":
            return {"value": about(-20 * effect, 1.0), "intra_cosine_gain": about(0.6 * effect, 0.04)}
        case "separability":
            return {"value": min(1.0, about(0.1 + 1.8 * effect, 0.05)), "train_accuracy": 1.0}
        case "frequency":
            return {"value": about(0.25, 0.05), "luma": about(0.5, 0.1)}
        case "feature-distance":
            return {"value": about(0.05 * budget + 0.5 * effect, 0.05)}
        case "cka":
            return {"value": about(1 - effect, 0.02)}
        case _:
            told = about(0.03 - 0.05 * effect, 0.001)
            return {"value": told} | ({"ceiling": 0.04, "gap": 0.04 - told} if measure == "smi-noisy" else {})


def made_records(rows: list[Row]) -> list[Record]:
    """As STUDY asks: each victim on its own poison, and poisons through the victim of clean."""
    rng = np.random.default_rng(0)
    clean = {own.rep: own for own in rows if own.method == "clean"}
    records = []
    for own in rows:
        budget = round(255 * own.inputs["eps"])
        does = effect(own.method, budget)
        for measure in STUDY.measures:
            records.append(_record(own, own, measure, values_of(measure, does, budget, rng)))
        net = clean[own.rep]
        if own is not net:
            for measure in STUDY.through_clean:
                records.append(_record(net, own, measure, values_of(measure, does / 2, budget, rng)))
    return records


def _record(net: Row, poison: Row, measure: str, values: dict[str, Value]) -> Record:
    if poison.method == "clean" and measure in ("separability", "frequency"):
        return Record(measure, net.key, poison.key, reason=f"{measure}: nothing there, expected something")
    if poison.method == "clean" and measure == "class-spread":
        values = {"value": 0.0, "intra_cosine_gain": 0.0}
    return Record(measure, net.key, poison.key, values)
