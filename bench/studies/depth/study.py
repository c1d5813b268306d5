"""Are deeper nets hurt more, and does their MI fall with it?

One surrogate crafts each poison once; victims of growing depth train on it. Gaps are those to clean of
the same net, defense and repetition. A victim's own MI mixes two effects, another poison and another
net, so every poison is also looked at through the net of that kind that was trained on clean images.
All nets share the victims' recipe, as in MI-UE (arXiv 2603.03725), whose claim this is.

MI of different nets is not on one scale, nor is an accuracy gap: a net that learns more has more to
lose. So over nets both are taken as shares of what clean has, and gaps are compared within a net, over
methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import hypot

import pandas as pd

from bench.results.aggregate import counterpart, summary
from bench.results.correlation import Correlation, correlation
from bench.results.rows import Row
from bench.results.select import CLEAN, last_line
from bench.runner.request import Options, Variation
from bench.studies.depth.figures import by_depth
from bench.studies.depth.text import Correlations, text_of
from bench.studies.records import figure_of, rank_of, ranks_apart, reach_over_images
from bench.studies.study import Findings, Record, Study

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
METHODS = (CLEAN, "random", "em", "emax", "tap", "mi-ue")
MEASURE = "smi-ksg"
QUANTITIES = (
    *("accuracy", "accuracy_gap", "accuracy_lost", "mi", "mi_gap", "mi_lost", "rank"),
    *("mi_clean_net", "mi_gap_clean_net", "mi_lost_clean_net"),
)
LEARNED = 0.05  # accuracy above chance from which on a share of it means anything
Values = dict[str, float | None]
Seen = Mapping[tuple[str, str], Record]  # keys of net's and poison's rows -> MEASURE


def grids() -> list[Variation]:
    return [Variation(",".join(METHODS), "none", Options(net=net)) for net in LAYERS]


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Gaps by net and method, and how they go with depth and with each other over the nets."""
    cells = cells_of(rows, records)
    summary = summary_of(cells)
    nets = {net: _label(net, cells) for net in LAYERS if net in {*cells["net"]}}
    contestants = cells[cells["method"] != CLEAN]
    figures = {"by-depth": by_depth(contestants, nets, _about(rows))} if len(contestants) else {}
    found = Correlations(correlations(cells), within_nets(cells))
    said = text_of(cells, found, _about(rows), _reasons(rows, records))
    return Findings({"depth": summary, "within-nets": table_of(found.within), "cells": cells}, figures, said)


def cells_of(rows: Iterable[Row], records: Iterable[Record]) -> pd.DataFrame:
    """Give each net, method and defense a row: means over repetitions, with intervals where there are any."""
    done, clean, seen = _found(rows, records)
    groups: dict[tuple[str, str, str], list[Row]] = {}
    order = {name: place for place, name in enumerate([*LAYERS, *METHODS])}
    for row in sorted(done, key=lambda row: (order[row.inputs["net"]], order.get(row.method, 99), row.key)):
        groups.setdefault((row.inputs["net"], row.method, row.defense), []).append(row)
    found = []
    for (net, method, defense), ours in groups.items():
        values = [quantities(row, clean(row), seen) for row in ours]
        first = {"net": net, "layers": LAYERS[net], "features": _features(ours[0]), "method": method}
        first |= {"defense": defense, "control": ours[0].control, "n": len(ours)}
        lone = reaches(ours[0], clean(ours[0]), seen) if len(ours) == 1 else {}
        found.append(first | _pooled(values, lone))
    columns = ["net", "layers", "features", "method", "defense", "control", "n", *_pooled([], {})]
    return pd.DataFrame(found, columns=columns)


def quantities(row: Row, clean: Row | None, seen: Seen) -> Values:
    """Of one repetition; None where something is lacking."""
    own = seen.get((row.key, row.key))
    ours: Values = {"accuracy": row.test_acc, "mi": _known(figure(seen, row, row)), "rank": rank_of(own)}
    ours |= {} if clean is None else _against(row, clean, seen)
    return {name: ours.get(name) for name in QUANTITIES}


def _against(row: Row, clean: Row, seen: Seen) -> Values:
    """Return what a repetition loses of clean's."""
    whole, own, through = (figure(seen, *pair) for pair in ((clean, clean), (row, row), (clean, row)))
    records = seen.get((row.key, row.key)), seen.get((clean.key, clean.key))
    apart = ranks_apart(*records, CLEAN)
    ours: Values = {"mi_clean_net": _known(through)}
    ours["accuracy_gap"] = _less(clean.test_acc, row.test_acc)
    ours["accuracy_lost"] = _share(ours["accuracy_gap"], _above_chance(clean), LEARNED)
    ours["mi_gap"] = None if apart else _less(_known(whole), _known(own))
    ours["mi_gap_clean_net"] = _less(_known(whole), _known(through))
    ours["mi_lost"] = _share(ours["mi_gap"], _known(whole), 0)
    ours["mi_lost_clean_net"] = _share(ours["mi_gap_clean_net"], _known(whole), 0)
    return ours


def reaches(row: Row, clean: Row | None, seen: Seen) -> Values:
    """Half of the interval over images that each quantity of MI has in one repetition.

    The errors of two estimates are taken as independent; clean loses nothing of itself, exactly.
    """
    found: Values = {"mi": reach_over_images(seen.get((row.key, row.key)))}
    if clean is None:
        return found
    found["mi_clean_net"] = reach_over_images(seen.get((clean.key, row.key)))
    whole, doubt = _known(figure(seen, clean, clean)), reach_over_images(seen.get((clean.key, clean.key)))
    for end, net in (("", row), ("_clean_net", clean)) if row is not clean else ():
        part, own = _known(figure(seen, net, row)), found[f"mi{end}"]
        if whole is None or whole <= 0 or doubt is None or part is None or own is None:
            continue
        found[f"mi_gap{end}"] = hypot(own, doubt)
        found[f"mi_lost{end}"] = hypot(own, doubt * part / whole) / whole
    return found


def figure(seen: Seen, net: Row, poison: Row) -> float | str:
    """MI of a poison through a net in nats, or why there is none."""
    record = seen.get((net.key, poison.key))
    return "not measured" if record is None else figure_of(record, "value")


def correlations(cells: pd.DataFrame) -> dict[str, dict[str, Correlation]]:
    """For each method but clean, over the nets: Spearman's of depth and losses, and of the losses."""
    pairs = {
        "depth and accuracy gap": ("layers", "accuracy_gap"),
        "depth and share of accuracy lost": ("layers", "accuracy_lost"),
        "shares of accuracy and of MI lost, own net": ("accuracy_lost", "mi_lost"),
        "shares of accuracy and of MI lost, clean-trained net": ("accuracy_lost", "mi_lost_clean_net"),
    }
    methods = [method for method in cells["method"].unique() if method != CLEAN]
    return {
        method: {name: _between(cells[cells["method"] == method], *pair) for name, pair in pairs.items()}
        for method in methods
    }


def within_nets(cells: pd.DataFrame) -> dict[str, dict[str, Correlation]]:
    """For each net, over the methods that are no controls: Spearman's of accuracy gap and MI gap."""
    pairs = {
        "accuracy gap and MI gap, own net": ("accuracy_gap", "mi_gap"),
        "accuracy gap and MI gap, clean-trained net": ("accuracy_gap", "mi_gap_clean_net"),
    }
    ours = cells[~cells["control"].astype(bool)]
    return {
        net: {name: _between(ours[ours["net"] == net], *pair) for name, pair in pairs.items()}
        for net in ours["net"].unique()
    }


def summary_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Give each method a row."""
    return table_of(correlations(cells), "method")


def table_of(found: Mapping[str, Mapping[str, Correlation]], first: str = "net") -> pd.DataFrame:
    lines = [
        {first: name} | {what: str(value) for what, value in values.items()} for name, values in found.items()
    ]
    return pd.DataFrame(lines)


def _between(cells: pd.DataFrame, one: str, other: str) -> Correlation:
    both = cells[[one, other]].astype(float).dropna()
    return correlation([(float(x), float(y)) for x, y in both.itertuples(index=False)])


def _pooled(values: Sequence[Values], lone: Values) -> dict[str, float | None]:
    """Mean of each quantity, and Student's interval where there are two repetitions or more.

    lone: half of the interval of the only repetition.
    """
    found: dict[str, float | None] = {}
    for name in QUANTITIES:
        known = [value for own in values if (value := own[name]) is not None]
        if name.startswith("mi_") and len(known) < len(values):
            known = []  # of the repetitions that can be compared alone it would be another mean
        mean, reach = summary(known), lone.get(name)
        if mean is not None and reach is not None:
            mean = replace(mean, low=mean.mean - reach, high=mean.mean + reach)
        ends = {"": "mean", "_low": "low", "_high": "high"}
        found |= {f"{name}{end}": getattr(mean, field, None) for end, field in ends.items()}
    return found


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _share(part: float | None, whole: float | None, least: float) -> float | None:
    return None if part is None or whole is None or whole <= least else part / whole


def _above_chance(row: Row) -> float | None:
    return None if row.test_acc is None or not row.classes else row.test_acc - 1 / row.classes


def _known(value: float | str) -> float | None:
    return None if isinstance(value, str) else value


def _found(
    rows: Iterable[Row], records: Iterable[Record]
) -> tuple[list[Row], Callable[[Row], Row | None], Seen]:
    """Rows that count, which clean one of the same net and defense a row is read against, and the records."""
    done = [row for row in rows if row.status == "ok" and row.inputs["net"] in LAYERS]
    seen = {(record.net_row, record.poison_row): record for record in records if record.measure == MEASURE}

    def clean(row: Row) -> Row | None:
        alike = [own for own in done if (own.inputs["net"], own.defense) == (row.inputs["net"], row.defense)]
        return counterpart(row, [own for own in alike if own.method == CLEAN])

    return done, clean, seen


def _features(row: Row) -> str:
    return "logits" if "features are logits" in (row.stem or "") else "below the head"


def _label(net: str, cells: pd.DataFrame) -> str:
    ours = cells[cells["net"] == net].iloc[0]
    name = net.removesuffix("-s2").replace("-", "\n", 1)
    return f"{name}\n{ours['layers']}" + ("\n(logits)" if ours["features"] == "logits" else "")


def _about(rows: Sequence[Row]) -> str:
    """Name data and recipe, as the rows say."""
    if not rows:
        return "no rows"
    inputs, kind = rows[0].inputs, "synthetic images" if rows[0].synthetic else "images"
    return (
        f"{rows[0].data}, {inputs['data']['train_images']} training {kind}, "
        f"surrogate {inputs['surrogate']}, {inputs['victim']['epochs']} epochs"
    )


def _reasons(rows: Iterable[Row], records: Iterable[Record]) -> list[str]:
    """Say what is lacking, and why."""
    rows = [*rows]
    names = {row.key: f"{row.inputs['net']}, {row.method}, {row.defense}" for row in rows}
    lacking = [f"{names[r.key]}: {r.status}, {last_line(r.reason)}" for r in rows if r.status != "ok"]
    done, clean, seen = _found(rows, records)
    for row in done:
        own, net = figure(seen, row, row), clean(row)
        lacking += [f"{names[row.key]}: no MI, {own}"] if isinstance(own, str) else []
        if net is None or net is row:
            continue
        through = figure(seen, net, row)
        lacking += [f"{names[row.key]}, clean-trained net: {through}"] if isinstance(through, str) else []
        apart = ranks_apart(seen.get((row.key, row.key)), seen.get((net.key, net.key)), CLEAN)
        lacking += [f"{names[row.key]}: no MI gap of its own net, {apart}"] if apart else []
    return lacking


STUDY = Study(
    about="are deeper nets hurt more, and does their MI fall with it?",
    grids=grids,
    measures=(MEASURE,),
    through_clean=(MEASURE,),
    analyse=analyse,
)
