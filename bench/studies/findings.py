"""Findings -> files and a short table on the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.core.files import write_atomically
from bench.plots.canvas import png_and_svg
from bench.studies.study import Findings


def write(findings: Findings, out: Path) -> list[Path]:
    """NAME.csv, NAME.png, NAME.svg and README.md."""
    contents: dict[str, str | bytes] = {"README.md": findings.text.rstrip() + "\n"}
    contents |= {f"{name}.csv": table.to_csv(index=False) for name, table in findings.tables.items()}
    for name, figure in findings.figures.items():
        contents[f"{name}.png"], contents[f"{name}.svg"] = png_and_svg(figure)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(out / name, content)
    return [out / name for name in contents]


def show(findings: Findings, console: Console) -> None:
    """The table that fits a terminal."""
    table = findings.shown if findings.shown is not None else next(iter(findings.tables.values()), None)
    if table is None:
        return
    shown = Table(*map(str, table.columns))
    for values in table.itertuples(index=False):
        shown.add_row(*map(text, values))
    console.print(shown)


def text(value: object) -> str:
    """A cell for people: three digits after the point; - where there is nothing."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown."""
    lines = [[str(name) for name in table.columns], ["---"] * len(table.columns)]
    lines += [[text(value) for value in values] for values in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
