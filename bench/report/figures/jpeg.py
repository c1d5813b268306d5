"""Test accuracy against the quality of JPEG compression, a line for each method."""

from __future__ import annotations

import re
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import PALE, PERCENT, MethodStyle, legend, method_styles, titled_figure
from bench.report.summary import Summary
from bench.report.tables import DOUBTED, LEARNED_NOT
from bench.results.aggregate import Cell
from bench.results.replicates import chance_of
from bench.results.select import CLEAN, UNDEFENDED

HEIGHT = 3.0  # inches
ABREAST = 0.3  # of the way from one quality to the next
CHANCE: dict[str, Any] = {"color": "0.5", "ls": ":", "lw": 1.2}
CAPTION = (
    "Victims trained on images compressed by JPEG{}. On images that were JPEGs before this is a second "
    "compression. Whiskers, where there are several poisons (of clean, victims): 95 % interval of the mean. "
    "Hollow: control."
)


def jpeg_sweep(summary: Summary) -> Figure | None:
    """Draw percent over qualities, evenly spaced; None where no method was measured at two of them."""
    cells = {pair: cell for pair, cell in summary.accuracy.cells.items() if cell.mean is not None}
    qualities = {name: int(q[1]) for name in summary.defenses if (q := re.fullmatch(r"iss-jpeg(\d+)", name))}
    order = [*sorted(qualities, key=lambda name: qualities[name]), UNDEFENDED]
    found = {m: [cells[m, name] for name in order if (m, name) in cells] for m in summary.methods}
    swept = {m: own for m, own in found.items() if sum(cell.defense in qualities for cell in own) > 1}
    if not swept:
        return None
    shown = [cell for own in swept.values() for cell in own]
    seen = {cell.defense for cell in shown}
    places = {name: place for place, name in enumerate(name for name in order if name in seen)}
    styles = method_styles(summary.rows)
    handles = legend({method: styles[method] for method in swept}, ls="-")
    handles.append(Line2D([], [], label="chance", **CHANCE))
    caption = CAPTION.format(f"; {UNDEFENDED}: not compressed" * (UNDEFENDED in seen))
    abreast = any(cell.low is not None and cell.method != CLEAN for cell in shown)
    caption += " Methods stand beside each other." * abreast
    caption += f" Pale, and {DOUBTED}: {LEARNED_NOT}." * any(cell.doubt for cell in shown)
    title, footnote = f"JPEG quality: {summary.about}", summary.accuracy.footnote
    figure = titled_figure(title, caption, HEIGHT, handles=handles, footnote=footnote)
    axes = figure.subplots()
    for index, (method, own) in enumerate(swept.items()):
        aside = ABREAST * abreast * (index / len(swept) - 0.5)
        _line(axes, own, {name: place + aside for name, place in places.items()}, styles[method])
    for chance in {chance_of([row]) for row in summary.rows}:
        axes.axhline(100 * chance, zorder=1.9, **CHANCE)
    axes.set_xticks([*places.values()], [str(qualities.get(name, name)) for name in places])
    axes.set_xlabel("JPEG quality of the training images")
    axes.set_title("test accuracy, %")
    axes.grid(visible=True)
    highest = max(cell.high or cell.mean or 0 for cell in shown)
    axes.set_ylim(0, min(PERCENT[1], 105 * highest + 1))
    return figure


def _line(axes: Axes, cells: list[Cell], places: dict[str, float], style: MethodStyle) -> None:
    """Without an interval there are no whiskers; what is no verdict is pale and has a sign."""
    x, y = [places[cell.defense] for cell in cells], [100 * (cell.mean or 0) for cell in cells]
    axes.plot(x, y, lw=1.4, color=style.color)
    form = style.dots | {"ms": 5, "elinewidth": 0.9, "capsize": 2}
    for place, mean, cell in zip(x, y, cells, strict=True):
        ends = [mean if end is None else 100 * end for end in (cell.low, cell.high)]
        off = [[mean - ends[0]], [ends[1] - mean]]
        axes.errorbar([place], [mean], yerr=off, alpha=PALE if cell.doubt else 1, **form)
        if cell.doubt:
            aside: dict[str, Any] = {"xytext": (4, 4), "textcoords": "offset points"}
            axes.annotate(DOUBTED, (place, mean), color=style.color, **aside)
