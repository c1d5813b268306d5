"""Does a lower MI go with a lower accuracy? A panel for each defense, a point for each method."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.figures.style import (
    PALE,
    PERCENT,
    SMALL,
    MethodStyle,
    legend,
    method_styles,
    paneled_figure,
)
from bench.report.summary import Summary
from bench.report.tables import LEARNED_NOT
from bench.results.aggregate import Cell
from bench.results.correlation import ENOUGH

CAPTION = (
    "ρ: Spearman's rank correlation over methods without controls (hollow); n: number of methods, of which a "
    "variant beside its base (em-class beside em) is none of its own; in brackets: 95 % interval, from "
    "drawing methods with replacement. Below "
    f"{ENOUGH} methods ρ describes these methods, has no interval and says nothing of others. MI is what "
    "published features tell of clean ones in the victim itself: a victim that failed shows in both axes. "
    "Whiskers, where there are repetitions: their standard deviation, no interval."
)
DOUBTS = f" Pale, and in no correlation: {LEARNED_NOT}."


def dependence(summary: Summary) -> Figure | None:
    """None where no cell has both MI and accuracy."""
    shown = [defense for defense in summary.defenses if summary.points(defense)]
    if not shown:
        return None
    styles, title = method_styles(summary.rows), f"MI against accuracy: {summary.about}"
    handles, label = legend(styles, ms=6), "test accuracy, %"
    doubtful = any(summary.doubted(d) & {*summary.points(d)} for d in shown)
    caption, footnote = CAPTION + DOUBTS * doubtful, summary.accuracy.footnote
    figure, panels = paneled_figure(
        title, caption, shown, 2.15, handles, label=label, shared="y", footnote=footnote
    )
    for defense, axes in panels.items():
        for method in summary.points(defense):
            pair = method, defense
            _point(axes, summary.mi.cells[pair], summary.accuracy.cells[pair], styles[method])
        said = str(summary.correlation(defense)).replace(", n", "\nn", 1)
        axes.set_title(f"{defense}\n{said}", fontsize=8)
        axes.margins(x=0.12)
        axes.set_ylim(PERCENT)
        axes.locator_params(axis="x", nbins=4)
    return figure


def _point(axes: Axes, mi: Cell, accuracy: Cell, style: MethodStyle) -> None:
    """Whiskers: a standard deviation over repetitions."""
    assert mi.mean is not None and accuracy.mean is not None
    axes.errorbar(
        mi.mean,
        100 * accuracy.mean,
        xerr=mi.std,
        yerr=None if accuracy.std is None else 100 * accuracy.std,
        ms=6,
        elinewidth=0.8,
        alpha=PALE if accuracy.doubt else 1,
        **style.dots,
    )
    axes.set_xlabel("MI, nats", fontsize=SMALL)
