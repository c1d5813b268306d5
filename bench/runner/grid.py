"""The grid: names -> cells -> jobs; skip what has a row, save each row, survive failures."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from bench.core.defense import Undefended
from bench.core.errors import BadInput
from bench.core.libraries import explained
from bench.experiment.cache import load_victim
from bench.experiment.context import Cell, RunContext, blank_row
from bench.experiment.locks import Locks
from bench.experiment.registry import Plugin
from bench.results import rows as files
from bench.results.rows import Row
from bench.results.select import one_line
from bench.runner.jobs import TRACEBACK, Job, Result, place_of, without_places, work
from bench.runner.progress import Progress
from bench.runner.scheduler import Scheduler, Work, Workers

LONGEST = 100_000  # characters of a traceback in a row


@dataclass
class Outcome:
    """How a run of the grid ended."""

    computed: int = 0
    failed: int = 0
    left: int = 0  # cells not started or not finished for lack of time


def cells(context: RunContext, methods: Sequence[Plugin], defenses: Sequence[Plugin]) -> list[Cell]:
    """List all cells, those of one poison together. Where crafting draws nothing, one seed is all."""
    grid = []
    for method in methods:
        poison_reps = context.setting.poison_reps if method.value.seeded else 1
        for poison_rep, defense, rep in product(range(poison_reps), defenses, range(context.setting.reps)):
            grid.append(Cell(method, defense, poison_rep, rep))
    return grid


def is_finished(context: RunContext, row: Row) -> bool:
    """Whether there is nothing left to compute: a victim that is asked for must be there, too."""
    if row.status == "ok" and context.keep_victims:
        return load_victim(context.cache, row) is not None
    return row.status != "failed"


def cost(context: RunContext, cell: Cell) -> float:
    """Estimate training the cell's victim, in training passes over the images; its defense has the epochs."""
    value: Undefended = cell.defense.value
    return value.recipe(context.setting.victim).epochs * value.cost


def by_poison(context: RunContext, todo: Sequence[Cell]) -> dict[Job, list[Job]]:
    """List the crafting of each poison, and the cells that wait for it."""
    waiting: dict[Job, list[Job]] = {}
    for cell in todo:
        first = Job(cell.method, cell.poison_rep, None, cell.method.value.passes)
        waiting.setdefault(first, []).append(Job(cell.method, cell.poison_rep, cell, cost(context, cell)))
    return waiting


def run(
    context: RunContext,
    wanted: Sequence[Cell],
    folder: Path,
    progress: Progress,
    start: Callable[..., Workers],
    plugins: Path | None,
    tell: Callable[[Row], None] = lambda row: None,
) -> Outcome:
    """Compute every wanted cell that has no finished row in the folder, or no victim where it should be kept.

    start: makes workers, given work, context and report, once there is something to do. tell: is given every
    measured row once it is saved.
    """
    grid = _Grid(context, folder, progress, plugins, tell)
    todo = grid.missing(wanted)
    if not todo:
        return grid.outcome
    grid.waiting = by_poison(context, todo)
    costs = [job.cost for craft, cells in grid.waiting.items() for job in (craft, *cells)]
    pool = start(work, context, report=progress.tick)
    with progress.grid(len(todo), sum(costs), jobs=len(costs)):
        Scheduler(grid, pool, progress, Locks(context.cache / "locks"), context.deadline).run([*grid.waiting])
    return grid.outcome


class _Grid(Work[Job]):
    """What becomes of poisons and cells: rows."""

    def __init__(
        self,
        context: RunContext,
        folder: Path,
        progress: Progress,
        plugins: Path | None,
        tell: Callable[[Row], None],
    ) -> None:
        self.tell = tell
        self.context, self.folder, self.progress, self.plugins = context, folder, progress, plugins
        self.old = {row.key: row for row in files.load_all(folder)}
        self.outcome = Outcome()
        self.waiting: dict[Job, list[Job]] = {}  # craft -> cells of its poison
        self.seconds, self.passes = 0.0, 0.0  # of jobs that are done: the pace

    def missing(self, wanted: Sequence[Cell]) -> list[Cell]:
        """List the cells that have to be computed; those without meaning get their row at once."""
        rest = []
        for cell in wanted:
            old = self.old.get(self.context.identity(cell).key)
            if old is not None and is_finished(self.context, old):
                if old.status == "ok" and old.train_seconds:
                    self._learn(old.train_seconds, cost(self.context, cell))
                self._clear_left(old.key)
                continue
            reason = cell.defense.value.unsuited(self.context.data)
            if reason:
                self._save(blank_row(self.context, cell, status="skipped", reason=reason))
                self.progress.say(f"{cell.method.name} x {cell.defense.name}: skipped, {reason}")
            else:
                rest.append(cell)
        return rest

    def _clear_left(self, key: str) -> None:
        """Remove the checkpoint of a run that was killed before it did; not of one that is at it."""
        state, locks = self.context.checkpoint("victim", key), Locks(self.context.cache / "locks")
        if state.path and any(state.path.parent.glob(f"{state.path.name}*")) and locks.take(state.path.name):
            state.clear()
            locks.drop(state.path.name)

    def lock(self, job: Job) -> str:
        """Its checkpoint: variants that publish one delta in several ways share that of its crafting."""
        return self._state(job).name

    def needed(self, job: Job) -> float:
        """By the pace; 0 where an earlier run left a checkpoint, so that this one may need less."""
        path = self._state(job)
        begun = any(path.parent.glob(f"{path.name}*"))
        return 0.0 if begun or not self.passes else self.seconds / self.passes * job.cost

    def found(self, job: Job) -> bool:
        """Whether another run has saved its row since this one began."""
        if job.cell is None:
            return False
        path = files.path_of(self.context.identity(job.cell).key, self.folder)
        return path.exists() and is_finished(self.context, files.load(path))

    def end(self, job: Job, result: Result | BaseException) -> list[Job]:
        if isinstance(result, BaseException):  # a plugin that cannot be sent to a worker, for one
            result = Result(error="".join(traceback.format_exception(result)))
        if result.late:
            self.leave(job)
        elif result.error:
            self._fail(job, result.error)
        else:
            self._learn(result.seconds, job.cost)
            return self._done(job, result)
        return []

    def _done(self, job: Job, result: Result) -> list[Job]:
        if result.row is None:
            self.context.craft_checkpoint(job.method, job.poison_rep).clear()  # so too here
            short = f"; objective not reached: {result.unreached}" if result.unreached else ""
            self.progress.say(f"{job.name}: {result.seconds:.0f} s{short}")
            return self.waiting.pop(job)
        unlike = self._unlike(result.row)
        if unlike is None:
            try:
                self._save(result.row)
            except BadInput as wrong:  # a plugin noted what no row can hold
                unlike = str(wrong)
            else:
                self.tell(result.row)
        self.context.checkpoint("victim", result.row.key).clear()
        if unlike is not None:
            self._fail(job, unlike)
        else:
            self.outcome.computed += 1
            accuracy = 100 * (result.row.test_acc or 0)
            self.progress.say(f"{job.name}: {accuracy:.1f} %, {result.seconds:.0f} s")
        return []

    def _unlike(self, row: Row) -> str | None:
        """Say what is wrong with a victim that was trained again: it must be its row's."""
        path = files.path_of(row.key, self.folder)
        old = files.load(path) if path.exists() else None
        if old is None or old.status != "ok" or old.test_acc == row.test_acc:
            return None
        return (
            f"trained again, the victim's test accuracy is {row.test_acc}, expected {old.test_acc} as in "
            f"{path.name}: another machine, other libraries or threads; without that row all is computed anew"
        )

    def _fail(self, job: Job, error: str) -> None:
        """Record a failed cell, or all cells of a failed poison, naming it."""
        error = without_places(error, self.plugins).encode(errors="backslashreplace").decode()
        if len(error) > LONGEST:
            error = f"{error[: LONGEST // 2]}\n[...]\n{error[-LONGEST // 2 :]}"
        reason = error if job.cell else f"crafting {job.method.name} failed\n{error}"
        rows = [
            blank_row(self.context, victim.cell, status="failed", reason=reason)
            for victim in self.waiting.pop(job, [job])
            if victim.cell is not None
        ]
        for row in rows:
            self._save(row)
        self.outcome.failed += len(rows)
        plugin = job.cell.defense if job.cell else job.method
        kept = f"; traceback in {files.path_of(rows[0].key, self.folder)}" if TRACEBACK in error else ""
        where = place_of(error, plugin, self.plugins)
        why = explained(error) or one_line(error)
        self.progress.say(f"{job.name}: failed, {why} ({where}){kept}")

    def leave(self, job: Job) -> None:
        self.outcome.left += len(self.waiting.pop(job, [job]))

    def _save(self, row: Row) -> None:
        old, path = self.old.get(row.key), files.path_of(row.key, self.folder)
        if not self.folder.is_dir():
            raise OSError(errno.ESTALE, "the folder of the rows is gone", str(self.folder))
        if path.exists() and files.load(path).status == "ok":
            return  # another process has computed it meanwhile, or its victim alone was trained again
        files.save(replace(row, attempt=old.attempt + 1 if old else 1), self.folder)

    def _learn(self, seconds: float, passes: float) -> None:
        self.seconds, self.passes = self.seconds + seconds, self.passes + passes

    def _state(self, job: Job) -> Path:
        """Where its checkpoint lies."""
        if job.cell is None:
            path = self.context.craft_checkpoint(job.method, job.poison_rep).path
        else:
            path = self.context.checkpoint("victim", self.context.identity(job.cell).key).path
        assert path is not None
        return path
