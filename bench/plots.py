"""Tables -> figures: derived files, like the tables themselves."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.rows import Row
from bench.tables import Table, identity, tables

CELL = 0.95, 0.5  # inches, across and down
DPI = 150


def write_plots(
    rows: Sequence[Row],
    out: Path,
    *,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
) -> list[Path]:
    """Write a heat map of accuracy for each setting; names as those of the tables."""
    several = len({row.setting for row in rows}) > 1
    written = []
    for table in tables(sorted(rows, key=identity), methods, defenses):
        if table.measure == "accuracy":
            path = out / (f"accuracy-{table.setting[:8]}.png" if several else "accuracy.png")
            _save(heat_map(table), path)
            written.append(path)
    return written


def heat_map(table: Table) -> Figure:
    """Methods down, defenses across, percent in the cells; dark is protection."""
    means = [[table.cells[m, d].mean for d in table.defenses] for m in table.methods]
    values = np.array([[np.nan if mean is None else 100 * mean for mean in row] for row in means])
    texts = np.array([[text.replace(" ", "\n") for text in table.texts(m)] for m in table.methods])
    wide, high = 1.8 + CELL[0] * len(table.defenses), 1.5 + CELL[1] * len(table.methods)
    figure = Figure(figsize=(max(wide, 5.0), high), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(
        values,
        ax=axes,
        annot=texts,
        fmt="",
        vmin=0,
        vmax=100,
        cmap="cividis",
        linewidths=1,
        xticklabels=table.defenses,
        yticklabels=table.methods,
        cbar_kws={"label": "test accuracy, %"},
    )
    axes.tick_params(length=0)
    axes.tick_params(axis="y", rotation=0)
    axes.set(xlabel="defense", ylabel="method")
    figure.suptitle(textwrap.fill(table.caption, int(figure.get_figwidth() * 17)), fontsize=6)
    return figure


def _save(figure: Figure, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    FigureCanvasAgg(figure)
    figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})
    temporary.replace(path)
