"""Rows -> what figures and the report show beside the tables: one Evidence for each setting."""

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
from bench.results.leaderboard import Leaderboard, MethodScores, leaderboard, whole
from bench.results.rows import Row
from bench.results.select import UNDEFENDED, by_setting, grouped, one_a_family, told_apart


@dataclass(frozen=True)
class Cost:
    """What crafting took and what it protects. None: not measured, or not under every defense."""

    method: str
    seconds: float
    peak_mb: float | None
    undefended: float | None  # accuracy, share in [0,1]
    worst: float | None  # highest accuracy over the defenses: the defender chooses
    chosen: str | None  # the defense of that

    @staticmethod
    def of(scores: MethodScores | None) -> Cost | None:
        """As the leaderboard has it; None where no crafting was timed."""
        if scores is None or scores.craft_seconds is None:
            return None
        undefended, worst = scores.scores.get(UNDEFENDED), scores.worst
        return Cost(
            method=scores.method,
            seconds=scores.craft_seconds,
            peak_mb=scores.craft_peak_mb,
            undefended=None if undefended is None else whole(undefended.cell),
            worst=None if worst is None else worst.mean,
            chosen=None if worst is None else worst.defense,
        )


@dataclass(frozen=True)
class Evidence:
    """The rows of one setting, under names that stand for one plugin each, and their tables."""

    stored: list[Row]  # under the names that they have
    rows: list[Row]
    accuracy: Table
    mi: Table
    ranked: Sequence[str] | None  # the set of defenses that ranks; None: all

    @cached_property
    def _ranking(self) -> Leaderboard | str:
        try:
            return leaderboard(self.stored, self.ranked)
        except BadInput as error:
            return str(error)

    @property
    def board(self) -> Leaderboard | None:
        """None where there is nothing to rank over."""
        return None if isinstance(self._ranking, str) else self._ranking

    @property
    def unranked(self) -> str:
        """Why there is no board; empty where there is one."""
        return self._ranking if isinstance(self._ranking, str) else ""

    @property
    def tables(self) -> tuple[Table, Table]:
        return self.accuracy, self.mi

    @property
    def setting(self) -> str:
        return self.accuracy.setting

    @property
    def methods(self) -> list[str]:
        return self.accuracy.methods

    @property
    def defenses(self) -> list[str]:
        return self.accuracy.defenses

    @property
    def about(self) -> str:
        return heading(self.rows)

    @cached_property
    def groups(self) -> Mapping[tuple[str, str], list[Row]]:
        return grouped(self.rows)

    @cached_property
    def controls(self) -> frozenset[str]:
        return frozenset(row.method for row in self.rows if row.control)

    @property
    def synthetic(self) -> bool:
        return any(row.synthetic for row in self.rows)

    def points(self, defense: str) -> dict[str, tuple[float, float]]:
        """MI in nats and accuracy of each method that has both, and its MI on the scale of clean's."""
        pairs = {
            m: (self.mi.cells[m, defense].mean, self.accuracy.cells[m, defense].mean)
            for m in self.methods
            if self.mi.cells[m, defense].comparable
        }
        return {m: (mi, acc) for m, (mi, acc) in pairs.items() if mi is not None and acc is not None}

    def correlation(self, defense: str) -> Correlation:
        """Of MI and accuracy over methods, controls apart; a variant beside its base is none of its own.

        Of one name told apart the one with most rows stands for it.
        """
        points = {m: xy for m, xy in self.points(defense).items() if m not in self.controls}
        rows = Counter(row.method for row in self.rows)
        return correlation([points[m] for m in one_a_family(sorted(points, key=lambda m: (rows[m], m)))])

    def curve(self, method: str, defense: str) -> Curve | None:
        """Return the mean learning curve of a cell; None where nothing was recorded."""
        rows = self.groups.get((method, defense), ())
        return mean_curve([row for row in rows if row.status == "ok" and row.curve])

    def costs(self) -> list[Cost]:
        """One for each method whose crafting was timed."""
        found = {} if self.board is None else {s.method: s for s in self.board.methods}
        return [cost for method in self.methods if (cost := Cost.of(found.get(method)))]


def collect(
    rows: Iterable[Row],
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
    ranked: Sequence[str] | None = None,
) -> list[Evidence]:
    """Summarise each setting, whatever order the rows come in; names in the order given.

    ranked: the set of defenses that ranks; by default all.
    """
    found = []
    for ours in by_setting(rows):
        named, variants = told_apart(ours)
        found.append(Evidence(ours, named, *tables_of_setting(named, variants, methods, defenses), ranked))
    return found


def heading(rows: Sequence[Row]) -> str:
    """Name data and profile."""
    return ", ".join(circumstances(rows).split(", ")[:2])


def anchor(kind: str, setting: str, *names: str) -> str:
    """Name what a link goes to: a setting's section, a cell, its curve."""
    return ".".join([kind, setting[:8], *map(slug, names)])
