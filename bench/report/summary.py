"""Rows -> what figures and the report show beside the tables: one summary for each setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.errors import BadInput
from bench.core.files import slug
from bench.report.tables import Table, tables_of_setting
from bench.results.aggregate import Curve, mean_curve
from bench.results.correlation import Correlation, correlation
from bench.results.describe import circumstances
from bench.results.leaderboard import Leaderboard, MethodScores, leaderboard
from bench.results.rows import Row
from bench.results.select import by_setting, by_threat, grouped, one_a_family, told_apart


@dataclass(frozen=True)
class Summary:
    """The rows of one setting and threat model, with their tables and ranks.

    Names stand for one plugin each.
    """

    rows: list[Row]
    accuracy: Table
    mi: Table
    board: Leaderboard | None  # None where there is nothing to rank over
    unranked: str  # why there is no board; empty where there is one

    @property
    def tables(self) -> tuple[Table, Table]:
        return self.accuracy, self.mi

    @property
    def id(self) -> str:
        return self.accuracy.id

    @property
    def methods(self) -> list[str]:
        return self.accuracy.methods

    @property
    def defenses(self) -> list[str]:
        return self.accuracy.defenses

    @property
    def about(self) -> str:
        return heading(self.rows) + (f", {self.accuracy.threat}" if self.accuracy.threat else "")

    @cached_property
    def groups(self) -> Mapping[tuple[str, str], list[Row]]:
        return grouped(self.rows)

    @cached_property
    def controls(self) -> frozenset[str]:
        return frozenset(row.method for row in self.rows if row.control)

    def points(self, defense: str) -> dict[str, tuple[float, float]]:
        """MI in nats and accuracy of each method that has both.

        Nothing where all of them are in doubt.
        """
        cells = {m: (self.mi.cells[m, defense], self.accuracy.cells[m, defense]) for m in self.methods}
        found = {m: (mi.mean, acc.mean) for m, (mi, acc) in cells.items()}
        known = {m: (mi, acc) for m, (mi, acc) in found.items() if mi is not None and acc is not None}
        return known if {*known} - self.doubted(defense) else {}

    def doubted(self, defense: str) -> set[str]:
        """Find the methods whose accuracy is no verdict."""
        return {m for m in self.methods if self.accuracy.cells[m, defense].doubt}

    def correlation(self, defense: str) -> Correlation:
        """Of MI and accuracy over methods, controls apart; a variant beside its base is none of its own.

        Of one name told apart the one with most rows stands for it. What is in doubt does not count.
        """
        left_out = self.controls | self.doubted(defense)
        points = {m: xy for m, xy in self.points(defense).items() if m not in left_out}
        rows = Counter(row.method for row in self.rows)
        return correlation([points[m] for m in one_a_family(sorted(points, key=lambda m: (rows[m], m)))])

    def curve(self, method: str, defense: str) -> Curve | None:
        """Return the mean learning curve of a cell; None where nothing was recorded."""
        rows = self.groups.get((method, defense), ())
        return mean_curve([row for row in rows if row.status == "ok" and row.curve])

    def costs(self) -> list[MethodScores]:
        """Find the methods whose crafting was timed, in the order of the tables."""
        found = {} if self.board is None else {own.method: own for own in self.board.methods}
        ours = (found[method] for method in self.methods if method in found)
        return [own for own in ours if own.craft_seconds is not None]


def collect(
    rows: Iterable[Row],
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
    ranked: Sequence[str] | None = None,
    *,
    mix: bool = False,
) -> list[Summary]:
    """Summarise each setting and threat model, whatever order the rows come in; names in the order given.

    ranked: the set of defenses that ranks; by default all. mix: all threat models of a setting together.
    """
    found = []
    for threat, ours in (part for own in by_setting(rows) for part in by_threat(own, mix=mix)):
        named, variants = told_apart(ours)
        board, unranked = None, ""
        try:
            board = leaderboard(ours, ranked, threat)
        except BadInput as error:
            unranked = str(error)
        tables = tables_of_setting(named, variants, methods, defenses, threat)
        found.append(Summary(named, *tables, board, unranked))
    return found


def heading(rows: Sequence[Row]) -> str:
    """Name data and profile."""
    return ", ".join(circumstances(rows).split(", ")[:2])


def anchor(kind: str, board: str, *names: str) -> str:
    """Name what a link goes to: the section of a setting and threat model, a cell, its curve.

    board: the id of a Summary.
    """
    setting, *threat = board.split("-", 1)
    return ".".join([kind, "-".join([setting[:8], *threat]), *map(slug, names)])
