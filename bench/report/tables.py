"""Rows -> tables, and their cells as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from bench.core.threat import Threat
from bench.results.aggregate import Cell, accuracy_cells, early_cells, mi_cells
from bench.results.budgets import HEAD, UNITS, beside
from bench.results.describe import (
    attacked,
    circumstances,
    estimate,
    mixture,
    no_order,
    repetitions,
    reported,
    sentences,
)
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, grouped, in_order, measured

LONGEST = 100  # characters of a reason under a table
ENDING = r"(-[0-9a-f]{8})?(-(?:linf|l2|l0)-[\d_e-]+|-unbounded)?"  # that ending() gives
DOUBTED = "‡"
EARLY = "early-stop"  # a column that is no defense of its own
STOPPED = f"{EARLY}: undefended victims at their best validation epoch, on the learning curve's test images"
LEARNED_NOT = "no verdict, since the victim did not learn, or clean's did not"


@dataclass(frozen=True)
class Table:
    """One measure in one setting: methods down, defenses across."""

    measure: str  # accuracy or mi; also the file's name
    setting: str
    caption: str
    methods: list[str]
    defenses: list[str]
    cells: dict[tuple[str, str], Cell]  # method, defense
    variants: list[str]  # what names with @ stand for, and what methods say of themselves
    contestants: Sequence[str] = field(default=(), kw_only=True)  # the methods that are compared
    threat: Threat | None = field(default=None, kw_only=True)  # None: its setting has one, or they are mixed
    # Where the run has several threat models what methods declare and change, under HEAD
    budgets: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True)
    # Of each method what undefended victims reach who stop early, under EARLY
    early: Mapping[str, Cell] = field(default_factory=dict, kw_only=True)

    @property
    def id(self) -> str:
        """Name it in links: the setting, and the threat model where its setting has several."""
        return self.setting + ending(self.setting, self.threat, several=False)

    @property
    def columns(self) -> list[str]:
        """Name what stands beside a method: budgets where there are several, defenses, early stopping."""
        budgets = HEAD[self.threat is not None :] if self.budgets else ()
        return [*budgets, *self.defenses, *([EARLY] if self.early else ())]

    def line(self, method: str) -> list[str]:
        """Write what stands beside a method."""
        stopped = [text_of(self.early[method], self.measure)] if self.early else []
        return [*self.budgets.get(method, ()), *self.texts(method), *stopped]

    @property
    def footnote(self) -> str:
        """Say which setting it is of, for those who look for its files."""
        return f"setting {self.setting[:8]}"

    def texts(self, method: str) -> list[str]:
        return [text_of(self.cells[method, defense], self.measure) for defense in self.defenses]

    def notes(self) -> list[str]:
        """Say what budgets are in, what names stand for, why numbers are lacking, which are to be doubted."""
        # no part of the caption, which figures have too, without the budgets
        units = [f"Beside: {UNITS}."] if self.budgets else []
        reasons = [note_of(cell) for cell in self.cells.values() if cell.reason is not None]
        return (
            units + self.variants + reasons + doubts(self) + [f"{why}." for why in (self.unordered(),) if why]
        )

    def compared(self, defense: str) -> list[Cell]:
        """Find the cells under a defense that may have an order: of contestants, without a doubt."""
        cells = [self.cells[m, defense] for m in self.contestants]
        known = [cell for cell in cells if cell.mean is not None and cell.doubt is None]
        return known if len(known) > 1 else []

    def best(self) -> set[tuple[str, str]]:
        """Find what protects best under each defense, with all whose interval meets the best one's.

        Only accuracies, and only under defenses under which all that compare are of several poisons.
        """
        found = set[tuple[str, str]]()
        for defense in self.defenses if self.measure == "accuracy" else ():
            ours = self.compared(defense)
            if ours and all(cell.poisons > 1 for cell in ours):
                most = max(ends(min(ours, key=lambda cell: cell.mean or 0.0)))
                found |= {(cell.method, defense) for cell in ours if min(ends(cell)) <= most}
        return found

    def unordered(self) -> str:
        """Say why there is no best under some defense; empty where there is under all that compare."""
        ours = sorted((cell.poisons, cell.method) for name in self.defenses for cell in self.compared(name))
        return no_order((method, poisons) for poisons, method in ours)


def ending(setting: str, threat: Threat | None, *, several: bool) -> str:
    """End a file's name: by the setting where there are several, by the threat model where that has."""
    parts = [setting[:8]] * several + ([threat.slug] if threat else [])
    return "".join(f"-{part}" for part in parts)


# Rows -> tables


def tables_of_setting(
    rows: Sequence[Row],
    variants: list[str],
    methods: Sequence[str] | None,
    defenses: Sequence[str] | None,
    threat: Threat | None = None,
) -> tuple[Table, Table]:
    """Tabulate accuracy in percent and MI in nats of rows under names that stand for one plugin each."""
    down = in_order((row.method for row in rows), methods, CLEAN)
    across = in_order((row.defense for row in rows), defenses, UNDEFENDED)
    setting, pairs, groups = rows[0].setting, list(product(down, across)), grouped(rows)
    variants = variants + reported(rows)
    end = (circumstances(rows), mixture(rows))
    contestants = [] if rows[0].synthetic else list(dict.fromkeys(r.method for r in rows if not r.control))
    budgets = beside(rows, several=threat is not None)

    early = early_cells(setting, down, EARLY, groups) if UNDEFENDED in across else {}

    def table(measure: str, said: str, cells: dict[tuple[str, str], Cell]) -> Table:
        own: dict[str, Any] = {"contestants": contestants, "threat": threat, "budgets": budgets}
        own |= {"early": early} if measure == "accuracy" else {"budgets": beside(rows)}
        return Table(measure, setting, said, down, across, cells, variants, **own)  # type: ignore[arg-type]

    def unit(what: str, column: str) -> str:
        over = repetitions(measured(rows, column))
        return what + (f", ± standard deviation {over}" if over else "")

    what = unit("Test accuracy after the last epoch in percent", "test_acc")
    said = sentences(what, attacked(rows), STOPPED * bool(early), *end)
    accuracy = table("accuracy", said, accuracy_cells(setting, pairs, groups))

    cells = mi_cells(setting, pairs, groups)
    intervals = "Intervals over images and directions are in rows.csv" if measured(rows, "mi_low") else ""
    estimator = estimate(measured(rows, "mi"), cells.values())
    said = sentences(unit("MI in nats (gap to its ceiling)", "mi"), estimator, intervals, *end)
    return accuracy, table("mi", said, cells)


# Cells -> text


def ends(cell: Cell) -> list[float]:
    """Return a cell's mean with the ends of its interval, as far as it has them."""
    return [x for x in (cell.low, cell.mean, cell.high) if x is not None]


def text_of(cell: Cell, measure: str) -> str:
    """Write a cell for people. No space after ±, so that a narrow column breaks before it."""
    if cell.mean is None:
        return cell.status if cell.status in ("failed", "skipped") else "-"
    signs = ("*" if cell.status == "partial" else "") + (DOUBTED if cell.doubt else "")
    if measure == "accuracy":
        spread = "" if cell.std is None else f" ±{100 * cell.std:.1f}"
        robust = "" if cell.robust is None else f" ({100 * cell.robust:.1f})"
        return f"{100 * cell.mean:.1f}{signs}{spread}{robust}"
    reach = "" if cell.gap_low is None else f" [{cell.gap_low:z.3f}, {cell.gap_high:z.3f}]"
    gap = "" if cell.gap is None else f" ({cell.gap:z.3f}{reach})"
    spread = "" if cell.std is None else f" ±{cell.std:.3f}"
    return f"{cell.mean:z.3f}{signs}{spread}{gap}"


def note_of(cell: Cell) -> str:
    """Say why a cell has no number, or not all of its repetitions."""
    reason = cell.reason or ""
    short = reason if len(reason) <= LONGEST else reason[: LONGEST - 3] + "..."
    status = f"* the mean of {cell.n}; others" if cell.status == "partial" else cell.status
    return f"{cell.method} x {cell.defense}: {status}: {short}"


def doubts(table: Table) -> list[str]:
    """Say why numbers are no verdict: a line for each reason, with the methods that it holds of."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in table.cells.values():
        if cell.doubt and cell.mean is not None:
            found.setdefault((cell.defense, cell.doubt), []).append(cell.method)
    if table.measure != "accuracy":  # whose table says why
        return [f"{DOUBTED}: {LEARNED_NOT}"] if found else []
    return [f"{DOUBTED} {', '.join(names)} x {name}: {why}" for (name, why), names in found.items()]
