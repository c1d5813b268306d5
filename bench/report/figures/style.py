"""What all figures share: their width, fonts and colours, and how they become the same bytes again."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from bench.core.texts import printable
from bench.results.rows import Row
from bench.results.select import CLEAN, bare, in_order, lesser

WIDTH = 7.6  # inches; a README shows it at about 800 pixels, so that a point is 1.5 of them
DPI = 160
LINE = 0.19  # inches
SMALL, HEADING = 7.5, 10  # points
COLUMNS = 3  # panels beside each other
BEYOND = 0.4  # of the span of all values, how far intervals are followed beyond it
PERCENT = 0, 103  # marks at 100 stay whole
PALE = 0.3  # opacity of what is no verdict
QUIET = "0.35"  # grey of what explains
# seaborn's colour-blind safe palette without what is too pale or too grey for a thin line
PALETTE = [sns.color_palette("colorblind").as_hex()[i] for i in (0, 3, 2, 4, 1, 5, 9)]
GREYS = ("0.15", "0.55")  # of controls
BLUE, RED, GREEN, PURPLE, *_ = PALETTE
LOOKS = {  # method -> colour and marker in all figures; variants have a shade of their family's
    "clean": (GREYS[0], "o"),
    "random": (GREYS[1], "s"),
    "em": (BLUE, "o"),
    "em-class": ("#73b2d5", "D"),
    "em-gray": ("#9ab8cc", "H"),
    "em-mine": ("#4f8ab0", "D"),
    "em-positive": ("#01456b", "P"),
    "emax": (GREEN, "^"),
    "mi-ue": (RED, "s"),
    "mi-ue-cos": ("#e8a673", "X"),
    "mi-ue-trunc": ("#803800", "v"),
    "sem": ("#9c755f", "v"),
    "tap": (PURPLE, "<"),
}
MARKERS = ">phd8"  # of methods that are not in LOOKS; a star is the oracle


@dataclass(frozen=True)
class MethodStyle:
    """How a method is shown, alike in all figures."""

    color: str
    marker: str
    control: bool

    @property
    def dots(self) -> dict[str, Any]:
        """Controls are hollow."""
        face = "white" if self.control else self.color
        return {"marker": self.marker, "mfc": face, "mec": self.color, "color": self.color, "ls": "none"}

    @property
    def lines(self) -> dict[str, Any]:
        return self.dots | {"ls": "-"}


def style_of(method: str, control: bool = False) -> MethodStyle:
    """Look up a method's style, or choose one by its name alone: whatever else is shown, it stays."""
    name, chance = bare(method).removeprefix("file:"), sha256(method.encode()).digest()
    family = max((own for own in LOOKS if name == own or lesser(name, own)), key=len, default=None)
    colors = GREYS if control else PALETTE
    color = LOOKS[family][0] if family else colors[chance[0] % len(colors)]
    marker = LOOKS[method][1] if method in LOOKS else MARKERS[chance[1] % len(MARKERS)]
    return MethodStyle(color, marker, control or color in GREYS)


def styles_of(methods: Iterable[str], controls: Collection[str] = ()) -> dict[str, MethodStyle]:
    """Style methods, in the order given."""
    return {name: style_of(name, name in controls) for name in methods}


def method_styles(rows: Sequence[Row]) -> dict[str, MethodStyle]:
    """Style the methods of rows, in their order."""
    methods = in_order((row.method for row in rows), None, CLEAN)
    return styles_of(methods, {row.method for row in rows if row.control})


def legend(styles: Mapping[str, MethodStyle], **form: Any) -> list[Line2D]:
    """Make a mark for each method."""
    return [Line2D([], [], label=name, **style.dots | form) for name, style in styles.items()]


@contextmanager
def style() -> Iterator[None]:
    """Names are text, never mathematics; the same figure is the same bytes."""
    settings: dict[Any, Any] = {
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "0.5",
        "axes.titlelocation": "left",
        "grid.color": "0.9",
        "legend.frameon": False,
        "svg.hashsalt": "ue-bench",
        "svg.fonttype": "path",
        "text.parse_math": False,
    }
    with rc_context(settings):
        yield


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Break a text, size points high, into lines at most width inches long."""
    font, lines = FontProperties(size=size, weight=weight), [""]
    for word in printable(text, "\n").split():
        longer = f"{lines[-1]} {word}".lstrip()
        fits = text_to_path.get_text_width_height_descent(longer, font, ismath=False)[0] <= 72 * width
        lines[-1:] = [longer] if fits or not lines[-1] else [lines[-1], word]
    return "\n".join(lines)


def titled_figure(
    title: str,
    caption: str,
    height: float,
    width: float = WIDTH,
    handles: Sequence[Line2D] = (),
    footnote: str = "",
) -> Figure:
    """Make a figure with room (inches) between its title and legend and what one must know of it.

    footnote: a line below the caption, for those who look for files.
    """
    top = wrapped(title, 0.98 * width, HEADING, "bold")
    bottom = "\n".join(filter(None, [wrapped(caption, 0.98 * width, SMALL), footnote]))
    widest = max((len(str(handle.get_label())) for handle in handles), default=0)
    columns = max(1, min(len(handles), int(width * 11 / (widest + 6))))
    heading = 0.12 + LINE * (1 + top.count("\n"))
    above = heading + LINE * -(-len(handles) // columns) + 0.04
    below = 0.1 + 0.78 * LINE * (1 + bottom.count("\n"))
    high = height + above + below
    figure = Figure(figsize=(width, high), layout="constrained", dpi=DPI)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, below / high, 1, height / high))
    figure.text(0.01, 1 - 0.06 / high, top, va="top", fontsize=HEADING, fontweight="bold")
    figure.text(0.01, 0.06 / high, bottom, va="bottom", fontsize=SMALL, color=QUIET)
    if handles:
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.01, 1 - heading / high)}
        shown = figure.legend(handles=list(handles), ncols=columns, fontsize=8.5, borderaxespad=0, **place)
        shown.set_in_layout(False)
    return figure


def paneled_figure(
    title: str,
    caption: str,
    names: Sequence[str],
    high: float,
    handles: Sequence[Line2D] = (),
    *,
    label: str | None = None,
    columns: int = COLUMNS,
    shared: str = "xy",
    footnote: str = "",
) -> tuple[Figure, dict[str, Axes]]:
    """Make a figure with a panel for each name, high inches tall. label: of all axes up; shared: scales."""
    down = -(-len(names) // columns)
    figure = titled_figure(title, caption, 0.2 + high * down, handles=handles, footnote=footnote)
    grid = figure.subplots(
        down, min(columns, len(names)), sharex="x" in shared, sharey="y" in shared, squeeze=False
    )
    for spare in grid.flat[len(names) :]:
        spare.set_visible(False)
    panels = dict(zip(names, grid.flat, strict=False))
    for index, (name, axes) in enumerate(panels.items()):
        axes.set_title(name)
        axes.grid(visible=True)
        axes.tick_params(labelbottom=index + columns >= len(names) or "x" not in shared, length=2)
    if label:
        figure.supylabel(label, fontsize=9)
    return figure, panels


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least a gap apart, in the order of the wanted ones and near them, within the bounds."""
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    places = [0.0] * len(wanted)
    least = low
    for i in order:
        places[i] = max(wanted[i], least)
        least = places[i] + gap
    most = high
    for i in reversed(order):
        places[i] = min(places[i], most)
        most = places[i] - gap
    return places


def png(figure: Figure, stamp: str | None = None) -> bytes:
    """Draw as PNG. stamp: what the file says of itself."""
    return _saved(figure, "png", {"Software": None, **({"Comment": stamp} if stamp else {})})


def png_and_svg(figure: Figure) -> tuple[bytes, bytes]:
    return png(figure), _saved(figure, "svg", {"Date": None, "Creator": None})


def _saved(figure: Figure, form: str, metadata: dict[str, Any]) -> bytes:
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_text() != (shown := printable(text.get_text(), "\n")):
            text.set_text(shown)  # XML cannot hold it
    if engine := figure.get_layout_engine():  # once: to lay out takes longer than to draw, which does it anew
        engine.execute(figure)
        figure.set_layout_engine(None)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def limits(values: Sequence[float], ends: Sequence[float]) -> tuple[float, float]:
    """Limit an axis to all values, and to the ends of their intervals as long as the values stay legible.

    What reaches farther is cut at the edge: intervals over two poisons are often wider than all else.
    """
    low, high = min(values), max(values)
    room = (high - low) or abs(high) or 1.0
    least, most = max(min(ends), low - BEYOND * room), min(max(ends), high + BEYOND * room)
    return least - 0.15 * room, most + 0.15 * room
