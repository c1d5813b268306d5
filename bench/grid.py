"""The grid: names -> cells; skip what has a row, survive failures, stop in time."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from bench import rows as files
from bench.cell import Bench, Cell, blank_row, craft, run_cell
from bench.core.checkpoint import OutOfTime
from bench.progress import Progress
from bench.registry import Plugin
from bench.rows import Row
from bench.store import Poison


@dataclass
class Outcome:
    """How a run of the grid ended."""

    computed: int = 0
    failed: int = 0
    left: int = 0  # cells not started or not finished for lack of time


class Pace:
    """Seconds of a training pass over the images, learnt from pieces that were finished."""

    def __init__(self) -> None:
        self.seconds, self.passes = 0.0, 0.0

    def learn(self, seconds: float, passes: float) -> None:
        self.seconds, self.passes = self.seconds + seconds, self.passes + passes

    def estimate(self, passes: float) -> float | None:
        """Seconds that a piece of so many passes will take; None as long as nothing is known."""
        return self.seconds / self.passes * passes if self.passes else None


def cells(bench: Bench, methods: Sequence[Plugin], defenses: Sequence[Plugin]) -> list[Cell]:
    """All cells, those of one poison together. Without a budget all crafting seeds are one."""
    grid = []
    for method in methods:
        poison_reps = bench.setting.poison_reps if method.value.eps > 0 else 1
        for poison_rep, defense, rep in product(range(poison_reps), defenses, range(bench.setting.reps)):
            grid.append(Cell(method, defense, poison_rep, rep))
    return grid


def run(bench: Bench, wanted: Sequence[Cell], folder: Path, progress: Progress) -> Outcome:
    """Compute every wanted cell that has no finished row in the folder."""
    return _Run(bench, folder, progress).all(wanted)


class _Run:
    def __init__(self, bench: Bench, folder: Path, progress: Progress) -> None:
        self.bench, self.folder, self.progress = bench, folder, progress
        self.old = {row.key: row for row in files.load_all(folder)}
        self.outcome, self.pace = Outcome(), Pace()
        for row in self.old.values():
            if row.status == "ok" and row.train_seconds and row.profile == bench.profile:
                self.pace.learn(row.train_seconds, bench.setting.victim.epochs)

    def all(self, wanted: Sequence[Cell]) -> Outcome:
        missing = [cell for cell in wanted if not self._finished(cell)]
        todo = [cell for cell in missing if not self._skip(cell)]
        poisons = {(cell.method, cell.poison_rep) for cell in todo}
        passes = sum(self._passes(cell) for cell in todo) + sum(m.value.passes for m, _ in poisons)
        with self.progress.grid(len(todo), passes):
            for method, rep in dict.fromkeys((cell.method, cell.poison_rep) for cell in todo):
                group = [cell for cell in todo if (cell.method, cell.poison_rep) == (method, rep)]
                self._group(method, rep, group)
        return self.outcome

    def _finished(self, cell: Cell) -> bool:
        old = self.old.get(blank_row(self.bench, cell).key)
        return old is not None and old.status != "failed"

    def _skip(self, cell: Cell) -> bool:
        """Record a defense that has no meaning for these images."""
        reason = cell.defense.value.unsuited(self.bench.data)
        if reason:
            files.save(blank_row(self.bench, cell, status="skipped", reason=reason), self.folder)
            self.progress.say(f"{_name(cell)}: skipped, {reason}")
        return bool(reason)

    def _group(self, method: Plugin, rep: int, group: Sequence[Cell]) -> None:
        """One poison and all its victims."""
        if not self._fits(method.value.passes):
            self.outcome.left += len(group)
            return
        try:
            with self.progress.piece(f"{method.name}: craft", method.value.passes) as tick:
                poison = craft(self.bench, method, rep, tick)
        except OutOfTime:
            self.outcome.left += len(group)
            return
        except Exception:  # any fault of a plugin is a row, and the grid goes on
            for cell in group:
                self._fail(cell, f"crafting {method.name} failed\n{traceback.format_exc()}")
            return
        for cell in group:
            self._cell(cell, poison)

    def _cell(self, cell: Cell, poison: Poison) -> None:
        passes = self._passes(cell)
        if not self._fits(passes):
            self.outcome.left += 1
            return
        started = time.monotonic()
        try:
            with self.progress.piece(_name(cell), passes) as tick:
                row = run_cell(self.bench, cell, poison, tick)
        except OutOfTime:
            self.outcome.left += 1
            return
        except Exception:  # as above
            self._fail(cell, traceback.format_exc())
            return
        self._save(row)
        self.pace.learn(time.monotonic() - started, passes)
        self.outcome.computed += 1
        self.progress.say(f"{_name(cell)}: {100 * (row.test_acc or 0):.1f} %, {row.train_seconds:.0f} s")

    def _fail(self, cell: Cell, reason: str) -> None:
        self._save(blank_row(self.bench, cell, status="failed", reason=reason))
        self.outcome.failed += 1
        self.progress.say(f"{_name(cell)}: failed, {reason.strip().splitlines()[-1]}")

    def _save(self, row: Row) -> None:
        old = self.old.get(row.key)
        files.save(replace(row, attempt=old.attempt + 1 if old else 1), self.folder)

    def _passes(self, cell: Cell) -> float:
        cost: float = cell.defense.value.cost
        return self.bench.setting.victim.epochs * cost

    def _fits(self, passes: float) -> bool:
        """Whether a piece will end before the deadline, as far as is known: checkpoints do the rest."""
        if self.bench.deadline is None:
            return True
        left = self.bench.deadline - time.monotonic()
        return left > (self.pace.estimate(passes) or 0.0)


def _name(cell: Cell) -> str:
    name = f"{cell.method.name} x {cell.defense.name}"
    return name + (f" (poison {cell.poison_rep}, victim {cell.rep})" if cell.poison_rep or cell.rep else "")
