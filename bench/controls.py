"""Which methods are controls, as the rows say it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bench.rows import Row

METHODS = Path(__file__).parent.parent / "methods"


def with_controls(rows: Iterable[Row], folder: Path = METHODS) -> list[Row]:
    """The rows with their column `control` filled in.

    Rows from before that column: a method is a control where it has no budget, or where today's
    file of the suite's own methods calls it one. Any other counts as a contestant.
    """
    known = declared(folder)

    def judged(row: Row) -> bool:
        return row.inputs.get("method", {}).get("eps") == 0 or row.method in known

    return [row if row.control is not None else replace(row, control=judged(row)) for row in rows]


def declared(folder: Path) -> set[str]:
    """What CONTROLS holds in a folder's methods, read and not run: running one needs torch."""
    names: set[str] = set()
    for path in sorted(folder.glob("[!_]*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and "CONTROLS" in map(ast.unparse, node.targets):
                names |= set(ast.literal_eval(node.value))
    return names
