"""Accuracy of all cells: methods down, defenses across."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from seaborn.utils import relative_luminance

from bench.report.figures.style import PALE, QUIET, SMALL, WIDTH, titled_figure
from bench.report.summary import Summary
from bench.report.tables import DOUBTED, LEARNED_NOT, STOPPED, Table

CELL = 0.95, 0.42  # inches, across and down
COLORS = "cividis"
MISSING, ABSENT = "missing", "–"  # a status, and the sign of it: words of narrow columns would touch


def shade(mean: float, *, muted: bool = False) -> tuple[str, str]:
    """Return the colour of an accuracy, and black or white, whichever reads better on it. muted: pale."""
    red, green, blue = (1 - (PALE if muted else 1) * (1 - part) for part in colormaps[COLORS](mean)[:3])
    color = to_hex((red, green, blue))
    return color, "#000000" if relative_luminance(color) > 0.18 else "#ffffff"


def heat_map(summary: Summary) -> Figure:
    """Percent in the cells; dark is protection; what is not there is hatched and says why."""
    table = summary.accuracy
    longest = max(len(method) for method in table.methods)
    width = min(max(1.6 + 0.08 * longest + CELL[0] * len(table.defenses), 5.0), WIDTH)
    spread = any(cell.std is not None for cell in table.cells.values())
    high = CELL[1] * (1.25 if spread else 1) * len(table.methods)
    absent = any(cell.status == MISSING for cell in table.cells.values())
    doubtful = any(cell.doubt for cell in table.cells.values())
    caption = table.caption.replace(f"{STOPPED}. ", "")  # a column that the figure lacks
    caption += f" {ABSENT}: not run." * absent + f" {DOUBTED}: {LEARNED_NOT}." * doubtful
    title = f"Test accuracy, %: {summary.about}"
    figure = titled_figure(title, caption, 0.7 + high, width, footnote=table.footnote)
    axes = figure.subplots()
    _draw(axes, table)
    return figure


def _draw(axes: Axes, table: Table) -> None:
    means = [[table.cells[m, d].mean for d in table.defenses] for m in table.methods]
    values = np.array([[np.nan if mean is None else 100 * mean for mean in row] for row in means])
    texts = np.array([[text.replace(" ", "\n") for text in table.texts(m)] for m in table.methods])
    sns.heatmap(
        values,
        ax=axes,
        annot=texts,
        fmt="",
        vmin=0,
        vmax=100,
        cmap=COLORS,
        linewidths=1,
        xticklabels=table.defenses,
        yticklabels=table.methods,
        cbar_kws={"label": "test accuracy, %", "pad": 0.02},
    )
    numbers = iter([*axes.texts])
    for (row, method), (column, defense) in product(enumerate(table.methods), enumerate(table.defenses)):
        cell = table.cells[method, defense]
        if cell.mean is None:
            _say_why(axes, column, row, cell.status)
            continue
        face, ink = shade(cell.mean, muted=cell.doubt is not None)
        next(numbers).set_color(ink)
        if cell.doubt:
            axes.add_patch(Rectangle((column, row), 1, 1, fc=face, ec="white", lw=2, zorder=1.5))
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
    if max(len(name) for name in table.defenses) * len(table.defenses) > 60:
        axes.set_xticklabels(axes.get_xticklabels(), rotation=25, ha="right")


def _say_why(axes: Axes, column: int, row: int, status: str) -> None:
    """Mark a cell without a number, which must not look like one."""
    axes.add_patch(Rectangle((column, row), 1, 1, fc="white", ec="0.8", hatch="////", lw=0))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    said, size = (ABSENT, 2 * SMALL) if status == MISSING else (status, SMALL)
    axes.text(column + 0.5, row + 0.5, said, **middle, fontsize=size, color=QUIET, bbox=box)
