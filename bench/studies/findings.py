"""Findings -> files and a short table on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bench.core.files import write_atomically
from bench.report import formats
from bench.report.figures.style import png_and_svg
from bench.studies.study import Findings


def write(findings: Findings, out: Path) -> list[Path]:
    """NAME.csv, NAME.png, NAME.svg and README.md."""
    contents: dict[str, str | bytes] = {"README.md": findings.text.rstrip() + "\n"}
    contents |= {f"{name}.csv": formats.csv(table) for name, table in findings.tables.items()}
    for name, figure in findings.figures.items():
        contents[f"{name}.png"], contents[f"{name}.svg"] = png_and_svg(figure)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(out / name, content)
    return [out / name for name in contents]


def show(findings: Findings, console: Console) -> None:
    """The table that fits a terminal."""
    table = findings.shown if findings.shown is not None else next(iter(findings.tables.values()), None)
    if table is not None:
        console.print(formats.grid(table))
