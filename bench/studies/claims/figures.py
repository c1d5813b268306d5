"""Published numbers against ours: a panel for each source, a mark for each cell."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from bench.report.figures.labels import Label, place
from bench.report.figures.style import PERCENT, QUIET, SMALL, MethodStyle, legend, styles_of, titled_figure
from bench.report.tables import DOUBTED
from bench.results.select import CLEAN, in_order
from bench.studies.claims.card import UNITS, Board

TALL, LOW = 2.9, 2.0  # inches of a panel
MANY = 4  # cells in a low panel
BROKEN = " ✗"
CAPTION = (
    "A mark for each cell; colour and shape: its method; the word beside it: its defense, or its method if "
    "all have one defense; ✗: in a pair whose order is broken; ‡: victims did not learn. Whiskers: 95 % "
    "interval of ours over poisons, of clean over victims; without any there is one poison. In a reduced "
    "setting (see the table) the order counts and not the distance from the line. Hollow: controls. Sources "
    "with a single cell are in the table."
)


def scatter(boards: Sequence[Board]) -> Figure:
    """One panel below the other; the boards are comparable ones."""
    everything = [own for board in boards for own in board.judged]
    controls = {own.claim.method for own in everything if own.beside and own.beside.control}
    styles = styles_of(in_order((own.claim.method for own in everything), None, CLEAN), controls)
    heights = [TALL if len(board.judged) > MANY else LOW for board in boards]
    handles = [*legend(styles, ms=6), Line2D([], [], color=QUIET, ls=":", lw=1, label="as published")]
    figure = titled_figure("Published numbers against ours", CAPTION, sum(heights), handles=handles)
    grid = figure.subplots(len(boards), 1, squeeze=False, height_ratios=heights)
    panels = [*zip(grid[:, 0], boards, strict=True)]
    for axes, board in panels:
        _panel(axes, board, styles)
    for note in place(figure, [(axes, _labels(board, styles)) for axes, board in panels], SMALL):
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])  # above whiskers and lines
    return figure


def _panel(axes: Axes, board: Board, styles: dict[str, MethodStyle]) -> None:
    unit = UNITS[board.metric]
    source = board.title.removesuffix(f", {unit}")
    axes.set_title(f"{source}\n{board.correlation}", fontsize=8)
    axes.set_xlabel(f"published {unit}", fontsize=SMALL)
    axes.set_ylabel(f"our {unit}", fontsize=SMALL)
    axes.grid(visible=True)
    axes.margins(x=0.15, y=0.15)
    for own in filter(None, (own.beside for own in board.judged)):
        x, ours, style = own.claim.value, own.ours, styles[own.claim.method]
        if ours.low is not None and ours.high is not None:
            axes.vlines(x, ours.low, ours.high, color=style.color, lw=1)
        axes.plot(x, ours.mean, ms=6, **style.dots)
    if board.metric == "test_acc":
        axes.set(xlim=PERCENT, ylim=PERCENT)
        axes.plot(PERCENT, PERCENT, color=QUIET, ls=":", lw=1, zorder=0)


def _labels(board: Board, styles: dict[str, MethodStyle]) -> list[Label]:
    several, labels = len({own.claim.defense for own in board.judged}) > 1, []
    for own in board.judged:
        if own.beside is not None:
            word = own.claim.defense if several else own.claim.method
            signs = DOUBTED * bool(own.beside.doubt) + BROKEN * bool(own.against)
            place = own.claim.value, own.beside.ours.mean
            labels.append(Label(*place, f"{word}{own.claim.budget}{signs}", styles[own.claim.method].color))
    return labels
