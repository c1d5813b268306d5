"""Rows of one setting -> which method protects best when the defender chooses. Numbers alone, no files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from math import hypot

from bench.core.errors import BadInput, unknown
from bench.results.aggregate import Cell, accuracy_cells, and_clean, gaps, mean_of, pooled_spread, values_of
from bench.results.describe import circumstances, crafted_on, mixture, repetitions, sentences
from bench.results.rows import Row
from bench.results.select import (
    CLEAN,
    DRAFT,
    UNDEFENDED,
    Groups,
    grouped,
    identity,
    in_order,
    last_line,
    measured,
    told_apart,
)

LEARNS = 0.2  # clean accuracy above chance below which a defense leaves nothing to protect
BITES = 0.05  # undefended loss of accuracy below which there is no protection to retain
ROUNDING = 1e-9  # 0.3 - 0.1 is below 0.2
Cells = Mapping[tuple[str, str], Cell]  # method, defense


@dataclass(frozen=True)
class Score:
    """One method under one defense: means over repetitions; None: not there."""

    cell: Cell  # final accuracy on the whole test set
    val_selected: float | None  # accuracy at the best validation epoch
    peak: float | None
    mi_gap: float | None  # MI of clean minus this one, nats
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
    rank: int | None = None

    @property
    def unranked(self) -> str | None:
        """Why it can have no rank; None where it can."""
        return "control" if self.control else self.lacks

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
    def cells(self) -> list[Cell]:
        return [score.cell for score in self.scores.values()]

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
        return whole(self.scores[UNDEFENDED].cell) if UNDEFENDED in self.scores else None

    def highest(self, column: str) -> float | None:
        """Give the largest of val_selected or peak over the set; None unless all cells are whole."""
        values = [getattr(score, column) for score in self.scores.values()]
        return None if self.lacks or None in values else max(values)


@dataclass(frozen=True)
class Leaderboard:
    """One setting: ranked methods from the best, then the unranked, then controls."""

    setting: str
    data: str
    circumstances: str
    repetitions: str  # which seeds were varied; empty where none was
    classes: int
    defenses: list[str]  # the set that ranks
    digest: str  # of that set
    left_out: list[str]  # defenses with rows that nobody put into the set
    borrowed: float | None  # spread of a cell with one repetition, in ranks: pooled over the repeated cells
    crafted_on: str  # devices
    dropped: dict[str, str]  # defense skipped for the data set -> why
    methods: list[MethodScores]
    variants: list[str]  # what names with @ stand for


def leaderboard(rows: Iterable[Row], defenses: Sequence[str] | None = None) -> Leaderboard:
    """Rank the methods of one setting's rows, one at least, over the named defenses (default: all).

    Raises BadInput for a defense without rows, and where no defense is left.
    """
    ours, notes = told_apart(sorted(rows, key=identity))
    present = in_order((row.defense for row in ours), None, UNDEFENDED)
    declared = choose(defenses, present)
    skipped = {row.defense: last_line(row.reason) for row in ours if row.status == "skipped"}
    dropped = {name: skipped[name] for name in declared if name in skipped}
    names = [name for name in declared if name not in dropped]
    if not names:
        raise BadInput(f"no defense to rank over, all were skipped: {'; '.join(dropped.values())}")
    setting, groups, classes = ours[0].setting, grouped(ours), ours[0].classes
    methods = list(dict.fromkeys(row.method for row in ours))
    pairs = product({CLEAN, *methods}, {UNDEFENDED, *names})
    cells = accuracy_cells(setting, pairs, groups)
    found = pooled_spread(values_of(own, "test_acc") for own in groups.values())
    borrowed = None if found is None else found[0]
    return Leaderboard(
        setting=setting,
        data=ours[0].data,
        circumstances=sentences(circumstances(ours), mixture(ours)),
        repetitions=repetitions(measured(ours, "test_acc")),
        classes=classes,
        defenses=names,
        digest=digest(ours, names),
        left_out=[name for name in present if name not in declared],
        borrowed=borrowed,
        crafted_on=crafted_on(ours),
        dropped=dropped,
        methods=ordered([scores_of(groups, cells, m, names, classes) for m in methods], borrowed or 0.0),
        variants=notes,
    )


# What is asked for


def choose(wanted: Sequence[str] | None, present: Sequence[str]) -> list[str]:
    """List the wanted defenses, each once; by default all that are present."""
    found = {name: name if name in present else name + DRAFT for name in wanted or ()}
    for name, shown in found.items():
        if shown not in present:
            raise unknown("defense", name, present)
    return list(dict.fromkeys(present if wanted is None else found.values()))


def digest(rows: Iterable[Row], defenses: Iterable[str]) -> str:
    """Hash what tells sets of defenses apart, names, versions and parameters: 16 hex digits."""
    inputs = {row.defense: row.inputs["defense"] for row in rows}
    texts = sorted(json.dumps(inputs[name], sort_keys=True) for name in defenses)
    return sha256("\n".join(texts).encode()).hexdigest()[:16]


# Rows -> scores


def scores_of(
    groups: Groups, cells: Cells, method: str, defenses: Sequence[str], classes: int
) -> MethodScores:
    def under(defense: str) -> Score:
        rows, pairs = groups.get((method, defense), ()), product((CLEAN, method), (UNDEFENDED, defense))
        return Score(
            cell=cells[method, defense],
            val_selected=mean_of(values_of(rows, "val_selected_acc")),
            peak=mean_of(values_of(rows, "peak_acc")),
            mi_gap=mi_gap(defense),
            retained=retained(*(whole(cells[pair]) for pair in pairs), classes=classes),
        )

    def mi_gap(defense: str) -> float | None:
        return mean_of(gaps(*and_clean(groups, (method, defense)), "mi"))

    own = [row for (name, _), rows in groups.items() if name == method for row in rows]
    seconds = {row.poison_rep: row.craft_seconds for row in own if row.craft_seconds is not None}
    return MethodScores(
        method=method,
        control=any(row.control for row in own),
        scores={defense: under(defense) for defense in defenses},
        mi_gap=mi_gap(UNDEFENDED),
        craft_seconds=mean_of([*seconds.values()]),
        craft_peak_mb=max((row.craft_peak_mb for row in own if row.craft_peak_mb is not None), default=None),
    )


def whole(cell: Cell) -> float | None:
    """Give the mean of a cell all of whose repetitions count."""
    return cell.mean if cell.status == "ok" else None


def retained(
    clean: float | None,
    clean_defended: float | None,
    method: float | None,
    method_defended: float | None,
    *,
    classes: int,
) -> float | None:
    """Compute the share of a method's undefended protection that is left under a defense.

    Not bounded by 0 and 1. None where the defense does not let clean images be learned (LEARNS above
    chance), and where undefended there is hardly any protection (BITES), so that the ratio says nothing.
    """
    if clean is None or clean_defended is None or method is None or method_defended is None:
        return None
    learned, bitten = clean_defended - 1 / classes, clean - method
    if learned < LEARNS - ROUNDING or bitten < BITES - ROUNDING:
        return None
    return (clean_defended - method_defended) / bitten


# Scores -> ranks


def ordered(methods: Sequence[MethodScores], borrowed: float) -> list[MethodScores]:
    """Ranked from the best, then the unranked, then controls. borrowed: spread of a single repetition."""
    level = {
        s.method: (s.worst.mean or 0.0, borrowed if s.worst.std is None else s.worst.std)
        for s in methods
        if s.worst is not None
    }
    places = ranks({s.method: level[s.method] for s in methods if s.unranked is None})
    placed = [replace(s, rank=places.get(s.method)) for s in methods]

    def place(s: MethodScores) -> tuple[bool, bool, int, tuple[float, float], str]:
        return s.control, s.rank is None, s.rank or 0, level.get(s.method, (0.0, 0.0)), s.method

    return sorted(placed, key=place)


def ranks(worst: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    """Rank methods, such as 1 1 3, by mean and spread of their worst cases.

    From the best on, a method shares the rank of the first of that rank unless it is worse by more
    than their spread, the standard deviation of the difference of two repetitions, one of each;
    then its rank is its place. Closeness is not transitive: this way all that share a rank are close
    to one method, and no method passes a better one by its noise.
    """
    found: dict[str, int] = {}
    first, rank = (0.0, 0.0), 0
    for place, method in enumerate(sorted(worst, key=lambda m: (worst[m], m)), start=1):
        mean, std = worst[method]
        if not found or mean - first[0] > hypot(std, first[1]) + ROUNDING:
            first, rank = worst[method], place
        found[method] = rank
    return found
