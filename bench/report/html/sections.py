"""What the sections of a setting show: the cells of its tables, and their rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import Any

from bench.report.figures.heat_map import shade
from bench.report.html.warnings import warnings_of_row
from bench.report.leaderboard import tables_of
from bench.report.summary import Summary, anchor
from bench.report.tables import Table, text_of
from bench.results.aggregate import Cell
from bench.results.leaderboard import Leaderboard
from bench.results.select import CLEAN

ABSENT = ("-", "control", "failed", "skipped")
NUMBER = re.compile(r"-?\d+(\.\d+)?(?=$|[ *‡])")  # a text that begins with one: 12.3* ±0.4


@dataclass(frozen=True)
class Value:
    """What a cell of a table shows, by what it is sorted, and where it leads."""

    text: str
    key: float | str | None = None  # None: last
    style: str | None = None
    target: str | None = None  # an id
    title: str | None = None  # what is said of it where one points at it


Grid = tuple[Table, dict[str, list[Value]]]  # a table and the values of each of its methods


def measured(table: Table, *, colored: bool = False) -> Grid:
    """Link each number to its cell, and colour accuracies as the heat map does."""

    def value(cell: Cell) -> Value:
        text, style = text_of(cell, table.measure), None
        if colored and cell.mean is not None:
            style = "background:{};color:{}".format(*shade(cell.mean, muted=cell.doubt is not None))
        target = anchor("cell", table.id, cell.method, cell.defense)
        return Value(cell.status if text == "-" else text, cell.mean, style, target, cell.doubt)

    def values(method: str) -> list[Value]:
        beside = [by_text(text) for text in table.budgets.get(method, ())]
        stopped = [by_text(text) for text in table.line(method)[len(beside) + len(table.defenses) :]]
        return beside + [value(table.cells[method, d]) for d in table.defenses] + stopped

    return table, {method: values(method) for method in table.methods}


def by_text(text: str) -> Value:
    """Sort by the number that a text begins with, else by the text; what is not there comes last."""
    found = NUMBER.match(text)
    return Value(text, float(found[0]) if found else None if text in ABSENT else text)


def ranked(board: Leaderboard | None) -> list[Grid]:
    """Make the tables of `leaderboard` sortable; those in which nothing is there are left out."""
    tables = [] if board is None else tables_of(board)
    there = [table for table in tables if {*chain(*map(table.texts, table.methods))} - {"-"}]
    return [(table, {m: [*map(by_text, table.line(m))] for m in table.methods}) for table in there]


def cell(summary: Summary, method: str, defense: str) -> dict[str, Any]:
    """Prepare what cell.html.j2 shows of one method under one defense."""
    rows, clean = (summary.groups.get((name, defense), []) for name in (method, CLEAN))
    shown = summary.accuracy.cells[method, defense]
    number = text_of(shown, "accuracy") + (" %" if shown.mean is not None else "")
    return {
        "method": method,
        "defense": defense,
        "doubt": shown.doubt if shown.mean is not None else None,
        "number": number if rows else "missing",
        "curve": summary.curve(method, defense) is not None,
        "rows": rows,
        "articles": [(row, warnings_of_row(row, clean)) for row in rows],
    }
