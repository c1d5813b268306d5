"""Are deeper nets hurt more, and does their MI fall with it?

One surrogate crafts each poison once; victims of growing depth train on it. Gaps are those to clean of
the same net, defense and repetition. A victim's own MI mixes two effects, another poison and another
net, so every poison is also looked at through the net of that kind that was trained on clean images.
All nets share the victims' recipe, as in MI-UE (arXiv 2603.03725), whose claim this is. Convolutional ones
have stems of stride 1: behind one of stride 2 a perturbation's finest part is lost, and mi-ue does little.

A net that learns more has more accuracy to lose, so over nets it is taken as a share of what clean has above
chance, and MI as a share of its ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.results.aggregate import summary
from bench.results.correlation import Correlation, correlation
from bench.results.replicates import by_unit, chance_of, doubt_of
from bench.results.rows import Row
from bench.results.select import CLEAN, one_line, parted
from bench.runner.request import Options, Variation
from bench.studies.command import command_of
from bench.studies.depth.figures import by_depth
from bench.studies.depth.text import TABLES, text_of
from bench.studies.records import Explanation, Readings
from bench.studies.study import Findings, Record, Study

# layers with weights in line, shortcuts aside; vgg11-slim has one linear layer in the place of VGG-11's three
LAYERS = {
    "linear": 1,
    "mlp2-slim": 2,
    "mlp3-slim": 3,
    "lenet5": 5,
    "conv5": 6,
    "vgg11-slim": 9,
    "resnet10-slim": 10,
    "resnet18-slim": 18,
}
METHODS = (CLEAN, "random", "em", "emax", "tap", "mi-ue")
MEASURE = "smi-noisy"
LEARNED = 0.05  # accuracy above chance from which on a share of it means anything
Quantities = dict[str, tuple[float, float | None]]  # with half of the interval over images
OWN_NET = Explanation("mi", "MI", "MI", MEASURE, by_rank=False)
KEYS = {"mi": "value", "mi_gap": "gap", "mi_lost": "share"}  # of MI -> key of the records
FIGURES = {  # of MI -> how each is read from the records
    f"{name}{end}": replace(OWN_NET, key=key, through_clean=bool(end))
    for end in ("", "_clean_net")
    for name, key in KEYS.items()
}
OVER_NETS = {
    "depth and accuracy gap": ("layers", "accuracy_gap"),
    "depth and share of accuracy lost": ("layers", "accuracy_lost"),
    "shares of accuracy and of MI lost, own net": ("accuracy_lost", "mi_lost"),
    "shares of accuracy and of MI lost, clean-trained net": ("accuracy_lost", "mi_lost_clean_net"),
    "depth and share of MI lost, own net": ("layers", "mi_lost"),
    "depth and share of MI lost, clean-trained net": ("layers", "mi_lost_clean_net"),
}
WITHIN_NETS = {
    "accuracy gap and MI gap, own net": ("accuracy_gap", "mi_gap"),
    "accuracy gap and MI gap, clean-trained net": ("accuracy_gap", "mi_gap_clean_net"),
}


def grids() -> list[Variation]:
    return [Variation(",".join(METHODS), "none", Options(net=net)) for net in LAYERS]


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Gaps by net and method, and how they go with depth and with each other over the nets."""
    cells = cells_of(rows, records)
    over, within, about = correlations(cells), within_nets(cells), _about(rows)
    contestants = cells[cells["method"] != CLEAN]
    figures = {"by-depth": by_depth(contestants, about)} if len(contestants) else {}
    said = text_of(cells, over, within, about, [*_lacking(rows, records)], command_of("depth", rows))
    tables = {"depth": table_of(over, "method"), "within-nets": table_of(within, "net"), "cells": cells}
    return Findings(tables, figures, said)


def cells_of(rows: Sequence[Row], records: Iterable[Record]) -> pd.DataFrame:
    """Give each net, method and defense a row: means over repetitions, with intervals where there are any."""
    readings, found = Readings(rows, records), []
    order = {name: place for place, name in enumerate([*LAYERS, *METHODS])}
    done = [row for row in rows if row.status == "ok" and row.inputs["net"] in LAYERS]
    done.sort(key=lambda row: (order[row.inputs["net"]], order.get(row.method, 99), row.key))
    groups = parted(done, lambda row: (row.inputs["net"], row.method, row.defense))
    for (net, method, defense), ours in groups.items():
        features = "logits" if "features are logits" in (ours[0].stem or "") else "below the head"
        first = {"net": net, "layers": LAYERS[net], "features": features, "method": method}
        first |= {"defense": defense, "control": ours[0].control, "n": len(ours)}
        clean = {own.key: own for row in ours if (own := readings.against(row, CLEAN))}
        first |= {"poisons": len({row.poison_rep for row in ours})}
        first |= {"doubt": doubt_of(ours, [*clean.values()]) or ""}
        pooled = _pooled([(row, quantities(row, readings)) for row in ours])
        if first["doubt"]:  # of a victim that did not learn nothing is compared
            pooled |= {name: None for name in pooled if "gap" in name or "lost" in name}
        found.append(first | pooled)
    columns = ["net", "layers", "features", "method", "defense", "control", "n", "poisons", "doubt"]
    columns += _pooled([])
    return pd.DataFrame(found, columns=columns)


def quantities(row: Row, readings: Readings) -> Quantities:
    """Of one repetition, with half of the interval that MI has in it.

    Losses are shares, of accuracy of clean's and of MI of its ceiling.
    """
    found: Quantities = {} if row.test_acc is None else {"accuracy": (row.test_acc, None)}
    for name, figure in FIGURES.items():
        value = readings.figure(row, figure)
        if not isinstance(value, str):
            found[name] = value, readings.reach(row, figure)
    clean = readings.against(row, CLEAN)
    if clean is not None and clean.test_acc is not None and row.test_acc is not None:
        gap, above_chance = clean.test_acc - row.test_acc, clean.test_acc - chance_of([clean])
        found |= {"accuracy_gap": (gap, None)}
        found |= {"accuracy_lost": (gap / above_chance, None)} if above_chance > LEARNED else {}
    return found


def correlations(cells: pd.DataFrame) -> dict[str, dict[str, Correlation]]:
    """For each method but clean, over the nets: Spearman's of depth and losses, and of the losses."""
    return _by(cells[cells["method"] != CLEAN], "method", OVER_NETS)


def within_nets(cells: pd.DataFrame) -> dict[str, dict[str, Correlation]]:
    """For each net, over the methods that are no controls: Spearman's of accuracy gap and MI gap."""
    return _by(cells[~cells["control"].astype(bool)], "net", WITHIN_NETS)


def _by(
    cells: pd.DataFrame, column: str, pairs: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, Correlation]]:
    """Correlate each pair of columns over the cells of each method or net, by its name."""
    found: dict[str, dict[str, Correlation]] = {}
    for name, own in cells.groupby(column, sort=False):
        for what, pair in pairs.items():
            points = own[[*pair]].astype(float).dropna().itertuples(index=False)
            found.setdefault(str(name), {})[what] = correlation([(float(x), float(y)) for x, y in points])
    return found


def table_of(found: Mapping[str, Mapping[str, Correlation]], first: str) -> pd.DataFrame:
    """Give each method or net a row."""
    return pd.DataFrame({first: name} | {what: str(own[what]) for what in own} for name, own in found.items())


def _pooled(values: Sequence[tuple[Row, Quantities]]) -> dict[str, float | None]:
    """Mean of each quantity over poisons (of clean, victims), and Student's interval of two or more.

    The only repetition has its own interval.
    """
    found: dict[str, float | None] = {}
    for name in TABLES:
        known = [(row, *own[name]) for row, own in values if name in own]
        if name.startswith("mi_") and len(known) < len(values):
            known = []  # of the repetitions that can be compared alone it would be another mean
        mean = summary(by_unit((row, value) for row, value, _ in known))
        if mean is not None and len(values) == 1 and (reach := known[0][2]) is not None:
            mean = replace(mean, low=mean.mean - reach, high=mean.mean + reach)
        ends = {"": "mean", "_low": "low", "_high": "high"}
        found |= {f"{name}{end}": getattr(mean, field, None) for end, field in ends.items()}
    return found


def _about(rows: Sequence[Row]) -> str:
    """Name data and recipe, as the rows say."""
    if not rows:
        return "no rows"
    inputs, kind = rows[0].inputs, "synthetic images" if rows[0].synthetic else "images"
    return (
        f"{rows[0].data}, {inputs['data']['train_images']} training {kind}, "
        f"surrogate {inputs['surrogate']}, {inputs['victim']['epochs']} epochs"
    )


def _lacking(rows: Sequence[Row], records: Iterable[Record]) -> Iterator[str]:
    """Say what is lacking, and why."""
    readings = Readings(rows, records)
    for row in rows:
        name = f"{row.inputs['net']}, {row.method}, {row.defense}"
        if row.status != "ok":
            yield f"{name}: {row.status}, {one_line(row.reason)}"
            continue
        own, through = (readings.figure(row, FIGURES[each]) for each in ("mi_gap", "mi_gap_clean_net"))
        if isinstance(own, str):
            yield f"{name}: no MI, {own}"
        if row.method != CLEAN and readings.against(row, CLEAN) is not None and isinstance(through, str):
            yield f"{name}, clean-trained net: {through}"


STUDY = Study(
    "are deeper nets hurt more, and does their MI fall with it?", grids, analyse, (MEASURE,), (MEASURE,)
)
