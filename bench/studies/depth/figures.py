"""Nets in the order of their depth, and what each poison does to them: a panel a loss, a line a method."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures.style import SMALL, MethodStyle, legend, limits, styles_of, titled_figure

CAPTION = (
    "Shares of what clean has in the same net and repetition, of accuracy above chance, since neither "
    "accuracy nor MI of different nets is on one scale: above 0 the poison costs accuracy, or lowers MI. "
    "Below each net: its layers in line. Own net: each victim's features of its own poison, in part "
    "circular. Clean-trained: one net of each kind looks at all poisons. No mark where features have other "
    "dimensions than clean's, or where victims did not learn. Hollow: controls."
)
REPEATED = " Bars: 95 % interval over poisons, cut at the edge."
ONCE = (
    " Bars: of MI, the 95 % interval over images of one repetition, clean's and the method's together; it "
    "knows nothing of other victims and poisons."
)
ENDS = ("_low", "_high")
PANELS = {
    "accuracy_lost": "accuracy lost, %",
    "mi_lost": "MI lost, % (own net)",
    "mi_lost_clean_net": "MI lost, % (clean-trained)",
}


def by_depth(cells: pd.DataFrame, about: str) -> Figure:
    """cells: a row for each method and net, by depth, with the losses and their intervals."""
    nets = cells.drop_duplicates("net").set_index("net")
    names = [_label(*net) for net in zip(nets.index, nets["layers"], nets["features"], strict=True)]
    shown = cells.drop_duplicates("method")
    styles = styles_of([*shown["method"]], {*shown["method"][shown["control"]]})
    handles = legend(styles, ls="-", lw=1.4, ms=5)
    bars = [cells[f"{column}_low"].notna().any() for column in PANELS]
    caption = CAPTION + (REPEATED if bars[0] else ONCE * any(bars))
    figure = titled_figure(f"Depth: {about}", caption, 0.6 + 1.75 * len(PANELS), handles=handles)
    everyone = figure.subplots(len(PANELS), 1, sharex=True, sharey=True)
    for axes, (column, label) in zip(everyone, PANELS.items(), strict=True):
        for offset, (method, style) in enumerate(styles.items()):
            ours = cells[cells["method"] == method].set_index("net").reindex(nets.index)
            aside = 0.3 * (offset / max(1, len(styles) - 1) - 0.5)  # so that marks do not hide each other
            _draw(axes, ours, column, aside, style)
        axes.axhline(0, color="0.6", lw=0.8, zorder=0)
        axes.grid(visible=True)
        axes.set_ylabel(label, fontsize=SMALL + 0.5)
    values = [100 * value for column in PANELS for value in cells[column].dropna()]
    ends = [100 * value for column in PANELS for end in ENDS for value in cells[f"{column}{end}"].dropna()]
    everyone[-1].set_ylim(limits(values, [*values, *ends]))
    everyone[-1].set_xticks(range(len(names)), names, fontsize=SMALL)
    everyone[-1].set_xlim(-0.5, len(names) - 0.5)
    return figure


def _label(net: str, layers: int, features: str) -> str:
    name = net.replace("-", "\n", 1)
    return f"{name}\n{layers}" + ("\n(logits)" if features == "logits" else "")


def _draw(axes: Axes, cells: pd.DataFrame, column: str, aside: float, style: MethodStyle) -> None:
    """One method's line over the nets; a net without a value leaves a hole."""
    middle, low, high = (100 * cells[f"{column}{end}"].astype(float) for end in ("", "_low", "_high"))
    places = [index + aside for index in range(len(cells))]
    axes.plot(places, middle, lw=1.1, ms=4.5, **style.lines)
    axes.vlines(places, low, high, color=style.color, lw=0.9)
