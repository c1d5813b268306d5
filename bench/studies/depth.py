"""Are deeper nets hurt more, and does their MI fall with it?

One surrogate crafts each poison once; victims of growing depth train on it. Gaps are those to clean of
the same net, defense and repetition. A victim's own MI mixes two effects, another poison and another
net, so every poison is also looked at through the net of that kind that was trained on clean images.
All nets share the victims' recipe, as in MI-UE (arXiv 2603.03725), whose claim this is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev

import pandas as pd
from scipy.stats import t as student

from bench.plots.depth import by_depth
from bench.pooling import REFERENCE, last_line
from bench.rank import Correlation, correlation
from bench.rows import Row
from bench.studies.depth_text import text_of
from bench.studies.study import Findings, Options, Record, Study

# layers with weights in line, shortcuts aside; vgg11-slim has one linear layer in the place of VGG-11's three
LAYERS = {
    "linear": 1,
    "mlp2": 2,
    "mlp3": 3,
    "lenet5": 5,
    "vgg11-slim": 9,
    "resnet10-slim-s2": 10,
    "resnet18-slim-s2": 18,
    "resnet34-slim-s2": 34,
}
METHODS = (REFERENCE, "random", "em", "emax", "tap", "mi-ue")
MEASURE = "smi-ksg"
LEVEL = 0.95
QUANTITIES = ("accuracy", "accuracy_gap", "mi", "mi_gap", "mi_clean_net", "mi_gap_clean_net")
Values = dict[str, float | None]


def grids() -> list[Options]:
    return [("--net", net, "--methods", ",".join(METHODS), "--defenses", "none") for net in LAYERS]


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Gaps by net and method, and how they go with depth and with each other over the nets."""
    cells = cells_of(rows, records)
    summary = summary_of(cells)
    nets = {net: _label(net, cells) for net in LAYERS if net in {*cells["net"]}}
    contestants = cells[cells["method"] != REFERENCE]
    figures = {"by-depth": by_depth(contestants, nets, _about(rows))} if len(contestants) else {}
    said = text_of(cells, correlations(cells), _about(rows), _reasons(rows, records))
    return Findings({"depth": summary, "cells": cells}, figures, said)


def cells_of(rows: Iterable[Row], records: Iterable[Record]) -> pd.DataFrame:
    """A row for each net, method and defense: means over repetitions, with intervals where there are any."""
    done = [row for row in rows if row.status == "ok" and row.inputs["net"] in LAYERS]
    clean = {_pair(row): row for row in done if row.method == REFERENCE}
    seen = {(record.net_row, record.poison_row): record for record in records if record.measure == MEASURE}
    groups: dict[tuple[str, str, str], list[Row]] = {}
    order = {name: place for place, name in enumerate([*LAYERS, *METHODS])}
    for row in sorted(done, key=lambda row: (order[row.inputs["net"]], order.get(row.method, 99), row.key)):
        groups.setdefault((row.inputs["net"], row.method, row.defense), []).append(row)
    found = []
    for (net, method, defense), ours in groups.items():
        values = [quantities(row, clean.get(_pair(row)), seen) for row in ours]
        first = {"net": net, "layers": LAYERS[net], "features": _features(ours[0]), "method": method}
        first |= {"defense": defense, "control": ours[0].is_control, "n": len(ours)}
        found.append(first | _pooled(values))
    columns = ["net", "layers", "features", "method", "defense", "control", "n", *_pooled([])]
    return pd.DataFrame(found, columns=columns)


def quantities(row: Row, clean: Row | None, seen: Mapping[tuple[str, str], Record]) -> Values:
    """Of one repetition; None where something is lacking."""

    def through_clean(poison: Row | None) -> float | None:
        record = seen.get((clean.key, poison.key)) if clean and poison else None
        value = record.values.get("value") if record else None
        return float(value) if isinstance(value, int | float) else None

    ours: Values = {"accuracy": row.test_acc, "mi": row.mi, "mi_clean_net": through_clean(row)}
    ours["accuracy_gap"] = _less(clean.test_acc if clean else None, row.test_acc)
    ours["mi_gap"] = _less(clean.mi if clean else None, row.mi)
    ours["mi_gap_clean_net"] = _less(through_clean(clean), ours["mi_clean_net"])
    return ours


def correlations(cells: pd.DataFrame) -> dict[str, dict[str, Correlation]]:
    """For each method but clean, over the nets: Spearman's of depth and gap, and of the gaps."""
    pairs = {
        "depth and accuracy gap": ("layers", "accuracy_gap"),
        "accuracy gap and MI gap, own net": ("accuracy_gap", "mi_gap"),
        "accuracy gap and MI gap, clean-trained net": ("accuracy_gap", "mi_gap_clean_net"),
    }
    methods = [method for method in cells["method"].unique() if method != REFERENCE]
    return {
        method: {name: _over_nets(cells[cells["method"] == method], *pair) for name, pair in pairs.items()}
        for method in methods
    }


def summary_of(cells: pd.DataFrame) -> pd.DataFrame:
    """A row for each method."""
    found = [
        {"method": method} | {name: str(value) for name, value in of_method.items()}
        for method, of_method in correlations(cells).items()
    ]
    return pd.DataFrame(found)


def _over_nets(cells: pd.DataFrame, one: str, other: str) -> Correlation:
    both = cells[[one, other]].astype(float).dropna()
    return correlation([(float(x), float(y)) for x, y in both.itertuples(index=False)])


def _pooled(values: Sequence[Values]) -> dict[str, float | None]:
    """Mean of each quantity, and Student's interval where there are two repetitions or more."""
    found: dict[str, float | None] = {}
    for name in QUANTITIES:
        known = [value for own in values if (value := own[name]) is not None]
        mean = fmean(known) if known else None
        reach = None
        if len(known) > 1:
            reach = float(student.ppf((1 + LEVEL) / 2, len(known) - 1)) * stdev(known) / len(known) ** 0.5
        bounds = (None, None) if mean is None or reach is None else (mean - reach, mean + reach)
        found |= {name: mean, f"{name}_low": bounds[0], f"{name}_high": bounds[1]}
    return found


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _pair(row: Row) -> tuple[str, str, int]:
    """Clean is crafted once, whatever the repetition of the poison."""
    return row.inputs["net"], row.defense, row.rep


def _features(row: Row) -> str:
    return "logits" if "features are logits" in (row.stem or "") else "below the head"


def _label(net: str, cells: pd.DataFrame) -> str:
    ours = cells[cells["net"] == net].iloc[0]
    name = net.removesuffix("-s2").replace("-", "\n", 1)
    return f"{name}\n{ours['layers']}" + ("\n(logits)" if ours["features"] == "logits" else "")


def _about(rows: Sequence[Row]) -> str:
    """Data and recipe, as the rows say."""
    if not rows:
        return "no rows"
    inputs, kind = rows[0].inputs, "synthetic images" if rows[0].synthetic else "images"
    return (
        f"{rows[0].data}, {inputs['data']['train_images']} training {kind}, "
        f"surrogate {inputs['surrogate']}, {inputs['victim']['epochs']} epochs"
    )


def _reasons(rows: Iterable[Row], records: Iterable[Record]) -> list[str]:
    """What is lacking, and why."""
    ours = {row.key: f"{row.inputs['net']}, {row.method}, {row.defense}" for row in rows}
    lacking = [f"{ours[r.key]}: {r.status}, {last_line(r.reason)}" for r in rows if r.status != "ok"]
    lacking += [f"{ours[row.key]}: no MI, {row.mi_reason}" for row in rows if row.mi_reason]
    lacking += [
        f"{ours[r.poison_row]}, through the clean-trained net: {r.reason}"
        for r in records
        if r.reason and r.poison_row in ours
    ]
    return lacking


STUDY = Study(
    about="are deeper nets hurt more, and does their MI fall with it?",
    grids=grids,
    measures=(),
    through_clean=(MEASURE,),
    analyse=analyse,
)
