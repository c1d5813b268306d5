"""What crafting takes against what it protects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import PALE, QUIET, SMALL, MethodStyle, method_styles, spread, titled_figure
from bench.report.summary import Summary
from bench.report.tables import DOUBTED, LEARNED_NOT
from bench.results.leaderboard import MethodScores
from bench.results.select import CLEAN, UNDEFENDED

CAPTION = (
    "Lower protects better. Large: the highest accuracy over the set of defenses ({}), since a defender "
    "chooses; that defense is named beside it. Small: without a defense. A method without a large mark lacks "
    "cells. Seconds of one crafting, on {}. Hollow: controls."
)
FLOOR = 0.1  # seconds; below it everything is free
UNDER_NONE, HIGHEST = 4, 8  # points, of marks


def cost(summary: Summary) -> Figure | None:
    """None where no crafting was timed."""
    found = [own for own in summary.costs() if _heights(own)]
    points = [own for own in found if own.method != CLEAN]
    if not points or summary.board is None:
        return None
    grey: dict[str, Any] = {"marker": "o", "color": QUIET, "ls": "none"}
    sizes = {"highest over the set of defenses": HIGHEST, f"under {UNDEFENDED}": UNDER_NONE}
    handles = [Line2D([], [], ms=size, label=name, **grey) for name, size in sizes.items()]
    title, tall = f"Cost against protection: {summary.about}", max(2.9, 0.5 + 0.25 * len(points))
    caption = CAPTION.format(", ".join(summary.board.defenses), summary.board.crafted_on)
    doubtful = any(_doubted(own, size) for own in points for size in _heights(own))
    caption += f" Pale, and {DOUBTED}: {LEARNED_NOT}." * doubtful
    figure = titled_figure(title, caption, tall, handles=handles, footnote=summary.accuracy.footnote)
    axes, styles = figure.subplots(), method_styles(summary.rows)
    for own in points:
        x, heights, style = _seconds(own), _heights(own), styles[own.method]
        axes.plot([x] * len(heights), [*heights.values()], color=style.color, lw=1, alpha=0.6)
        for size, y in heights.items():
            axes.plot(x, y, ms=size, alpha=PALE if _doubted(own, size) else 1, **style.dots)
    low = math.floor(math.log10(min(map(_seconds, points))) - 0.1)
    high = math.ceil(math.log10(max(map(_seconds, points))) + 0.1)
    axes.set(xscale="log", xlim=(10.0**low, 10.0**high), xlabel="crafting time (log)")
    ticks = [10.0**power for power in range(low, high + 1)]
    axes.set_xticks(ticks, [f"{tick:g} s" for tick in ticks])
    axes.minorticks_off()
    axes.set(ylim=(0, 100), ylabel="test accuracy, %")
    axes.grid(visible=True)
    for own in found:
        if own.method == CLEAN:
            _clean(axes, own)
    _names(axes, points, styles)
    return figure


def _seconds(own: MethodScores) -> float:
    return max(own.craft_seconds or 0.0, FLOOR)


def _heights(own: MethodScores) -> dict[int, float]:
    """Map the sizes of a method's marks to accuracies in percent, where they are known."""
    known = {UNDER_NONE: own.undefended, HIGHEST: own.worst.mean if own.worst else None}
    return {size: 100 * y for size, y in known.items() if y is not None}


def _doubted(own: MethodScores, size: int) -> bool:
    """Whether an accuracy is no verdict."""
    cell = own.worst if size == HIGHEST else own.scores[UNDEFENDED].cell
    return cell is not None and cell.doubt is not None


def _clean(axes: Axes, clean: MethodScores) -> None:
    """Accuracy on images that nobody changed, as lines: crafting them costs nothing."""
    words = {UNDER_NONE: UNDEFENDED, HIGHEST: "highest"}
    known = sorted((y, f"{clean.method}, {words[size]}") for size, y in _heights(clean).items())
    for (y, name), side in zip(known, ("top", "bottom")[-len(known) :], strict=True):
        axes.axhline(y, color=QUIET, ls="--" if side == "bottom" else ":", lw=0.9, zorder=0)
        aside: dict[str, Any] = {"xytext": (3, 2 if side == "bottom" else -2), "textcoords": "offset points"}
        place = {"xy": (0, y), "xycoords": axes.get_yaxis_transform(), **aside}
        axes.annotate(name, **place, fontsize=SMALL, color=QUIET, va=side)


def _names(axes: Axes, points: Sequence[MethodScores], styles: Mapping[str, MethodStyle]) -> None:
    """In a column at the right, each with a line to its mark: they cannot overlap."""
    marks = [[*_heights(own).items()][-1] for own in points]
    places = spread([y for _, y in marks], 6.5, 2, 98)
    for own, (size, y), place in zip(points, marks, places, strict=True):
        line = {"arrowstyle": "-", "color": styles[own.method].color, "lw": 0.6, "alpha": 0.7}
        line["relpos"] = 0, 0.5  # to the name's beginning, and not towards its middle
        under = f" ({own.worst.defense})" if own.worst else ""
        axes.annotate(
            f"{own.method}{under}{DOUBTED * _doubted(own, size)}",
            xy=(_seconds(own), y),
            xytext=(1.03, place / 100),
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            arrowprops=line,
        )
