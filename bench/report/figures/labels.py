"""Names beside their marks, where they hide neither each other nor a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
REACHES = (9, 13, 18, 24, 32, 42)  # points from a mark to a name, tried one after the other
TURNS = 16  # directions tried at each
MARK = 4.0  # points: half of a mark's width
BAR = 1.0  # points: half of a bar's
NEAR = 13  # points; a name further off has a line to its mark


@dataclass(frozen=True)
class Label:
    x: float  # of the mark, in the axes' data
    y: float
    text: str
    color: str
    wide: float = 0.0  # half of the mark's bar along x, in the axes' data; 0: it has none
    high: float = 0.0  # along y


def place(
    figure: Figure, panels: Sequence[tuple[Axes, Sequence[Label]]], size: float, apart: float = 0
) -> list[Annotation]:
    """Write the labels; the figure is laid out first, and nothing that moves its axes may follow.

    apart: points that are left free beside each.
    """
    figure.draw_without_rendering()
    return [note for axes, labels in panels for note in _place(axes, labels, size, figure.dpi / 72, apart)]


def _place(axes: Axes, labels: Sequence[Label], size: float, dots: float, apart: float) -> list[Annotation]:
    """One after the other where least is hidden, then nearest. dots: pixels of a point."""
    marks = [np.asarray(axes.transData.transform((label.x, label.y))) for label in labels]
    taken = [np.array([*(mark - MARK * dots), *(mark + MARK * dots)]) for mark in marks]
    taken += [_bar(axes, label, dots) for label in labels if label.wide or label.high]
    room, notes = np.array(axes.get_window_extent().extents), []
    for label, mark in zip(labels, marks, strict=True):
        form: dict[str, Any] = {"color": label.color, "ha": "center", "va": "center"}
        note = _annotate(axes, label, label.text, (0, 0), fontsize=size, annotation_clip=False, **form)
        shape = note.get_window_extent()
        half = np.array([shape.width, shape.height]) / 2
        offsets = _offsets(half, dots)
        boxes = np.hstack([mark + offsets - half, mark + offsets + half])
        hidden = sum(_common(boxes, other) for other in taken) + 4 * half.prod() - _common(boxes, room)
        best = int(np.argmin(np.round(hidden, 3)))  # the first of equals is the nearest
        offset = (float(offsets[best][0] / dots), float(offsets[best][1] / dots))
        note.set_position(offset)
        taken.append(boxes[best] + apart * dots * np.array([-1, 0, 1, 0]))
        notes.append(note)
        if REACHES[best // TURNS] > NEAR:
            line = {"arrowstyle": "-", "color": label.color, "lw": 0.5, "alpha": 0.6, "shrinkA": 4}
            _annotate(axes, label, "", offset, arrowprops=line)
    return notes


def _bar(axes: Axes, label: Label, dots: float) -> Doubles:
    """Return the box of a mark's bars, pixels; no mark here has both."""
    reach = np.array([label.wide, label.high])
    middle = np.array([label.x, label.y])
    ends = axes.transData.transform([middle - reach, middle + reach])
    return np.concatenate([ends[0] - BAR * dots, ends[1] + BAR * dots])


def _annotate(axes: Axes, label: Label, text: str, offset: tuple[float, float], **form: Any) -> Annotation:
    """Write at an offset from the mark, points."""
    at: dict[str, Any] = {"xy": (label.x, label.y), "xytext": offset, "textcoords": "offset points"}
    note = axes.annotate(text, **at, **form)
    note.set_in_layout(False)
    return note


def _offsets(half: Doubles, dots: float) -> Doubles:
    """Where a name's middle may be from its mark (places,2), pixels, the near ones first."""
    turns = 2 * np.pi * np.arange(TURNS) / TURNS
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return np.concatenate([ways * (reach * dots + half * np.abs(ways) - half[1]) for reach in REACHES])


def _common(boxes: Doubles, other: Doubles) -> Doubles:
    """Area that boxes (places,4), left bottom right top, share with another."""
    sides = np.minimum(boxes[:, 2:], other[2:]) - np.maximum(boxes[:, :2], other[:2])
    area: Doubles = np.maximum(sides, 0).prod(axis=1)
    return area
