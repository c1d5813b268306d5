"""The leaderboard of a setting as markup: the tables of `leaderboard`, to be sorted."""

from __future__ import annotations

import re

from bench.leaderboard import Leaderboard
from bench.page.elements import Html, Value, facts, join, table, tag
from bench.standings import LEGEND, Sheet, sheets

ABSENT = ("-", "control", "failed", "skipped")
NUMBER = re.compile(r"-?\d+(\.\d+)?(?=$|[ *])")  # a text that begins with one: 12.3* ±0.4


def leaderboard(board: Leaderboard | None, unranked: str) -> Html:
    """unranked: why there is none."""
    if board is None:
        return tag("p", f"No method can be ranked: {unranked}.")
    legend = tag("details", tag("summary", "What the columns mean"), facts(LEGEND.items()))
    return join([*map(_sheet, sheets(board)), legend])


def _sheet(shown: Sheet) -> Html:
    body = [[Value(method, method), *map(_value, shown.texts(method))] for method in shown.methods]
    notes = tag("ul", *(tag("li", note) for note in shown.notes())) if shown.notes() else Html()
    return join([table(shown.caption, ["method", *shown.defenses], body), notes])


def _value(text: str) -> Value:
    """Sorted by its number, or by the alphabet; what is not there comes last."""
    found = NUMBER.match(text)
    if found:
        return Value(text, float(found[0]))
    return Value(text, None if text in ABSENT else text)
