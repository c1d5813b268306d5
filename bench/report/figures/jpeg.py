"""Test accuracy against the quality of JPEG compression, a line for each method."""

from __future__ import annotations

import re
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import PERCENT, MethodStyle, legend, method_styles, titled_figure
from bench.report.summary import Summary
from bench.report.tables import DOUBTED, LEARNED_NOT
from bench.results.aggregate import Cell
from bench.results.replicates import chance_of
from bench.results.select import UNDEFENDED

HEIGHT = 3.0  # inches
CHANCE: dict[str, Any] = {"color": "0.5", "ls": ":", "lw": 1.2}
CAPTION = (
    "Victims trained on images compressed by JPEG; none: not compressed. On images that were JPEGs before "
    "this is a second compression. Whiskers, where there are several poisons (of clean, victims): 95 % "
    "interval of the mean. Hollow: control."
)


def jpeg_sweep(summary: Summary) -> Figure | None:
    """Percent over qualities, evenly spaced; None where no method was measured at two of them."""
    cells = {pair: cell for pair, cell in summary.accuracy.cells.items() if cell.mean is not None}
    qualities = {name: q for name in summary.defenses if (q := quality(name)) is not None}
    order = sorted({d for _, d in cells} & {*qualities}, key=lambda name: qualities[name])
    places = {name: place for place, name in enumerate([*order, UNDEFENDED])}
    swept = {
        method: [cells[method, name] for name in places if (method, name) in cells]
        for method in summary.methods
        if sum((method, name) in cells for name in order) > 1  # fewer are no sweep
    }
    if not swept:
        return None
    styles = method_styles(summary.rows)
    handles = legend({method: styles[method] for method in swept}, ls="-")
    handles.append(Line2D([], [], label="chance", **CHANCE))
    shown = [cell for own in swept.values() for cell in own]
    caption = CAPTION + f" {DOUBTED}: {LEARNED_NOT}." * any(cell.doubt for cell in shown)
    title, footnote = f"JPEG quality: {summary.about}", summary.accuracy.footnote
    figure = titled_figure(title, caption, HEIGHT, handles=handles, footnote=footnote)
    axes = figure.subplots()
    for method, own in swept.items():
        _line(axes, own, places, styles[method])
    for chance in {chance_of([row]) for row in summary.rows}:
        axes.axhline(100 * chance, zorder=1.9, **CHANCE)
    axes.set_xticks([*places.values()], [*(str(qualities[name]) for name in order), UNDEFENDED])
    axes.set_xlabel("JPEG quality of the training images")
    axes.set_title("test accuracy, %")
    axes.grid(visible=True)
    highest = max(cell.high or cell.mean or 0 for cell in shown)
    axes.set_ylim(0, min(PERCENT[1], 105 * highest + 1))
    return figure


def quality(defense: str) -> int | None:
    """Of a defense that is JPEG compression, by its name."""
    found = re.fullmatch(r"iss-jpeg(\d+)", defense)
    return int(found[1]) if found else None


def _line(axes: Axes, cells: list[Cell], places: dict[str, int], style: MethodStyle) -> None:
    """Without an interval there are no whiskers; what is no verdict has a sign."""
    x, y = [places[cell.defense] for cell in cells], [100 * (cell.mean or 0) for cell in cells]
    form = style.lines | {"lw": 1.4, "ms": 5, "elinewidth": 0.9, "capsize": 2}
    low = [0 if cell.low is None else mean - 100 * cell.low for mean, cell in zip(y, cells, strict=True)]
    high = [0 if cell.high is None else 100 * cell.high - mean for mean, cell in zip(y, cells, strict=True)]
    axes.errorbar(x, y, yerr=[low, high], **form)
    for place, cell in zip(zip(x, y, strict=True), cells, strict=True):
        if cell.doubt:
            axes.annotate(DOUBTED, place, xytext=(4, 4), textcoords="offset points", color=style.color)
