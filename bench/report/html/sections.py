"""What the sections of a setting show: the cells of its tables, and where the numbers come from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.report.figures.heat_map import shade
from bench.report.leaderboard import tables_of
from bench.report.summary import Evidence, anchor
from bench.report.tables import Table, text_of
from bench.results.aggregate import Cell
from bench.results.leaderboard import Leaderboard
from bench.results.rows import SCHEMA

ABSENT = ("-", "control", "failed", "skipped")
NUMBER = re.compile(r"-?\d+(\.\d+)?(?=$|[ *])")  # a text that begins with one: 12.3* ±0.4


@dataclass(frozen=True)
class Value:
    """What a cell of a table shows, by what it is sorted, and where it leads."""

    text: str
    key: float | str | None = None  # None: last
    style: str | None = None
    target: str | None = None  # an id


Grid = tuple[Table, dict[str, list[Value]]]  # a table and the values of each of its methods


def measured(table: Table, *, colored: bool = False) -> Grid:
    """Link each number to its cell, and colour accuracies as the heat map does."""

    def value(cell: Cell) -> Value:
        text, style = text_of(cell, table.measure), None
        if colored and cell.mean is not None:
            style = "background:{};color:{}".format(*shade(cell.mean))
        target = anchor("cell", table.setting, cell.method, cell.defense)
        return Value(cell.status if text == "-" else text, cell.mean, style, target)

    return table, {m: [value(table.cells[m, d]) for d in table.defenses] for m in table.methods}


def ranked(board: Leaderboard | None) -> list[Grid]:
    """Make the tables of `leaderboard` sortable: by number or alphabet, what is not there comes last."""

    def value(text: str) -> Value:
        found = NUMBER.match(text)
        return Value(text, float(found[0]) if found else None if text in ABSENT else text)

    shown = [] if board is None else tables_of(board)
    return [(table, {m: [value(text) for text in table.texts(m)] for m in table.methods}) for table in shown]


def provenance(evidence: Evidence) -> list[tuple[str, str | None]]:
    """Name where the numbers come from."""
    row, rows = evidence.rows[0], evidence.rows

    def several(*names: str) -> str:
        seen = {" ".join(str(r.environment[name]) for name in names if name in r.environment) for r in rows}
        return "; ".join(sorted(filter(None, seen))) or "unknown"

    ended = sorted(r.finished for r in rows if r.finished)
    return [
        ("data", f"{row.data}, synthetic" if row.synthetic else row.data),
        ("data digest", row.inputs["data"]["digest"]),
        ("setting", row.setting),
        ("rows", f"{len(rows)}, schema {SCHEMA}"),
        ("commits", several("commit")),
        ("device", several("device")),
        ("processors", several("processor")),
        ("instructions", several("capability", "instructions")),
        ("threads", several("threads")),
        ("python", several("python")),
        ("torch", several("torch")),
        ("finished", " to ".join(dict.fromkeys((ended[0], ended[-1]))) if ended else None),
        ("controls", ", ".join(sorted(evidence.controls)) or "none"),
    ]
