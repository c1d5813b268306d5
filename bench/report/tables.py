"""Rows -> tables, and their cells as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from bench.results.aggregate import Cell, accuracy_cells, mi_cells
from bench.results.describe import circumstances, estimate, mixture, repetitions, sentences, unreached
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, grouped, in_order, measured

LONGEST = 100  # characters of a reason under a table
APART = "†"
DOUBTED = "‡"
APART_SAID = f"{APART}: features of other dimensions than {CLEAN}'s, which alone moves MI: no gap"


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

    def texts(self, method: str) -> list[str]:
        return [text_of(self.cells[method, defense], self.measure) for defense in self.defenses]

    def notes(self) -> list[str]:
        return self.variants + [note_of(cell) for cell in self.cells.values() if cell.reason is not None]


# Rows -> tables


def tables_of_setting(
    rows: Sequence[Row],
    variants: list[str],
    methods: Sequence[str] | None,
    defenses: Sequence[str] | None,
) -> tuple[Table, Table]:
    """Tabulate accuracy in percent and MI in nats of rows under names that stand for one plugin each."""
    down = in_order((row.method for row in rows), methods, CLEAN)
    across = in_order((row.defense for row in rows), defenses, UNDEFENDED)
    setting, pairs, groups = rows[0].setting, list(product(down, across)), grouped(rows)
    variants = variants + unreached(rows)
    end = (circumstances(rows), mixture(rows))

    def unit(what: str, column: str) -> str:
        over = repetitions(measured(rows, column))
        return what + (f", ± standard deviation {over}" if over else "")

    said = sentences(unit("Test accuracy after the last epoch in percent", "test_acc"), *end)
    cells = accuracy_cells(setting, pairs, groups)
    accuracy = Table("accuracy", setting, said, down, across, cells, variants)

    cells = mi_cells(setting, pairs, groups)
    intervals = "Intervals over images are in rows.csv" if measured(rows, "mi_low") else ""
    apart = "" if all(cell.comparable for cell in cells.values()) else APART_SAID
    estimator = estimate(measured(rows, "mi"), cells.values())
    said = sentences(unit(f"MI in nats (gap to {CLEAN})", "mi"), estimator, apart, intervals, *end)
    return accuracy, Table("mi", setting, said, down, across, cells, variants)


# Cells -> text


def text_of(cell: Cell, measure: str) -> str:
    """Write a cell for people. No space after ±, so that a narrow column breaks before it."""
    if cell.mean is None:
        return cell.status if cell.status in ("failed", "skipped") else "-"
    star = "*" if cell.status == "partial" else ""
    if measure == "accuracy":
        spread = "" if cell.std is None else f" ±{100 * cell.std:.1f}"
        return f"{100 * cell.mean:.1f}{star}{spread}"
    gap = "" if cell.gap is None or cell.method == CLEAN else f" ({cell.gap:z.3f})"
    spread = "" if cell.std is None else f" ±{cell.std:.3f}"
    return f"{cell.mean:z.3f}{star}{'' if cell.comparable else APART}{spread}{gap}"


def note_of(cell: Cell) -> str:
    reason = cell.reason or ""
    short = reason if len(reason) <= LONGEST else reason[: LONGEST - 3] + "..."
    status = f"* the mean of {cell.n}; others" if cell.status == "partial" else cell.status
    return f"{cell.method} x {cell.defense}: {status}: {short}"
