"""How the victims learned: a panel for each defense, a line for each method."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures.style import PALE, PERCENT, MethodStyle, legend, method_styles, paneled_figure
from bench.report.summary import Summary, anchor
from bench.report.tables import LEARNED_NOT
from bench.results.aggregate import Curve

CAPTION = (
    "Solid: validation accuracy. Dashed: a fixed subset of the test images. Star: the highest point of the "
    "dashed line, an oracle that nobody can choose. Line ends differ from the table, which is measured "
    "on the whole test set."
)
SIZE = 3.2  # points, of a mark
DOUBTS = f" Pale: {LEARNED_NOT}."
REPS = " Means over repetitions; the band is from the least to the greatest."


def curves(summary: Summary) -> Figure | None:
    """None where no row has a curve."""
    known = {pair: curve for pair in summary.accuracy.cells if (curve := summary.curve(*pair))}
    shown = [name for name in summary.defenses if any(defense == name for _, defense in known)]
    if not known:
        return None
    several = any(len(rows) > 1 for rows in summary.groups.values())
    styles, title = method_styles(summary.rows), f"Learning curves: {summary.about}"
    handles = legend(styles, lw=1.6, ls="-", ms=SIZE)
    doubtful = any(summary.accuracy.cells[pair].doubt for pair in known)
    caption, footnote = CAPTION + REPS * several + DOUBTS * doubtful, summary.accuracy.footnote
    label = "accuracy, %"
    figure, panels = paneled_figure(title, caption, shown, 1.8, handles, label=label, footnote=footnote)
    for defense, axes in panels.items():
        axes.set_gid(anchor("curves", summary.id, defense))
        axes.set_ylim(PERCENT)
        for method in summary.methods:
            if (method, defense) in known:
                gid = anchor("curve", summary.id, method, defense)
                doubted = summary.accuracy.cells[method, defense].doubt is not None
                _line(axes, known[method, defense], styles[method], gid, PALE if doubted else 1)
    return figure


def _line(axes: Axes, curve: Curve, style: MethodStyle, gid: str, alpha: float) -> None:
    val, test = ([100 * value for value in values] for values in (curve.val, curve.test))
    low, high = ([100 * bound[side] for bound in curve.spread] for side in (0, 1))
    if low != high:
        axes.fill_between(curve.epochs, low, high, color=style.color, alpha=0.15 * alpha, lw=0)
    axes.plot(curve.epochs, test, color=style.color, lw=0.9, ls=(0, (3, 2)), alpha=0.8 * alpha)
    axes.plot(curve.epochs, val, lw=1.4, ms=SIZE, alpha=alpha, gid=gid, **style.lines)
    epoch, best = curve.peak
    axes.plot(epoch, 100 * best, marker="*", ms=8, mfc="white", mec=style.color, alpha=alpha, ls="none")
    axes.set_xlabel("epoch", fontsize=8)
