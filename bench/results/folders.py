"""A run's folder as it is given on the command line: its rows, and whether it may be written to."""

from __future__ import annotations

import os
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


def check_free(folder: Path) -> None:
    """BadInput unless the folder is absent or empty, and can be made."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file, expected a folder that is empty or not there yet")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{folder} holds other things, expected a folder that is empty or not there yet")
    if folder.absolute() == Path.cwd():
        raise BadInput(f"{folder} is the current folder, expected one that is made and put in its place")
    check_writable(folder.absolute().parent)


def check_writable(folder: Path) -> None:
    """BadInput unless the folder, or the nearest above it that exists, may be written to."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise BadInput(f"cannot write to {folder}: {nearest} is no folder that may be written")
