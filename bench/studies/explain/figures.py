"""Rival explanations: each against the accuracy gap, and all correlations beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.report.figures.labels import Label, place
from bench.report.figures.style import (
    PALETTE,
    QUIET,
    SMALL,
    MethodStyle,
    legend,
    limits,
    paneled_figure,
    styles_of,
    titled_figure,
)
from bench.report.tables import DOUBTED
from bench.results.correlation import ENOUGH, Correlation
from bench.studies.explain.compare import ExplanationFindings
from bench.studies.explain.points import GAP, MethodPoint
from bench.studies.records import Explanation

COLUMNS = 2
HIGH = 2.6  # inches, of a panel
LABEL = 6.5  # font size of names of points
APART = 3  # points between names
KINDS = {"MI": PALETTE[0], "proxy": PALETTE[2], "rival": PALETTE[1], "strength": QUIET}
POINTS = (
    "Numbers: the L-inf budget in 255ths; a line joins those of a method. Hollow: controls. "
    "ρ: Spearman's rank correlation over the points that are not controls; n: methods. "
)
BARS = (
    " Thin bars, cut at the edge: 95 % interval over poisons or, of one repetition, interval over images, of "
    f"both ends of the gap together; that knows nothing of other victims and poisons. {DOUBTED}: "
    "victims did not learn."
)
DOTS = "Spearman's rank correlation with the accuracy gap over methods. "
MARKS = "Thick: without any one method. Cross: given the size of delta."
FEW = f"Fewer than {ENOUGH} methods: ρ only describes these, and has no interval."
MANY = "In brackets: 95 % interval, from drawing methods with replacement."
THIN = "Thin: 95 % interval, from drawing methods with replacement."


class Panel(NamedTuple):
    """What is drawn against what: names of explanations, or GAP."""

    title: str
    x: str
    y: str


def scatters(found: ExplanationFindings, explanations: Sequence[Explanation]) -> Figure | None:
    """Small multiples: accuracy gap against each explanation; None where none has a correlation."""
    known = [(e, found.judged[e.name].association) for e in explanations]
    shown = [Panel(f"{e.label}\n{rho}", e.name, GAP) for e, rho in known if rho.rho is not None]
    return _panels("Accuracy gap against what may explain it", "accuracy gap, points", shown, found)


def directions(found: ExplanationFindings) -> Figure | None:
    """Draw the theory's direction: MI gap against the fall of the covariance within classes."""
    labels = {e.name: e.label for e in found.explanations}
    shown = [
        Panel(f"{labels[d.cause]}\n{d.over_all}", d.cause, d.effect)
        for d in found.directions
        if any({d.cause, d.effect} <= p.figures.keys() for p in found.points)
    ]
    return _panels("Does lowering the covariance within classes lower MI?", "MI gap, nats", shown, found)


def correlations(found: ExplanationFindings) -> Figure | None:
    """Draw a line for each explanation; None where none has a correlation."""
    shown = [own for own in found.judged.values() if own.association.rho is not None]
    if not shown:
        return None
    handles = [Line2D([], [], marker="o", ls="none", color=c, label=kind) for kind, c in KINDS.items()]
    caption = DOTS + (f"{MARKS} {FEW}" if found.n < ENOUGH else f"{THIN} {MARKS}")
    figure = titled_figure(
        "What goes with the accuracy gap", caption, 0.6 + 0.27 * len(shown), handles=handles
    )
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


def _panels(title: str, y_label: str, shown: Sequence[Panel], found: ExplanationFindings) -> Figure | None:
    """Draw each panel, with a mark for each point that has both figures; None without panels."""
    if not shown:
        return None
    points = [p for p in found.points if any({panel.x, panel.y} <= p.coordinates.keys() for panel in shown)]
    kinds = sorted({(p.control, p.method) for p in points})  # by the alphabet, then controls in grey
    styles = styles_of([name for _, name in kinds], {name for control, name in kinds if control})
    bars = any(p.reach(name) for p in points for panel in shown for name in (panel.x, panel.y))
    caption = POINTS + (FEW if found.n < ENOUGH else MANY) + BARS * bars
    shared = "y" if len({panel.y for panel in shown}) == 1 else ""
    titles = [panel.title for panel in shown]
    figure, panels = paneled_figure(
        title, caption, titles, HIGH, legend(styles, ms=6), label=y_label, columns=COLUMNS, shared=shared
    )
    named = []
    for panel, axes in zip(shown, panels.values(), strict=True):
        axes.set_title(panel.title, fontsize=8)
        axes.tick_params(labelsize=SMALL)
        axes.locator_params(axis="x", nbins=5)
        _limit(axes, points, panel)
        labels = [label for method in styles for label in _draw(axes, points, panel, method, styles[method])]
        named.append((axes, sorted(labels, key=lambda label: -len(label.text))))  # these need the most room
    place(figure, named, LABEL, apart=APART)
    return figure


def _limit(axes: Axes, points: Sequence[MethodPoint], panel: Panel) -> None:
    """Keep the points legible, however wide their intervals are."""
    both = [p for p in points if {panel.x, panel.y} <= p.coordinates.keys()]
    every = [p for p in points if panel.y in p.coordinates]  # panels may share that axis
    for own, name, put in ((both, panel.x, axes.set_xlim), (every, panel.y, axes.set_ylim)):
        values = [p.coordinates[name] for p in own]
        put(limits(values, [p.coordinates[name] + sign * p.reach(name) for p in own for sign in (-1, 1)]))


def _draw(
    axes: Axes, points: Sequence[MethodPoint], panel: Panel, method: str, style: MethodStyle
) -> Iterator[Label]:
    """Join a method's points by budget; yields what is to be written beside their marks."""
    own = [p for p in points if p.method == method and {panel.x, panel.y} <= p.coordinates.keys()]
    if not own:
        return
    own.sort(key=lambda p: p.eps or 0)
    x, y = ([p.coordinates[name] for p in own] for name in (panel.x, panel.y))
    wide, high = ([p.reach(name) for p in own] for name in (panel.x, panel.y))
    axes.plot(x, y, color=style.color, lw=0.8, alpha=0.45, zorder=1)
    reach = wide if any(wide) else None, high if any(high) else None
    axes.errorbar(x, y, xerr=reach[0], yerr=reach[1], ms=5, zorder=2, elinewidth=0.5, **style.dots)
    for i, p in enumerate(own):
        name = (p.name if p is own[-1] else p.strength) + (DOUBTED if p.doubt else "")
        yield Label(x[i], y[i], name, style.color, wide[i], high[i])
