"""How far each estimator is off, against how far it may be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import PALETTE, SMALL, paneled_figure
from bench.studies.certificate.case import CaseResult

FAILED = "#d00000"
MARKERS = "osD^v"  # of sizes
CAPTION = (
    "A point for each case: its mean error as a share of what is accepted, which is the grey band; whiskers: "
    "standard deviation over draws, on the same scale, cut at the frame. Red: outside, or its intervals do "
    "not cover. A tick below: cases in which a bound was expected and no number. Nats; CKA's unit is 1."
)
FRAME = 2.2


def certificate(lines: Sequence[CaseResult]) -> Figure:
    """Draw a panel for each estimator."""
    names = list(dict.fromkeys(line.estimator for line in lines))
    sizes = sorted({line.n for line in lines})
    styles = {n: (PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]) for i, n in enumerate(sizes)}
    handles = [
        Line2D([], [], color=color, marker=marker, ls="none", ms=5, label=f"{n:,} images")
        for n, (color, marker) in styles.items()
    ]
    failed = sum(line.verdict == "FAILED" for line in lines)
    title = f"Certificate of the MI estimators: {len(lines)} cases, {failed} outside of what is accepted"
    label = "mean error / accepted error"
    figure, panels = paneled_figure(title, CAPTION, names, 2.1, handles, label=label, shared="y")
    for name, axes in panels.items():
        axes.axhspan(-1, 1, color="0.93", zorder=0)
        axes.axhline(0, color="0.6", lw=0.8, zorder=1)
        for line in lines:
            if line.estimator == name:
                _point(axes, line, *styles[line.n])
        axes.set_ylim(-FRAME, FRAME)
        axes.set_xlabel("truth", fontsize=SMALL)
    return figure


def _point(axes: Axes, line: CaseResult, color: str, marker: str) -> None:
    color = FAILED if line.verdict == "FAILED" else color
    if line.bias is None or line.tolerance is None or line.truth is None:
        if line.truth is not None and math.isfinite(line.truth):
            axes.plot(line.truth, 0.03, marker="|", color=color, transform=axes.get_xaxis_transform())
        return
    error = line.bias / line.tolerance
    spread = None if line.spread is None else line.spread / line.tolerance
    shown = min(max(error, -FRAME), FRAME)
    axes.errorbar(line.truth, shown, yerr=spread, marker=marker, ms=4, lw=0.7, color=color, ls="none")
