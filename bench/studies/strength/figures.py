"""Accuracy and MI gap against the budget, and against the share of poisoned images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from bench.report.figures.style import PERCENT, MethodStyle, titled_figure
from bench.report.summary import heading
from bench.results.rows import Row
from bench.results.select import CLEAN
from bench.studies.strength.points import Point
from bench.studies.style import studied_styles

X = Callable[[Point], float]  # where a point stands
HEIGHT = 2.6  # inches
ASIDE = 4  # points between methods' whiskers at one place
CHANCE, BASELINE = "chance", "the clean subset only"
LINES: dict[str, dict[str, Any]] = {
    CLEAN: {"color": "0.15", "ls": "--", "lw": 1.2},
    CHANCE: {"color": "0.5", "ls": ":", "lw": 1.2},
    BASELINE: {"color": "0.15", "ls": "-.", "lw": 1.6, "marker": "x", "ms": 7, "mew": 1.6, "zorder": 3},
}
MI = (
    "MI gap: clean's MI in its own victim minus the method's in its own, with the row's estimator, over the "
    "images as they were published; none where features have other dimensions than clean's. Whiskers: a "
    "standard deviation over repetitions; of one repetition MI's 95 % interval over images, clean's and the "
    "method's together, which knows nothing of other victims."
)
BUDGETS = "All training images poisoned, no defense. Hollow: controls. " + MI
SHARES = (
    "Poisons are crafted on all images, and published of those under the mask, which is the same for all "
    f"methods; the others are published clean. '{BASELINE}': trained on these others alone, for as many "
    "epochs; where its line is above a method's, the poisoned images are worse than none. " + MI
)


def by_eps(points: Sequence[Point], rows: Sequence[Row]) -> Figure | None:
    """Two panels over budgets at share 1; None where nothing was measured."""
    shown = [p for p in points if p.share == 1 and p.eps_255 and p.accuracy is not None]
    if not shown:
        return None
    title = f"Strength of the perturbation: {heading(rows)}"
    figure, (accuracy, gap) = _sheet(title, BUDGETS, points, shown, [CLEAN, CHANCE])
    levels = sorted({p.eps_255 for p in shown})
    for axes in (accuracy, gap):
        axes.set_xscale("log", base=2)
        axes.set_xticks(levels, [f"{level:g}" for level in levels])
        axes.minorticks_off()
        axes.set_xlabel("L-inf budget, 255ths")
    _accuracies(accuracy, points, shown, lambda p: p.eps_255, _classes(rows))
    _gaps(gap, points, shown, lambda p: p.eps_255)
    return figure


def by_share(points: Sequence[Point], rows: Sequence[Row]) -> Figure | None:
    """Two panels over shares, at the budget that has any; None where all images are poisoned."""
    budgets = {p.eps_255 for p in points if 0 < p.share < 1}
    shown = [p for p in points if p.eps_255 in budgets and not p.control and p.accuracy is not None]
    if not shown:
        return None
    said = ", ".join(f"{eps:g}/255" for eps in sorted(budgets))
    title = f"Share of poisoned images at {said}: {heading(rows)}"
    figure, (accuracy, gap) = _sheet(title, SHARES, points, shown, [CLEAN, CHANCE, BASELINE])
    for axes in (accuracy, gap):
        axes.set_xticks(sorted({100 * p.share for p in shown}))
        axes.set_xlabel("poisoned, % of the training images")
    _accuracies(accuracy, points, shown, lambda p: 100 * p.share, _classes(rows))
    baseline = sorted({(100 * p.share, 100 * p.baseline) for p in shown if p.baseline is not None})
    accuracy.plot([share for share, _ in baseline], [least for _, least in baseline], **LINES[BASELINE])
    _gaps(gap, points, shown, lambda p: 100 * p.share)
    return figure


def _classes(rows: Sequence[Row]) -> set[int]:
    return {row.classes for row in rows if row.classes}


def _sheet(
    title: str, caption: str, points: Sequence[Point], shown: Sequence[Point], lines: Sequence[str]
) -> tuple[Figure, tuple[Axes, Axes]]:
    """Two panels under one legend."""
    styles, names = _styles(points), {p.method for p in shown}
    handles = [
        Line2D([], [], label=n, **style.dots | {"ls": "-"}) for n, style in styles.items() if n in names
    ]
    handles += [Line2D([], [], label=name, **LINES[name]) for name in lines]
    figure = titled_figure(title, caption, HEIGHT, handles=handles)
    accuracy, gap = figure.subplots(1, 2)
    accuracy.set_title("test accuracy, %")
    gap.set_title("MI gap to clean, nats")
    for axes in (accuracy, gap):
        axes.grid(visible=True)
    return figure, (accuracy, gap)


def _styles(points: Sequence[Point]) -> dict[str, MethodStyle]:
    controls = {p.method for p in points if p.control}
    return studied_styles(dict.fromkeys(p.method for p in points), controls)


def _accuracies(axes: Axes, points: Sequence[Point], shown: Sequence[Point], x: X, classes: set[int]) -> None:
    """Percent, with lines for clean and for chance."""
    for own, style in _lines(points, shown, "accuracy"):
        _line(axes, own, x, 100, "accuracy", style)
    for clean in (p.accuracy for p in points if p.method == CLEAN and p.accuracy is not None):
        axes.axhline(100 * clean, zorder=1.9, **LINES[CLEAN])
    for number in classes:
        axes.axhline(100 / number, zorder=1.9, **LINES[CHANCE])
    highest = max(p.accuracy or 0.0 for p in points)
    axes.set_ylim(0, min(PERCENT[1], 115 * highest + 1))


def _gaps(axes: Axes, points: Sequence[Point], shown: Sequence[Point], x: X) -> None:
    lines = [*_lines(points, shown, "mi_gap")]
    for place, (own, style) in enumerate(lines):
        _line(axes, own, x, 1, "mi_gap", style, aside=ASIDE * (place - (len(lines) - 1) / 2))
    axes.axhline(0, zorder=1.9, **LINES[CLEAN])


def _lines(
    points: Sequence[Point], shown: Sequence[Point], column: str
) -> Iterator[tuple[list[Point], MethodStyle]]:
    """Yield the measured points of each method that has any."""
    for method, style in _styles(points).items():
        own = [p for p in shown if p.method == method and getattr(p, column) is not None]
        if own:
            yield own, style


def _line(
    axes: Axes,
    points: Sequence[Point],
    x: X,
    factor: float,
    column: str,
    style: MethodStyle,
    aside: float = 0,
) -> None:
    """aside: points to the right of where it belongs, so that whiskers do not hide each other."""
    y = [factor * getattr(p, column) for p in points]
    reach = [factor * _whisker(p, column) for p in points]
    form = style.dots | {"ls": "-", "lw": 1.4, "ms": 5, "elinewidth": 0.8}
    line = axes.errorbar([x(p) for p in points], y, yerr=reach if any(reach) else None, **form)
    figure = axes.get_figure(root=True)
    assert figure is not None
    for artist in line.get_children():  # afterwards, so that the axes' limits are those of the places
        artist.set_transform(axes.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans))


def _whisker(point: Point, column: str) -> float:
    """Half of it; 0 where none is known."""
    std = getattr(point, f"{column}_std")
    once = point.mi_gap_reach if column == "mi_gap" else None
    return std if std is not None else once or 0.0
