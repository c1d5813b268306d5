"""How the victims learned: a panel for each defense, a line for each method."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import PERCENT, MethodStyle, method_styles, panels, rows_of, titled_figure
from bench.report.summary import Evidence, anchor
from bench.results.aggregate import Curve

CAPTION = (
    "Solid: validation accuracy. Dashed: a fixed subset of the test images. Star: the highest point of the "
    "dashed line, an oracle that nobody can choose. Line ends differ from the table, which is measured "
    "on the whole test set."
)
REPS = " Means over repetitions; the band is from the least to the greatest."


def curves(evidence: Evidence) -> Figure | None:
    """None where no row has a curve."""
    known = {pair: curve for pair in evidence.accuracy.cells if (curve := evidence.curve(*pair))}
    shown = [name for name in evidence.defenses if any(defense == name for _, defense in known)]
    if not known:
        return None
    several = any(len(rows) > 1 for rows in evidence.groups.values())
    styles = method_styles(evidence.rows)
    handles = [Line2D([], [], lw=1.6, label=name, **_dots(style)) for name, style in styles.items()]
    title, caption = f"Learning curves: {evidence.about}", CAPTION + REPS * several
    figure = titled_figure(title, caption, 0.3 + 1.8 * rows_of(shown), handles=handles)
    for axes, defense in zip(panels(figure, shown), shown, strict=True):
        axes.set_gid(anchor("curves", evidence.setting, defense))
        axes.set_ylim(PERCENT)
        for method in evidence.methods:
            if (method, defense) in known:
                gid = anchor("curve", evidence.setting, method, defense)
                _line(axes, known[method, defense], styles[method], gid)
    figure.supylabel("accuracy, %", fontsize=9)
    return figure


def _line(axes: Axes, curve: Curve, style: MethodStyle, gid: str) -> None:
    val, test = ([100 * value for value in values] for values in (curve.val, curve.test))
    low, high = ([100 * bound[side] for bound in curve.spread] for side in (0, 1))
    if low != high:
        axes.fill_between(curve.epochs, low, high, color=style.color, alpha=0.15, lw=0)
    axes.plot(curve.epochs, test, color=style.color, lw=0.9, ls=(0, (3, 2)), alpha=0.8)
    axes.plot(curve.epochs, val, lw=1.4, gid=gid, **_dots(style))
    epoch, best = curve.peak
    axes.plot(epoch, 100 * best, marker="*", ms=8, mfc="white", mec=style.color, ls="none")
    axes.set_xlabel("epoch", fontsize=8)


def _dots(style: MethodStyle) -> dict[str, Any]:
    return style.dots | {"ls": "-", "ms": 3.2}
