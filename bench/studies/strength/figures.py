"""Accuracy and MI gap against the budget, and against the share of poisoned images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from bench.report.figures.style import PERCENT, MethodStyle, styles_of, titled_figure
from bench.report.summary import heading
from bench.report.tables import DOUBTED
from bench.results.replicates import chance_of
from bench.results.rows import Row
from bench.results.select import CLEAN
from bench.studies.strength.points import StrengthPoint

HEIGHT = 2.6  # inches
ASIDE = 4  # points between methods' whiskers at one place
CHANCE, BASELINE = "chance", "the clean subset only"
LINES: dict[str, dict[str, Any]] = {
    CLEAN: {"color": "0.15", "ls": "--", "lw": 1.2},
    CHANCE: {"color": "0.5", "ls": ":", "lw": 1.2},
    BASELINE: {"color": "0.15", "ls": "-.", "lw": 1.6, "marker": "x", "ms": 7, "mew": 1.6, "zorder": 3},
}
MI = (
    "MI gap: what published features do not tell of clean ones, of what could be told in the same victim "
    f"(its ceiling), undefended. Whiskers: 95 % interval over poisons; none of one poison. {DOUBTED}: "
    "victims did not learn."
)
BUDGETS = "All training images poisoned, no defense. Hollow: controls. " + MI
SHARES = (
    "Poisons are crafted on all images, and published of those under the mask, which is the same for all "
    f"methods; the others are published clean. '{BASELINE}': trained on these others alone, for as many "
    "epochs; where its line is above a method's, the poisoned images are worse than none. " + MI
)


class Across(NamedTuple):
    """What is along x."""

    label: str
    place: Callable[[StrengthPoint], float]
    log: bool
    caption: str


BUDGET = Across("L-inf budget, 255ths", lambda p: p.eps_255, log=True, caption=BUDGETS)
SHARE = Across("poisoned, % of the training images", lambda p: 100 * p.share, log=False, caption=SHARES)


def by_eps(points: Sequence[StrengthPoint], rows: Sequence[Row]) -> Figure | None:
    """Two panels over budgets at share 1; None where nothing was measured."""
    shown = [p for p in points if p.share == 1 and p.eps_255 and p.accuracy is not None]
    title = f"Strength of the perturbation: {heading(rows)}" if shown else ""
    return _panels(title, points, shown, rows, BUDGET) if shown else None


def by_share(points: Sequence[StrengthPoint], rows: Sequence[Row]) -> Figure | None:
    """Two panels over shares, at the budget that has any; None where all images are poisoned."""
    budgets = {p.eps_255 for p in points if 0 < p.share < 1}
    shown = [p for p in points if p.eps_255 in budgets and not p.control and p.accuracy is not None]
    said = ", ".join(f"{eps:g}/255" for eps in sorted(budgets))
    title = f"Share of poisoned images at {said}: {heading(rows)}" if shown else ""
    return _panels(title, points, shown, rows, SHARE) if shown else None


def _panels(
    title: str,
    points: Sequence[StrengthPoint],
    shown: Sequence[StrengthPoint],
    rows: Sequence[Row],
    across: Across,
) -> Figure:
    """Draw test accuracy beside the MI gap, with lines for clean, chance and the shares' baselines."""
    styles = styles_of(dict.fromkeys(p.method for p in points), {p.method for p in points if p.control})
    least = sorted({(across.place(p), 100 * p.baseline.mean) for p in shown if p.baseline})
    names = {p.method for p in shown}
    forms = {name: style.lines for name, style in styles.items() if name in names}
    forms |= {name: LINES[name] for name in (CLEAN, CHANCE, *([BASELINE] if least else []))}
    handles = [Line2D([], [], label=name, **form) for name, form in forms.items()]
    figure = titled_figure(title, across.caption, HEIGHT, handles=handles)
    accuracy, gap = figure.subplots(1, 2)
    places = sorted({across.place(p) for p in shown})
    accuracy.set_title("test accuracy, %")
    gap.set_title("MI gap, nats")
    for axes, column in ((accuracy, "accuracy"), (gap, "mi_gap")):
        axes.grid(visible=True)
        if across.log:
            axes.set_xscale("log", base=2)
            axes.minorticks_off()
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.set_xlabel(across.label)
        known = [p for p in shown if getattr(p, column) is not None]
        methods = [name for name in styles if name in {p.method for p in known}]
        for place, name in enumerate(methods):
            aside = 0 if axes is accuracy else ASIDE * (place - (len(methods) - 1) / 2)
            _line(axes, [p for p in known if p.method == name], across, column, styles[name], aside)
    levels = {CLEAN: {p.accuracy.mean for p in points if p.method == CLEAN and p.accuracy}}
    levels[CHANCE] = {chance_of([row]) for row in rows}
    for name, level in ((name, level) for name, some in levels.items() for level in some):
        accuracy.axhline(100 * level, zorder=1.9, **LINES[name])
    accuracy.set_ylim(0, min(PERCENT[1], 115 * max(p.accuracy.mean for p in points if p.accuracy) + 1))
    if least:
        accuracy.plot(*zip(*least, strict=True), **LINES[BASELINE])
    gap.axhline(0, zorder=1.9, **LINES[CLEAN])
    return figure


def _line(
    axes: Axes, points: Sequence[StrengthPoint], across: Across, column: str, style: MethodStyle, aside: float
) -> None:
    """aside: points to the right of where it belongs, so that whiskers do not hide each other."""
    factor, means = 100 if column == "accuracy" else 1, [getattr(p, column) for p in points]
    x, y = [across.place(p) for p in points], [factor * own.mean for own in means]
    reach = [0.0 if own.low is None else factor * (own.high - own.low) / 2 for own in means]
    form = style.lines | {"lw": 1.4, "ms": 5, "elinewidth": 0.8}
    line = axes.errorbar(x, y, yerr=reach if any(reach) else None, **form)
    figure = axes.get_figure(root=True)
    assert figure is not None
    for artist in line.get_children():  # afterwards, so that the axes' limits are those of the places
        artist.set_transform(axes.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans))
    for p, place in zip(points, zip(x, y, strict=True), strict=True):
        if p.doubt:
            axes.annotate(DOUBTED, place, xytext=(4, 4), textcoords="offset points", color=style.color)
