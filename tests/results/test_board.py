"""The board's page says what its rows hold."""

from __future__ import annotations

import re
from statistics import fmean, stdev

from bench.results.replicates import units_of
from bench.results.rows import load_all
from support.pages import ROOT

BOARD = ROOT / "results" / "board"


def test_the_table_is_that_of_the_rows() -> None:
    """Of every method and defense that is there, the mean over poisons, of clean over victims."""
    rows = load_all(BOARD / "main" / "rows")
    cells = {(row.method, row.defense) for row in rows}
    expected = {}
    for method, defense in cells:
        own = [row for row in rows if (row.method, row.defense) == (method, defense)]
        values = units_of(own, "test_acc")
        spread = f" ±{100 * stdev(values):.1f}" if len(values) > 1 else ""
        expected[method, defense] = f"{100 * fmean(values):.1f}{spread}"
    head, _, *lines = re.findall(r"^\| (.*) \|$", _section("**Table**"), re.MULTILINE)
    defenses = head.split(" | ")[1:]
    found = {}
    for method, *shown in (line.split(" | ") for line in lines):
        found |= {(method, d): cell for d, cell in zip(defenses, shown, strict=True) if cell != "-"}
    assert found == expected


def _section(title: str) -> str:
    return (BOARD / "README.md").read_text(encoding="utf-8").partition(title)[2].partition("\n**")[0]
