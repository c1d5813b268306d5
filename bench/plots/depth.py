"""Nets in the order of their depth, and what each poison does to them: a panel a gap, a line a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.plots.canvas import SMALL, Look, looks_of, sheet

CAPTION = (
    "Gaps are clean minus the method, of the same net and repetition: above 0 the poison costs accuracy, or "
    "lowers MI. Below each net: its layers in line. Own net: each victim's features of its own poison, so "
    "that gaps of different poisons are of different nets. Clean-trained: one net for all poisons. MI of "
    "different nets is not on one scale, nor of features of other dimensions: there is no mark. Hollow: "
    "controls."
)
INTERVALS = " Bars: 95 % interval over repetitions."
PANELS = {
    "accuracy_gap": "accuracy gap, points",
    "mi_gap": "MI gap, nats (own net)",
    "mi_gap_clean_net": "MI gap, nats (clean-trained)",
}
SHARES = ("accuracy_gap",)  # in [0,1], shown in percent


def by_depth(cells: pd.DataFrame, names: Mapping[str, str], about: str) -> Figure:
    """cells: a row for each method and net, with the gaps and their intervals. names: of nets, in order."""
    shown = cells.drop_duplicates("method")
    styles = looks_of([*shown["method"]], {*shown["method"][shown["control"]]})
    handles = [Line2D([], [], lw=1.4, ms=5, label=name, **_line(look)) for name, look in styles.items()]
    caption = CAPTION + INTERVALS * bool(cells["accuracy_gap_low"].notna().any())
    figure = sheet(f"Depth: {about}", caption, 0.6 + 1.75 * len(PANELS), handles=handles)
    everyone = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, (column, label) in zip(everyone, PANELS.items(), strict=True):
        for offset, (method, look) in enumerate(styles.items()):
            ours = cells[cells["method"] == method].set_index("net").reindex([*names])
            aside = 0.3 * (offset / max(1, len(styles) - 1) - 0.5)  # so that marks do not hide each other
            _draw(axes, ours, column, aside, look)
        axes.axhline(0, color="0.6", lw=0.8, zorder=0)
        axes.grid(visible=True)
        axes.set_ylabel(label, fontsize=SMALL + 0.5)
        axes.margins(y=0.12)
    everyone[-1].set_xticks(range(len(names)), [*names.values()], fontsize=SMALL)
    everyone[-1].set_xlim(-0.5, len(names) - 0.5)
    return figure


def _draw(axes: Axes, cells: pd.DataFrame, column: str, aside: float, look: Look) -> None:
    """One method's line over the nets; a net without a value leaves a hole."""
    unit = 100 if column in SHARES else 1
    middle, low, high = (unit * cells[f"{column}{end}"].astype(float) for end in ("", "_low", "_high"))
    places = [index + aside for index in range(len(cells))]
    axes.plot(places, middle, lw=1.1, ms=4.5, **_line(look))
    axes.vlines(places, low, high, color=look.color, lw=0.9)


def _line(look: Look) -> dict[str, Any]:
    return look.dots | {"ls": "-"}
