"""The text of the study of depth."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.report.formats import markdown
from bench.results.correlation import ENOUGH, Correlation
from bench.results.select import CLEAN

TABLES = {
    "accuracy": ("Test accuracy, %", 100, 1),
    "accuracy_gap": ("Accuracy gap, points", 100, 1),
    "accuracy_lost": ("Share lost of clean's accuracy above chance, %", 100, 0),
    "mi": ("MI of each victim on its own poison, nats", 1, 3),
    "mi_gap": ("MI gap, nats: own net", 1, 3),
    "mi_lost": ("Share lost of clean's MI, %: own net", 100, 0),
    "rank": ("Dimensions of the features' code that own net's MI is of", 1, 0),
    "mi_clean_net": ("MI through the clean-trained net, nats", 1, 3),
    "mi_gap_clean_net": ("MI gap, nats: one clean-trained net for all poisons", 1, 3),
    "mi_lost_clean_net": ("Share lost of clean's MI, %: one clean-trained net for all poisons", 100, 0),
}
BEFORE = (
    "Gaps are clean minus the method, of the same net, defense and repetition: above 0 the poison costs "
    "accuracy, or lowers MI. Own net: every victim looks at its own poison, so that a gap between methods is "
    "one between poisons and between nets. Clean-trained: one net of each kind looks at all poisons. "
    "MI of different nets is not on one scale: compare methods within a net, or shares of what clean has. "
    "Nor is that of codes of other dimensions: there own net's gap is left out. "
    "A net that learns more has more to lose: so accuracy, too, is taken as a share. What a victim did not "
    "learn shows in its own features, so own net's figures are in part circular. "
    "Nets differ in more than depth: width, convolutions, batch norm and shortcuts come along with it. All "
    "share one recipe, tuned to none of them; a net that learns nothing has no accuracy to lose. "
    "In brackets: 95 % intervals, over repetitions where there are some. Of one repetition MI has that of "
    "its estimator over images, which knows nothing of other victims and poisons; of gaps and shares, as if "
    "the errors of both estimates were independent."
)
WITHIN = "Spearman's rank correlation, one point a method, without controls and without gaps left out."
LINEAR = "The features of {nets} are its logits, as many as classes: there is nothing else below its head."


@dataclass(frozen=True)
class Correlations:
    over: Mapping[str, Mapping[str, Correlation]]  # nets, method by method
    within: Mapping[str, Mapping[str, Correlation]]  # methods, net by net


def text_of(
    cells: pd.DataFrame,
    found: Correlations,
    about: str,
    lacking: Sequence[str],
) -> str:
    """Markdown: what was asked, what came out by method, all numbers, what is lacking."""
    linear = cells[cells["features"] == "logits"]["net"].unique()
    parts = ["# Are deeper nets hurt more, and does their MI fall with it?", f"{about}.", BEFORE]
    parts += [LINEAR.format(nets=", ".join(linear))] if len(linear) else []
    controls = {*cells["method"][cells["control"].astype(bool)]}
    parts += ["## Over the nets, method by method", _correlated(found.over)]
    parts += ["\n".join(_said(found.over, controls))]
    if found.within:
        parts += ["## Over the methods, net by net", WITHIN, "\n".join(_said(found.within, set()))]
    for column, (title, unit, digits) in TABLES.items():
        parts += [f"## {title}", markdown(_wide(cells, column, unit, digits))]
    parts += ["## Lacking", "\n".join(f"- {line}" for line in lacking)] if lacking else []
    return "\n\n".join(part for part in parts if part)


def _correlated(found: Mapping[str, Mapping[str, Correlation]]) -> str:
    """What the numbers below it are."""
    if not found:
        return f"There is no method beside {CLEAN}."
    return (
        "Spearman's rank correlation, one point a net; in brackets its 95 % interval, from drawing nets with "
        f"replacement. Below {ENOUGH} nets it is descriptive: no interval, nothing said of other nets. "
        "Several nets are of one kind and all have one poison, so an interval is too narrow."
    )


def _said(found: Mapping[str, Mapping[str, Correlation]], controls: Collection[str]) -> list[str]:
    return [
        f"- `{own}`{' (control)' if own in controls else ''}: "
        + "; ".join(f"{name}: {value}" for name, value in values.items())
        for own, values in found.items()
    ]


def _wide(cells: pd.DataFrame, column: str, unit: int, digits: int) -> pd.DataFrame:
    """Methods down, nets across, with intervals where there are repetitions."""
    if "gap" in column or "lost" in column:
        cells = cells[cells["method"] != CLEAN]
    several = cells["defense"].nunique() > 1
    down: dict[str, dict[str, str]] = {}
    for cell in cells.to_dict("records"):
        name = f"{cell['method']} x {cell['defense']}" if several else str(cell["method"])
        values = [cell[f"{column}{end}"] for end in ("", "_low", "_high")]
        texts = ["-" if pd.isna(value) else f"{unit * value:z.{digits}f}" for value in values]
        interval = "" if texts[1] == "-" else f" [{texts[1]}, {texts[2]}]"
        down.setdefault(name, {})[str(cell["net"])] = texts[0] + interval
    table = pd.DataFrame.from_dict(down, orient="index").fillna("-")
    return table.rename_axis("method").reset_index()
