"""What crafting takes against what it protects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import QUIET, SMALL, MethodStyle, method_styles, spread, titled_figure
from bench.report.summary import Cost, Evidence
from bench.results.select import CLEAN, UNDEFENDED

CAPTION = (
    "Lower protects better. Large: the highest accuracy over the set of defenses ({}), since a defender "
    "chooses; that defense is named beside it. Small: without a defense. A method without a large mark lacks "
    "cells. Seconds of one crafting, on {}. Hollow: controls."
)
FLOOR = 0.1  # seconds; below it everything is free


def cost(evidence: Evidence) -> Figure | None:
    """None where no crafting was timed."""
    found = [c for c in evidence.costs() if (c.undefended, c.worst) != (None, None)]
    points = [c for c in found if c.method != CLEAN]
    if not points or evidence.board is None:
        return None
    grey: dict[str, Any] = {"marker": "o", "color": QUIET, "ls": "none"}
    sizes = {"highest over the set of defenses": 8, f"under {UNDEFENDED}": 4}
    handles = [Line2D([], [], ms=size, label=name, **grey) for name, size in sizes.items()]
    title, high = f"Cost against protection: {evidence.about}", max(2.9, 0.5 + 0.25 * len(points))
    caption = CAPTION.format(", ".join(evidence.board.defenses), evidence.board.crafted_on)
    figure = titled_figure(title, caption, high, handles=handles)
    axes, styles = figure.subplots(), method_styles(evidence.rows)
    for point in points:
        _draw(axes, point, styles[point.method])
    _time_axis(axes, [max(c.seconds, FLOOR) for c in points])
    axes.set(ylim=(0, 100), ylabel="test accuracy, %", xlabel="crafting time (log)")
    axes.grid(visible=True)
    for clean in (c for c in found if c.method == CLEAN):
        _clean(axes, clean)
    _names(axes, points, styles)
    return figure


def _draw(axes: Axes, point: Cost, style: MethodStyle) -> None:
    x = max(point.seconds, FLOOR)
    ends = [100 * value for value in (point.undefended, point.worst) if value is not None]
    axes.plot([x] * len(ends), ends, color=style.color, lw=1, alpha=0.6)
    for value, size in ((point.undefended, 4), (point.worst, 8)):
        if value is not None:
            axes.plot(x, 100 * value, ms=size, **style.dots)


def _clean(axes: Axes, point: Cost) -> None:
    """Accuracy on images that nobody changed, as lines: crafting them costs nothing."""
    named = {f"{point.method}, {UNDEFENDED}": point.undefended, f"{point.method}, highest": point.worst}
    known = sorted((100 * value, name) for name, value in named.items() if value is not None)
    for (y, name), side in zip(known, ("top", "bottom") if len(known) > 1 else ("bottom",), strict=True):
        axes.axhline(y, color=QUIET, ls="--" if side == "bottom" else ":", lw=0.9, zorder=0)
        axes.annotate(
            name,
            xy=(0, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(3, 2 if side == "bottom" else -2),
            textcoords="offset points",
            fontsize=SMALL,
            color=QUIET,
            va=side,
        )


def _time_axis(axes: Axes, seconds: Sequence[float]) -> None:
    low, high = math.floor(math.log10(min(seconds)) - 0.1), math.ceil(math.log10(max(seconds)) + 0.1)
    axes.set_xscale("log")
    axes.set_xlim(10.0**low, 10.0**high)
    ticks = [10.0**power for power in range(low, high + 1)]
    axes.set_xticks(ticks, [f"{tick:g} s" for tick in ticks])
    axes.minorticks_off()


def _names(axes: Axes, points: Sequence[Cost], styles: dict[str, MethodStyle]) -> None:
    """In a column at the right, each with a line to its mark: they cannot overlap."""
    marks = [100 * next(v for v in (p.worst, p.undefended) if v is not None) for p in points]
    for point, y, place in zip(points, marks, spread(marks, 6.5, 2, 98), strict=True):
        chosen = f" ({point.chosen})" if point.chosen else ""
        axes.annotate(
            f"{point.method}{chosen}",
            xy=(max(point.seconds, FLOOR), y),
            xytext=(1.03, place / 100),
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),  # to the name's beginning, and not towards its middle
                "color": styles[point.method].color,
                "lw": 0.6,
                "alpha": 0.7,
            },
        )
