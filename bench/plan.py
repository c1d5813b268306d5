"""What a run of the grid would find done, and what it would have to do; nothing is computed or written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench import grid, store
from bench.cell import Bench, Cell, crafting_key, delta_folder, poison_folder
from bench.effort import Effort, effort
from bench.pieces import Piece
from bench.rows import Row

State = Literal["there", "left", "skipped"]  # skipped: without meaning, or a poison that nothing waits for
Speeds = dict[str, float]  # net -> image-steps a second of one worker


@dataclass(frozen=True)
class Task:
    """A piece of the grid, and whether it is still to be done."""

    piece: Piece
    state: State
    effort: Effort
    reason: str | None = None  # why a cell is skipped

    @property
    def work(self) -> str:
        return "craft" if self.piece.cell is None else self.piece.cell.defense.name

    def seconds(self, speeds: Speeds) -> float:
        """0 where there is nothing left to do."""
        if self.state != "left" or not self.effort.images:
            return 0.0
        return self.effort.images / speeds[self.effort.net]


@dataclass(frozen=True)
class Branch:
    """A poison and the cells that need it."""

    craft: Task
    cells: list[Task]

    @property
    def tasks(self) -> list[Task]:
        return [self.craft, *self.cells]


def planned(bench: Bench, cells: Sequence[Cell], rows: Iterable[Row]) -> list[Branch]:
    """Every poison and cell of the grid, looked up. rows: all that are there already."""
    old, branches, crafted = {row.key: row for row in rows}, [], set[str]()
    for craft, waiting in grid.by_poison(bench, cells).items():
        tasks = [_cell(bench, piece, old) for piece in waiting]
        task = _craft(bench, craft, needed=any(task.state == "left" for task in tasks))
        key = crafting_key(bench, craft.method, craft.poison_rep)
        if task.state == "left":
            task = replace(task, state="there") if key in crafted else task
            crafted.add(key)
        branches.append(Branch(task, tasks))
    return branches


def _craft(bench: Bench, piece: Piece, needed: bool) -> Task:
    folders = [poison_folder(bench, piece.method, piece.poison_rep)]
    if piece.method.publishes_otherwise:
        folders.append(delta_folder(bench, piece.method, piece.poison_rep))
    cached = any(store.load(folder) is not None for folder in folders)
    return Task(piece, "there" if cached else "left" if needed else "skipped", effort(bench, piece))


def _cell(bench: Bench, piece: Piece, old: dict[str, Row]) -> Task:
    assert piece.cell is not None
    row, reason = old.get(bench.identity(piece.cell).key), None
    state: State = "there"
    if row is None or not grid.is_finished(bench, row):
        reason = piece.cell.defense.value.unsuited(bench.data)
        state = "skipped" if reason else "left"
    return Task(piece, state, effort(bench, piece), reason)


def lines(branches: Iterable[Branch]) -> dict[tuple[str, str], list[Task]]:
    """The tasks by method and work, the crafting of each method first."""
    found: dict[tuple[str, str], list[Task]] = {}
    for task in (task for branch in branches for task in branch.tasks):
        found.setdefault((task.piece.method.name, task.work), []).append(task)
    return found


def nets(branches: Iterable[Branch]) -> list[str]:
    """Those whose speed decides how long it takes."""
    tasks = [task for branch in branches for task in branch.tasks]
    return list(dict.fromkeys(t.effort.net for t in tasks if t.state == "left" and t.effort.images))


def work_and_wall(branches: Sequence[Branch], speeds: Speeds, workers: int) -> tuple[float, float]:
    """Seconds of work in all, and the least they take: shared by all workers, but no piece by two.

    A cell waits for its poison.
    """
    whole = sum(task.seconds(speeds) for branch in branches for task in branch.tasks)
    chains = [
        branch.craft.seconds(speeds) + max(task.seconds(speeds) for task in branch.cells)
        for branch in branches
    ]
    return whole, max([whole / workers, *chains])
