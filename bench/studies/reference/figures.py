"""The share that each defense gives back of each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.style import (
    PALETTE,
    QUIET,
    SMALL,
    paneled_figure,
)
from bench.report.summary import heading
from bench.results.rows import Row
from bench.results.select import UNDEFENDED, in_order
from bench.studies.reference.restored import HALF, PatternVerdict, RestoredShare

ROW = 0.165  # inches, of a defense
WINDOW = -0.75, 1.25  # of shares
MARKS: dict[PatternVerdict, tuple[str, dict[str, Any]]] = {
    PatternVerdict.HOLDS: ("restored", {"color": PALETTE[0], "marker": "o"}),
    PatternVerdict.BROKEN: ("not restored", {"color": PALETTE[1], "marker": "s"}),
    PatternVerdict.UNDECIDED: ("undecided", {"color": "0.35", "marker": "o", "mfc": "white"}),
    PatternVerdict.ONE_POISON: ("undecided: one poison", {"color": "0.35", "marker": "D", "mfc": "white"}),
}
DOT: dict[str, Any] = {"ms": 4.5, "lw": 1.2}
EDGE: dict[str, Any] = {"color": "0.7", "lw": 1}
BOUNDS: dict[float, dict[str, Any]] = {0: EDGE, HALF: {"color": "0.15", "lw": 1, "ls": "--"}, 1: EDGE}
RESTORED = (
    "The share given back of what a defense leaves clean: 0, as undefended; 1, as clean under the same "
    "defense. Whiskers: 95 % interval over poisons, of clean over victims; they are cut at the edges, and a "
    "triangle stands for a share beyond. Restored: the interval lies above 1/2 (dashed); not restored: "
    "below. With one poison of the method, or one victim of clean, there is no interval, and nothing is "
    "decided. Not defined: what could be given back is not clearly above 0. Without a mark: not run."
)


def restored(shares: Sequence[RestoredShare], rows: Sequence[Row]) -> Figure | None:
    """Draw a panel for each method that has a share; defenses down."""
    known = [share for share in shares if share.value is not None]
    if not known:
        return None
    methods = list(dict.fromkeys(share.method for share in known))
    shown = [
        share for share in shares if share.method in methods and share.restored is not PatternVerdict.NOT_RUN
    ]
    places = {
        name: place for place, name in enumerate(in_order({s.defense for s in shown}, None, UNDEFENDED))
    }
    used = {share.restored for share in shown}
    handles = [
        Line2D([], [], label=word, **DOT, **form) for own, (word, form) in MARKS.items() if own in used
    ]
    title = f"Share given back by the defense: {heading(rows)}"
    figure, panels = paneled_figure(title, RESTORED, methods, 0.5 + ROW * len(places), handles)
    for method, axes in panels.items():
        for x, style in BOUNDS.items():
            axes.axvline(x, zorder=1.9, **style)  # above the grid
        for share in (share for share in shown if share.method == method):
            _mark(axes, share, places[share.defense])
        axes.set_xlim(*WINDOW)
        axes.set_yticks([*places.values()], list(places))
        axes.set_ylim(len(places) - 0.5, -0.5)
    return figure


def _mark(axes: Axes, share: RestoredShare, place: int) -> None:
    """Draw a dot with its interval; words where there is no share."""
    if share.value is None:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        middle: dict[str, Any] = {"ha": "center", "va": "center", "bbox": box}
        axes.text(HALF, place, str(share.restored), fontsize=SMALL, color=QUIET, **middle)
        return
    style = DOT | MARKS[share.restored][1]
    least, most = WINDOW
    beyond = {"marker": "<" if share.value < least else ">"} if not least <= share.value <= most else {}
    if share.low is not None and share.high is not None:
        axes.plot([share.low, share.high], [place, place], color=style["color"], lw=style["lw"])
    axes.plot([min(max(share.value, least), most)], [place], clip_on=not beyond, **style | beyond, ls="none")
