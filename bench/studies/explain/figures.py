"""Rival explanations: each against the accuracy gap, and all correlations beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.labels import Label, place
from bench.report.figures.style import PALETTE, QUIET, SMALL, MethodStyle, titled_figure
from bench.results.correlation import ENOUGH, Correlation
from bench.studies.explain.compare import Comparison, contestants, family
from bench.studies.explain.points import Explanation, Point
from bench.studies.style import studied_styles

COLUMNS = 2
HIGH = 2.6  # inches, of a panel
LABEL = 6.5  # font size of names of points
APART = 3  # points between names
KINDS = {"MI": PALETTE[0], "proxy": PALETTE[2], "rival": PALETTE[1], "strength": QUIET}
POINTS = (
    "Numbers: the budget in 255ths; a line joins those of a method. Hollow: controls, in no correlation. "
    "ρ: Spearman's rank correlation over the points that are not controls; n: methods. "
)
ONCE = (
    " Thin bars: 95 % interval over images, of both ends of the gap together, where there is one repetition; "
    "it knows nothing of other victims and poisons."
)
DOTS = "Spearman's rank correlation with the accuracy gap over methods and budgets. "
MARKS = "Thick: without any one method. Cross: given the budget."
FEW = f"Fewer than {ENOUGH} methods: ρ only describes these, and has no interval."
MANY = "In brackets: 95 % interval, from drawing methods with replacement."
THIN = "Thin: 95 % interval, from drawing methods with replacement."


class Spot(NamedTuple):
    """Where a point is in a panel."""

    x: float
    y: float
    wide: float  # half of its interval along x; 0: none
    high: float  # along y


def scatters(found: Comparison, explanations: Sequence[Explanation]) -> Figure | None:
    """Small multiples: accuracy gap against each explanation; None where none has a correlation."""
    points = [point for point in found.points if point.gap is not None]
    shown = [e for e in explanations if found.judged[e.name].association.rho is not None]
    if not shown:
        return None
    titles = [f"{e.label}\n{found.judged[e.name].association}" for e in shown]
    spots = [
        [_spot(p.figures.get(e.name), p.gap, wide=p.reaches.get(e.name), y_scale=100) for p in points]
        for e in shown
    ]
    return _panels("Accuracy gap against what may explain it", titles, points, spots, "accuracy gap, points")


def directions(found: Comparison) -> Figure | None:
    """Draw the theory's direction: MI gap against the fall of the covariance within classes."""
    shown = [
        d for d in found.directions if any({d.cause, d.effect} <= p.figures.keys() for p in found.points)
    ]
    if not shown:
        return None
    titles = [f"{_label(found, d.cause)}\n{d.over_all}" for d in shown]
    spots = [
        [
            _spot(p.figures.get(d.cause), p.figures.get(d.effect), high=p.reaches.get(d.effect))
            for p in found.points
        ]
        for d in shown
    ]
    title = "Does lowering the covariance within classes lower MI?"
    return _panels(title, titles, found.points, spots, "MI gap, nats", share=False)


def correlations(found: Comparison) -> Figure | None:
    """Draw a line for each explanation; None where none has a correlation."""
    shown = [own for own in found.judged.values() if own.association.rho is not None]
    if not shown:
        return None
    handles = [Line2D([], [], marker="o", ls="none", color=c, label=kind) for kind, c in KINDS.items()]
    title = "What goes with the accuracy gap"
    few = found.n < ENOUGH
    caption = DOTS + (f"{MARKS} {FEW}" if few else f"{THIN} {MARKS}")
    figure = titled_figure(title, caption, 0.6 + 0.27 * len(shown), handles=handles)
    axes = figure.subplots()
    for y, own in enumerate(shown):
        _range(axes, y, own.association, KINDS[own.explanation.kind])
        beside = own.beside_strength
        if beside is not None and beside.rho is not None:
            axes.plot(beside.rho, y, marker="x", ms=6, color="black", ls="none", zorder=4)
        left = f", {own.left_out} left out, n = {own.association.n}" if own.left_out else ""
        said = f"{own.association.rho:.2f}, {own.verdict.value}{left}"
        axes.annotate(
            said, xy=(1.02, y), xycoords=axes.get_yaxis_transform(), va="center", fontsize=SMALL, color=QUIET
        )
    axes.set_yticks(range(len(shown)), [own.explanation.label for own in shown], fontsize=SMALL)
    axes.set(xlim=(-1.03, 1.03), ylim=(len(shown) - 0.4, -0.6), xlabel=f"ρ, n = {found.n} methods")
    axes.axvline(0, color="0.5", lw=0.8)
    axes.grid(visible=True, axis="x")
    return figure


def _range(axes: Axes, y: int, found: Correlation, color: str) -> None:
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [y, y], color=color, lw=1)
    if found.least is not None and found.most is not None:
        axes.plot([found.least, found.most], [y, y], color=color, lw=4, alpha=0.45, solid_capstyle="butt")
    assert found.rho is not None
    face = "white" if found.descriptive else color
    axes.plot(found.rho, y, marker="o", ms=6, mec=color, mfc=face, zorder=3)


def _panels(
    title: str,
    titles: Sequence[str],
    points: Sequence[Point],
    spots: Sequence[Sequence[Spot | None]],
    y_label: str,
    *,
    share: bool = True,
) -> Figure:
    """Draw a panel for each title, with a spot (or None) for each point."""
    styles = _styles(points)
    handles = [Line2D([], [], ms=6, label=name, **style.dots) for name, style in styles.items()]
    rows = -(-len(titles) // COLUMNS)
    n = len({family(point) for point in contestants(points)})
    bars = any(spot is not None and (spot.wide or spot.high) for own in spots for spot in own)
    caption = POINTS + (FEW if n < ENOUGH else MANY) + ONCE * bars
    figure = titled_figure(title, caption, HIGH * rows, handles=handles)
    grid = figure.subplots(rows, min(COLUMNS, len(titles)), sharey=share, squeeze=False)
    everyone = list(grid.flat)
    for axes in everyone[len(titles) :]:
        axes.set_visible(False)
    panels = []
    for axes, heading, known in zip(everyone, titles, spots, strict=False):
        axes.set_title(heading, fontsize=8)
        axes.grid(visible=True)
        axes.margins(0.16)
        axes.tick_params(labelsize=SMALL)
        axes.locator_params(axis="x", nbins=5)
        panels.append((axes, _draw(axes, points, known, styles)))
    figure.supylabel(y_label, fontsize=9)
    place(figure, panels, LABEL, apart=APART)
    return figure


def _draw(
    axes: Axes,
    points: Sequence[Point],
    spots: Sequence[Spot | None],
    styles: dict[str, MethodStyle],
) -> list[Label]:
    """Draw a line for each method; returns what is to be written beside its marks."""
    labels = []
    for method, style in styles.items():
        pairs = zip(points, spots, strict=True)
        own = [(p, spot) for p, spot in pairs if p.method == method and spot is not None]
        own.sort(key=lambda pair: pair[0].eps or 0)
        if not own:
            continue
        x, y, wide, high = zip(*(spot for _, spot in own), strict=True)
        axes.plot(x, y, color=style.color, lw=0.8, alpha=0.45, zorder=1)
        reach = wide if any(wide) else None, high if any(high) else None
        axes.errorbar(x, y, xerr=reach[0], yerr=reach[1], ms=5, zorder=2, elinewidth=0.5, **style.dots)
        for point, spot in own:
            strongest = point is own[-1][0]
            name = f"{method} {point.strength}" if strongest else point.strength
            labels.append(Label(spot.x, spot.y, name, style.color, spot.wide, spot.high))
    # The long names first: they need the most room.
    return sorted(labels, key=lambda label: -len(label.text))


def _spot(
    x: float | None,
    y: float | None,
    *,
    wide: float | None = None,
    high: float | None = None,
    y_scale: float = 1,
) -> Spot | None:
    return None if x is None or y is None else Spot(x, y_scale * y, wide or 0.0, y_scale * (high or 0.0))


def _styles(points: Sequence[Point]) -> dict[str, MethodStyle]:
    """Contestants by the alphabet, then controls in grey."""
    kinds = sorted({(point.control, point.method) for point in points})
    return studied_styles([name for _, name in kinds], {name for control, name in kinds if control})


def _label(found: Comparison, name: str) -> str:
    return next(e.label for e in found.explanations if e.name == name)
