"""Tables in Markdown, CSV and on the terminal: every cell arrives as it is, whatever it holds."""

from __future__ import annotations

import csv
import io
import re
from itertools import zip_longest
from math import inf, nan
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from bench.report import formats
from bench.report.formats import escaped, grid, markdown

ODD = ["1e5", "0.10", "007", "nan", "-", "", "a|b", "[b]x[/b]", "*x*", "±1.0", "x  y"]


def cells_of(text: str) -> list[list[str]]:
    """As a reader of Markdown splits them."""
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
    ]


def test_markdown_keeps_every_cell_and_every_name() -> None:
    names = ["a|b", "100"]
    head, _, *body = cells_of(markdown(pd.DataFrame(zip(ODD, ODD[::-1], strict=True), columns=names)))
    expected = [re.sub(" +", " ", text) for text in ODD]  # as Markdown shows it
    assert head == names and body == [list(pair) for pair in zip(expected, expected[::-1], strict=True)]


@pytest.mark.parametrize(("align", "sides"), [("l", "lll"), ("lr", "lrr"), ("lrl", "lrl")])
def test_markdown_says_the_side_of_each_column(align: str, sides: str) -> None:
    _, rule, *_ = cells_of(markdown(pd.DataFrame([["x", "y", "z"]]), align))
    patterns = {"l": ":-+", "r": "-+:"}
    assert all(re.fullmatch(patterns[s], cell) for s, cell in zip(sides, rule, strict=True))


def test_a_longer_cell_changes_no_other_line_but_the_rule() -> None:
    short, long = (markdown(pd.DataFrame({"m": ["em", name]})).splitlines() for name in ("tap", "t" * 40))
    assert [one == other for one, other in zip_longest(short, long)] == [True, False, True, False]


def test_numbers_have_three_digits_and_nothing_is_said() -> None:
    values = [0.12345, 3, None, nan, inf, "x"]
    table = pd.DataFrame({"v": values}, dtype=object)
    expected = ["0.123", "3", "-", "-", "infinite", "x"]
    assert [cell for (cell,) in cells_of(markdown(table))[2:]] == expected
    assert cells_of(markdown(table, absent="none"))[4:6] == [["none"], ["none"]]


def test_a_table_without_lines_has_its_head() -> None:
    assert cells_of(markdown(pd.DataFrame(columns=["method", "x"]), "lr"))[0] == ["method", "x"]


def test_csv_keeps_whole_numbers_beside_empty_cells() -> None:
    records = [{"n": 3, "x": 0.1}, {"n": None, "x": None}]
    lines = [["n", "x"], ["3", "0.1"], ["", ""]]
    assert [*csv.reader(formats.csv(iter(records)).splitlines())] == lines
    assert formats.csv(records, ["x"]).splitlines() == ["x", "0.1", '""']
    assert formats.csv([], ["n", "x"]) == "n,x\n"


def on_terminal(cells: pd.DataFrame, width: int, **layout: Any) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(grid(cells, **layout))
    return console.export_text()


def test_the_terminal_shows_markup_as_it_is() -> None:
    shown = on_terminal(pd.DataFrame({"[b]": ODD}), 40)
    assert shown.startswith("[b]") and all(text in shown for text in ODD)


def test_a_firm_column_is_never_broken() -> None:
    cells = pd.DataFrame({"what": ["word " * 9, "b"], "n": "0.123 ±0.001"})
    assert on_terminal(cells, 18, firm=["n"]).count("0.123 ±0.001") == 2
    assert "0.123 ±0.001" not in on_terminal(cells, 18)


def test_own_escaping_is_needed_while_styler_leaves_signs() -> None:
    signs = "< > | ± † -1"
    assert signs in pd.DataFrame([[signs]]).style.format(escape="latex").to_latex()
    assert not {*"<>|±†"} & {*escaped(signs)} and escaped(signs).endswith(" $-$1")
