"""Names beside their marks, where they hide neither each other nor a mark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

REACHES = (7, 11, 16, 22, 30, 40)  # points from the mark to the middle of its name's nearer side
TURNS = 16  # directions tried at each
MARK = 3.5  # points: half of a mark's width
FAR = 12  # points from which a name needs a line to its mark


@dataclass(frozen=True)
class Label:
    x: float  # of the mark, in the axes' data
    y: float
    text: str
    color: str


def place(figure: Figure, panels: Sequence[tuple[Axes, Sequence[Label]]], size: float) -> list[Annotation]:
    """Write the labels; the figure is laid out first, and nothing that moves its axes may follow."""
    figure.draw_without_rendering()
    return [note for axes, labels in panels for note in _place(axes, labels, size, figure.dpi / 72)]


def _place(axes: Axes, labels: Sequence[Label], size: float, dots: float) -> list[Annotation]:
    """dots: pixels of a point."""
    marks = [axes.transData.transform((label.x, label.y)) for label in labels]
    taken = [Bbox.from_extents(*(mark - MARK * dots), *(mark + MARK * dots)) for mark in marks]
    room, notes = axes.get_window_extent(), []
    for label, mark in zip(labels, marks, strict=True):
        note = axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=size,
            color=label.color,
            annotation_clip=False,
        )
        note.set_in_layout(False)
        shape = note.get_window_extent()
        half = np.array([shape.width, shape.height]) / 2
        box, offset = min(
            _places(mark, half, dots), key=lambda found: _cost(found[0], found[1], taken, room, dots)
        )
        note.set_position((offset[0] / dots, offset[1] / dots))
        taken.append(box)
        notes.append(note)
        if np.hypot(*offset) > FAR * dots + half[0]:
            axes.annotate(
                "",
                xy=(label.x, label.y),
                xytext=(offset[0] / dots, offset[1] / dots),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": label.color, "lw": 0.5, "alpha": 0.6, "shrinkA": 4},
            ).set_in_layout(False)
    return notes


def _places(
    mark: NDArray[np.float64], half: NDArray[np.float64], dots: float
) -> Iterator[tuple[Bbox, NDArray[np.float64]]]:
    """Boxes around the mark, the near ones first, with where their middle is from it (pixels)."""
    for reach in REACHES:
        for turn in range(TURNS):
            way = np.array([cos(2 * pi * turn / TURNS), sin(2 * pi * turn / TURNS)])
            offset = way * (reach * dots + half * np.abs(way) - half[1])
            middle = mark + offset
            yield Bbox.from_extents(*(middle - half), *(middle + half)), offset


def _cost(
    box: Bbox, offset: NDArray[np.float64], taken: Sequence[Bbox], room: Bbox, dots: float
) -> tuple[float, float]:
    """Pixels that would be hidden or outside; then how far away it is."""
    hidden = sum(_common(box, other) for other in taken)
    outside = box.width * box.height - _common(box, room)
    return round(hidden + outside, 3), float(np.hypot(*offset)) / dots


def _common(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else both.width * both.height
