"""Summary -> files: all figures of a run, as PNG and SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.core.files import slug
from bench.report import formats
from bench.report.figures.cost import cost
from bench.report.figures.curves import curves
from bench.report.figures.gallery import gallery
from bench.report.figures.heat_map import heat_map
from bench.report.figures.jpeg import jpeg_sweep
from bench.report.figures.mi_accuracy import dependence
from bench.report.figures.style import png, png_and_svg, style
from bench.report.summary import Summary
from bench.report.tables import ENDING, ending
from bench.results import samples
from bench.results.rows import Row

KINDS = {"accuracy": heat_map, "mi-accuracy": dependence, "curves": curves, "jpeg": jpeg_sweep, "cost": cost}
DERIVED = re.compile(rf"({'|'.join(KINDS)}|gallery-.*){ENDING}\.(png|svg)")


def draw_heat_maps(summaries: Sequence[Summary], stamp: str) -> dict[str, bytes]:
    """Draw accuracy.png of each setting, named as the tables are. stamp: the mark of these tables."""
    with style():
        return {f"{name_of('accuracy', own, summaries)}.png": png(heat_map(own), stamp) for own in summaries}


def write_figures(summaries: Sequence[Summary], run: Path, out: Path) -> dict[str, Path]:
    """Draw all there is to draw; drop figures of an earlier call. Returns name -> path without its ending."""
    drawn: dict[str, bytes] = {}
    with style():
        for name, figure in _figures(summaries, run):
            drawn |= zip((f"{name}.png", f"{name}.svg"), png_and_svg(figure), strict=True)
    return {path.stem: path.with_suffix("") for path in formats.write(drawn, out, DERIVED)}


def name_of(kind: str, summary: Summary, summaries: Sequence[Summary]) -> str:
    own, several = summary.accuracy, len({one.accuracy.setting for one in summaries}) > 1
    return kind + ending(own.setting, own.threat, several=several)


def _figures(summaries: Sequence[Summary], run: Path) -> Iterator[tuple[str, Figure]]:
    for summary in summaries:
        for kind, draw in KINDS.items():
            figure = draw(summary)
            if figure is not None:
                yield name_of(kind, summary, summaries), figure
        for method, row in published(summary).items():
            sample = samples.find(run / "gallery", row.published or "")
            if sample is not None:
                yield name_of(f"gallery-{slug(method)}", summary, summaries), gallery(row, sample)


def published(summary: Summary) -> dict[str, Row]:
    """Find a row of each method that says what was published: of its first poison."""
    rows = sorted(summary.rows, key=lambda row: (row.poison_rep, row.key))
    found: dict[str, Row] = {}
    for row in rows:
        if row.published is not None:
            found.setdefault(row.method, row)
    return {method: found[method] for method in summary.methods if method in found}
