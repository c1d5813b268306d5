"""A run's folder as it is given on the command line: its rows."""

from __future__ import annotations

from pathlib import Path

from bench.core.errors import BadInput
from bench.results import rows


def open_run(out: Path) -> list[rows.Row]:
    """Load the rows that are there already; BadInput where the folder holds what this suite cannot read."""
    try:
        return rows.load_all(out / "rows")
    except ValueError as error:
        raise BadInput(f"{out}: {error}") from None


def finished_run(out: Path) -> list[rows.Row]:
    """Load the rows of a folder that must be a run's."""
    if not (out / "rows").is_dir():
        raise BadInput(f"{out} has no rows/, expected the folder of a run")
    return open_run(out)
