"""A run's folder: reading its rows, and writing what is derived from them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import plots, report, rows
from bench.core.errors import BadInput


def open_run(out: Path) -> list[rows.Row]:
    """The rows that are there already; refuses folders that hold what this suite cannot read."""
    try:
        return rows.load_all(out / "rows")
    except ValueError as error:
        raise BadInput(f"{out}: {error}") from None


def finished_run(out: Path) -> list[rows.Row]:
    """The rows of a folder that must be a run's."""
    if not (out / "rows").is_dir():
        raise BadInput(f"{out} has no rows/, expected the folder of a run")
    return open_run(out)


def check_writable(folder: Path) -> None:
    """BadInput unless the folder, or the nearest above it that exists, may be written to."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise BadInput(f"cannot write to {folder}: {nearest} is no folder that may be written")


def derive(
    out: Path,
    console: Console,
    keys: set[str] | None = None,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
) -> None:
    """Write the tables and plots of all rows, show the tables of the keys."""
    everything = rows.load_all(out / "rows")
    shown = [row for row in everything if keys is None or row.key in keys]
    written = report.write_tables(everything, out, methods=methods, defenses=defenses)
    written += plots.write_plots(everything, out, methods=methods, defenses=defenses)
    report.show(shown, console, methods=methods, defenses=defenses)
    console.print(f"written: {', '.join(str(p) for p in written)}", highlight=False, soft_wrap=True)
