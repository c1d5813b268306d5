"""Evidence -> files: all figures of a run, as PNG and SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.core.files import slug, write_atomically
from bench.report.figures.cost import cost
from bench.report.figures.curves import curves
from bench.report.figures.gallery import gallery
from bench.report.figures.heat_map import heat_map
from bench.report.figures.mi_accuracy import dependence
from bench.report.figures.style import png, png_and_svg, style
from bench.report.summary import Evidence
from bench.results import samples
from bench.results.rows import Row

KINDS = {"accuracy": heat_map, "mi-accuracy": dependence, "curves": curves, "cost": cost}
DERIVED = re.compile(rf"({'|'.join(KINDS)}|gallery-.*)(-[0-9a-f]{{8}})?\.(png|svg)")


def write_heat_maps(everything: Sequence[Evidence], out: Path, stamp: Mapping[str, str]) -> list[Path]:
    """accuracy.png, one for each setting; names as those of the tables. stamp: goes into the files' text."""
    written = []
    with style():
        for evidence in everything:
            path = out / f"{name_of('accuracy', evidence, everything)}.png"
            write_atomically(path, png(heat_map(evidence), stamp))
            written.append(path)
    return written


def write_figures(everything: Sequence[Evidence], run: Path, out: Path) -> dict[str, Path]:
    """Draw all there is to draw; drop figures of an earlier call. Returns name -> path without its ending."""
    written = {}
    with style():
        for name, figure in _figures(everything, run):
            written[name] = out / name
            for ending, content in zip(("png", "svg"), png_and_svg(figure), strict=True):
                write_atomically(out / f"{name}.{ending}", content)
    for path in out.iterdir():
        if DERIVED.fullmatch(path.name) and path.stem not in written:
            path.unlink()
    return written


def name_of(kind: str, evidence: Evidence, everything: Sequence[Evidence]) -> str:
    return f"{kind}-{evidence.setting[:8]}" if len(everything) > 1 else kind


def _figures(everything: Sequence[Evidence], run: Path) -> Iterator[tuple[str, Figure]]:
    for evidence in everything:
        for kind, draw in KINDS.items():
            figure = draw(evidence)
            if figure is not None:
                yield name_of(kind, evidence, everything), figure
        for method, row in published(evidence).items():
            sample = samples.find(run / "gallery", row.published or "")
            if sample is not None:
                yield name_of(f"gallery-{slug(method)}", evidence, everything), gallery(row, sample)


def published(evidence: Evidence) -> dict[str, Row]:
    """Find a row of each method that says what was published: of its first poison."""
    rows = sorted(evidence.rows, key=lambda row: (row.poison_rep, row.key))
    found: dict[str, Row] = {}
    for row in rows:
        if row.published is not None:
            found.setdefault(row.method, row)
    return {method: found[method] for method in evidence.methods if method in found}
