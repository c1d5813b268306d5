"""Rows of one setting -> which method protects best when the defender chooses. Numbers alone, no files.

A rank needs several poisons: what one poison does better than another says nothing of their methods.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product

from bench.core.errors import BadInput
from bench.core.threat import Threat
from bench.results.aggregate import Cell, accuracy_cells, mean_of
from bench.results.budgets import Budget, budget_of
from bench.results.describe import circumstances, crafted_on, mixture, no_order, repetitions, sentences
from bench.results.replicates import LEARNS, ROUNDING, chance_of, units_of
from bench.results.rows import Row
from bench.results.select import (
    CLEAN,
    UNDEFENDED,
    Groups,
    chosen,
    grouped,
    identity,
    in_order,
    measured,
    one_line,
    told_apart,
)

BITES = 0.05  # undefended loss of accuracy below which there is no protection to retain
SYNTHETIC = "synthetic images: no order"
Cells = Mapping[tuple[str, str], Cell]  # method, defense
Interval = tuple[float, float, float]  # mean, low, high


@dataclass(frozen=True)
class Score:
    """One method under one defense: means over repetitions; None: not there."""

    cell: Cell  # final accuracy on the whole test set
    val_selected: float | None  # accuracy at the best validation epoch
    peak: float | None
    mi_gap: float | None  # of MI to its ceiling in the victim, nats
    retained: float | None  # share of the undefended protection, see retained()


@dataclass(frozen=True)
class MethodScores:
    """One method over the set of defenses."""

    method: str
    control: bool
    scores: dict[str, Score]  # by defense, in the order of the set
    mi_gap: float | None  # undefended, nats
    craft_seconds: float | None  # mean over poisons
    craft_peak_mb: float | None  # largest over poisons
    budget: Budget
    rank: int | None = None
    unranked: str | None = None  # why it has no rank; None where it has one

    @property
    def lacks(self) -> str | None:
        """Which cells are not whole, and why: at-8, cutout failed (RuntimeError: out of memory)."""
        found: dict[str, list[str]] = {}
        for cell in self.cells:
            if cell.status != "ok":
                why = f" ({cell.reason})" if cell.reason else ""
                found.setdefault(f"{cell.status}{why}", []).append(cell.defense)
        return "; ".join(f"{', '.join(names)} {what}" for what, names in found.items()) or None

    @property
    def doubts(self) -> str | None:
        """Which cells are no verdict, and why."""
        return "; ".join(f"{cell.defense}: {cell.doubt}" for cell in self.cells if cell.doubt) or None

    @property
    def cells(self) -> list[Cell]:
        return [score.cell for score in self.scores.values()]

    @property
    def poisons(self) -> int:
        """Of the cell that has the fewest."""
        return min(cell.poisons for cell in self.cells)

    @property
    def worst(self) -> Cell | None:
        """The cell that the defender chooses: the highest mean. None unless all cells are whole."""
        if self.lacks:
            return None
        return max(self.cells, key=lambda cell: (cell.mean or 0.0, cell.std or 0.0, cell.defense))

    @property
    def mean(self) -> float | None:
        return None if self.lacks else mean_of([cell.mean or 0.0 for cell in self.cells])

    @property
    def undefended(self) -> float | None:
        """Accuracy without a defense; None where that cell is not whole, or not of the set."""
        return self.scores[UNDEFENDED].cell.whole if UNDEFENDED in self.scores else None

    def highest(self, column: str) -> float | None:
        """Give the largest of val_selected or peak over the set; None unless all cells are whole.

        Defenses whose learning curve says nothing have neither.
        """
        values = [value for s in self.scores.values() if (value := getattr(s, column)) is not None]
        return None if self.lacks else max(values, default=None)

    @property
    def early(self) -> float | None:
        """Accuracy of undefended victims at their best validation epoch."""
        return self.scores[UNDEFENDED].val_selected if UNDEFENDED in self.scores else None

    @property
    def early_doubt(self) -> str | None:
        """Why what undefended victims reach is no verdict."""
        return self.scores[UNDEFENDED].cell.doubt if UNDEFENDED in self.scores else None


@dataclass(frozen=True)
class Leaderboard:
    """One setting: ranked methods from the best, then the unranked by name, then controls."""

    setting: str
    data: str
    circumstances: str
    repetitions: str  # which seeds were varied; empty where none was
    classes: int
    chance: float  # share of the largest class in the test set
    defenses: list[str]  # the set that ranks
    digest: str  # of that set
    left_out: list[str]  # defenses with rows that nobody put into the set
    uncounted: dict[str, str]  # defense under which clean did not learn -> how little
    dropped: dict[str, str]  # defense skipped for the data set -> why
    no_order: str  # why methods have none; empty where all contestants may have a rank
    crafted_on: str  # devices
    methods: list[MethodScores]
    variants: list[str]  # what names with @ stand for
    threat: Threat | None = None  # of all methods where their setting has several; None also: all of these

    @property
    def about(self) -> str:
        return f"{self.data}, {self.threat}" if self.threat else self.data

    @property
    def mixed(self) -> bool:
        """Whether methods of several threat models stand beside each other."""
        return len({own.budget.threat for own in self.methods} - {""}) > 1


def leaderboard(
    rows: Iterable[Row], defenses: Sequence[str] | None = None, threat: Threat | None = None
) -> Leaderboard:
    """Rank the methods of one setting's rows, one at least, over the named defenses (default: all).

    threat: what by_threat() parted the rows by.
    Raises BadInput for a defense without rows, and where no defense is left.
    """
    ours, notes = told_apart(sorted(rows, key=identity))
    present = in_order((row.defense for row in ours), None, UNDEFENDED)
    declared = chosen("defense", defenses, present)
    setting, groups, chance = ours[0].setting, grouped(ours), chance_of(ours)
    methods = in_order((row.method for row in ours), None, CLEAN)
    cells = accuracy_cells(setting, product({CLEAN, *methods}, {UNDEFENDED, *present}), groups)
    skipped = {row.defense: one_line(row.reason) for row in ours if row.status == "skipped"}
    dropped = {name: skipped[name] for name in declared if name in skipped}
    uncounted = {name: doubt for name in declared if (doubt := cells[CLEAN, name].doubt)}
    names = [name for name in declared if name not in dropped | uncounted]
    if not names:
        why = [f"{name} ({reason})" for name, reason in (dropped | uncounted).items()]
        raise BadInput(f"no defense to rank over: {', '.join(why)}")
    scored = [scores_of(groups, cells, method, names, chance) for method in methods]
    contestants = {s.method: s.poisons for s in scored if not s.control and not s.lacks}
    return Leaderboard(
        setting=setting,
        data=ours[0].data,
        circumstances=sentences(circumstances(ours), mixture(ours)),
        repetitions=repetitions(measured(ours, "test_acc")),
        classes=ours[0].classes,
        chance=chance,
        defenses=names,
        digest=digest(ours, names),
        left_out=[name for name in present if name not in declared],
        uncounted=uncounted,
        dropped=dropped,
        no_order=SYNTHETIC if ours[0].synthetic else no_order(contestants.items()),
        crafted_on=crafted_on(ours),
        methods=ordered(scored, SYNTHETIC if ours[0].synthetic else None),
        variants=notes,
        threat=threat,
    )


def digest(rows: Iterable[Row], defenses: Iterable[str]) -> str:
    """Hash what tells sets of defenses apart, names, versions and parameters: 16 hex digits."""
    inputs = {row.defense: row.inputs["defense"] for row in rows}
    texts = sorted(json.dumps(inputs[name], sort_keys=True) for name in defenses)
    return sha256("\n".join(texts).encode()).hexdigest()[:16]


# Rows -> scores


def scores_of(
    groups: Groups, cells: Cells, method: str, defenses: Sequence[str], chance: float
) -> MethodScores:
    """Score a method over the defenses. cells: its own and clean's."""

    def under(defense: str) -> Score:
        rows, pairs = groups.get((method, defense), ()), product((CLEAN, method), (UNDEFENDED, defense))
        return Score(
            cell=cells[method, defense],
            val_selected=mean_of(units_of(rows, "val_selected_acc")),
            peak=mean_of(units_of(rows, "peak_acc")),
            mi_gap=mi_gap(defense),
            retained=retained(
                *(None if cells[pair].doubt else cells[pair].whole for pair in pairs), chance=chance
            ),
        )

    def mi_gap(defense: str) -> float | None:
        return mean_of(units_of(groups.get((method, defense), ()), "mi_gap"))

    own = [row for (name, _), rows in groups.items() if name == method for row in rows]
    seconds = {row.poison_rep: row.craft_seconds for row in own if row.craft_seconds is not None}
    return MethodScores(
        method=method,
        control=any(row.control for row in own),
        scores={defense: under(defense) for defense in defenses},
        mi_gap=mi_gap(UNDEFENDED),
        craft_seconds=mean_of([*seconds.values()]),
        craft_peak_mb=max((row.craft_peak_mb for row in own if row.craft_peak_mb is not None), default=None),
        budget=budget_of(own),
    )


def retained(
    clean: float | None,
    clean_defended: float | None,
    method: float | None,
    method_defended: float | None,
    *,
    chance: float,
) -> float | None:
    """Compute the share of a method's undefended protection that is left under a defense.

    Not bounded by 0 and 1. None where the defense does not let clean images be learned (LEARNS above
    chance), and where undefended there is hardly any protection (BITES), so that the ratio says nothing.
    """
    if clean is None or clean_defended is None or method is None or method_defended is None:
        return None
    learned, bitten = clean_defended - chance, clean - method
    if learned < LEARNS - ROUNDING or bitten < BITES - ROUNDING:
        return None
    return (clean_defended - method_defended) / bitten


# Scores -> ranks


def ordered(methods: Sequence[MethodScores], no_ranks: str | None) -> list[MethodScores]:
    """Ranked from the best, then the unranked as they come, then controls. no_ranks: why nobody has one."""
    found = []
    for s in methods:
        few = "one poison" if s.poisons < 2 else None
        why = "control" if s.control else s.lacks or no_ranks or s.doubts or few
        found.append(replace(s, unranked=why))
    worst = {
        s.method: (s.worst.mean or 0.0, s.worst.low or 0.0, s.worst.high or 0.0)
        for s in found
        if s.unranked is None and s.worst is not None
    }
    places = ranks(worst)
    placed = [replace(s, rank=places.get(s.method)) for s in found]
    return sorted(placed, key=lambda s: (s.control, s.rank is None, s.rank or 0, worst.get(s.method, ())))


def ranks(worst: Mapping[str, Interval]) -> dict[str, int]:
    """Rank methods, such as 1 1 3, by mean and interval of their worst cases.

    From the best on, a method shares the rank of the first of that rank while its interval meets that one's;
    else its rank is its place. Meeting is not transitive: this way all that share a rank meet one method's
    interval, and no method passes a better one by its noise.
    """
    found: dict[str, int] = {}
    most, rank = 0.0, 0
    for place, method in enumerate(sorted(worst, key=lambda m: (worst[m], m)), start=1):
        _, low, high = worst[method]
        if not found or low > most + ROUNDING:
            most, rank = high, place
        found[method] = rank
    return found
