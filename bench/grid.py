"""The grid: names -> cells; skip what has a row, survive failures, stop in time."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from bench import rows as files
from bench import victims
from bench.cell import Bench, Cell, blank_row, craft_checkpoint
from bench.core.errors import BadInput
from bench.locks import Locks
from bench.pieces import Piece, Result, without_places, work
from bench.pool import Workers
from bench.progress import Progress
from bench.registry import Plugin
from bench.rows import Row

PAUSE = 2.0  # seconds between two looks at how many workers there are, and what another run is at


@dataclass
class Outcome:
    """How a run of the grid ended."""

    computed: int = 0
    failed: int = 0
    left: int = 0  # cells not started or not finished for lack of time


def cells(bench: Bench, methods: Sequence[Plugin], defenses: Sequence[Plugin]) -> list[Cell]:
    """All cells, those of one poison together. Where crafting draws nothing, one seed is all."""
    grid = []
    for method in methods:
        poison_reps = bench.setting.poison_reps if method.value.seeded else 1
        for poison_rep, defense, rep in product(range(poison_reps), defenses, range(bench.setting.reps)):
            grid.append(Cell(method, defense, poison_rep, rep))
    return grid


def is_finished(bench: Bench, row: Row) -> bool:
    """Whether there is nothing left to compute: a victim that is asked for must be there, too."""
    if row.status == "ok" and bench.keep_victims:
        return victims.load(bench.cache, row) is not None
    return row.status != "failed"


def cost(bench: Bench, cell: Cell) -> float:
    """Of training the cell's victim, in training passes over the images."""
    each: float = cell.defense.value.cost
    return bench.setting.victim.epochs * each


def by_poison(bench: Bench, todo: Sequence[Cell]) -> dict[Piece, list[Piece]]:
    """The crafting of each poison, and the cells that wait for it."""
    waiting: dict[Piece, list[Piece]] = {}
    for cell in todo:
        first = Piece(cell.method, cell.poison_rep, None, cell.method.value.passes)
        waiting.setdefault(first, []).append(Piece(cell.method, cell.poison_rep, cell, cost(bench, cell)))
    return waiting


def run(
    bench: Bench,
    wanted: Sequence[Cell],
    folder: Path,
    progress: Progress,
    start: Callable[..., Workers],
    plugins: Path | None,
) -> Outcome:
    """Compute every wanted cell that has no finished row in the folder, or no victim where it should be kept.

    start: makes workers, given work, bench and report, once there is something to do.
    """
    scheduler = _Run(bench, folder, progress, plugins)
    todo = scheduler.missing(wanted)
    if not todo:
        return scheduler.outcome
    pool = start(work, bench, report=progress.tick)
    finished = False
    try:
        scheduler.all(todo, pool)
        finished = True
    finally:
        pool.close(now=not finished)
        scheduler.locks.drop_all()
    return scheduler.outcome


class _Run:
    def __init__(self, bench: Bench, folder: Path, progress: Progress, plugins: Path | None) -> None:
        self.bench, self.folder, self.progress, self.plugins = bench, folder, progress, plugins
        self.old = {row.key: row for row in files.load_all(folder)}
        self.outcome = Outcome()
        self.ready: list[Piece] = []
        self.waiting: dict[Piece, list[Piece]] = {}  # craft -> cells of its poison
        self.running: dict[Future[Result], Piece] = {}
        self.suspects: set[Piece] = set()  # at work as a worker died: tried again, one at a time
        self.locks = Locks(bench.cache / "locks")
        self.elsewhere: set[Piece] = set()  # what was said to be computed by another run
        self.seconds, self.passes = 0.0, 0.0  # of pieces that are done: the pace

    def missing(self, wanted: Sequence[Cell]) -> list[Cell]:
        """The cells that have to be computed; those without meaning get their row at once."""
        rest = []
        for cell in wanted:
            old = self.old.get(self.bench.identity(cell).key)
            if old is not None and is_finished(self.bench, old):
                if old.status == "ok" and old.train_seconds:
                    self._learn(old.train_seconds, cost(self.bench, cell))
                self.bench.checkpoint("victim", old.key).clear()  # a run may have been killed before it did
                continue
            reason = cell.defense.value.unsuited(self.bench.data)
            if reason:
                self._save(blank_row(self.bench, cell, status="skipped", reason=reason))
                self.progress.say(f"{cell.method.name} x {cell.defense.name}: skipped, {reason}")
            else:
                rest.append(cell)
        return rest

    def all(self, todo: Sequence[Cell], pool: Workers) -> None:
        self.waiting = by_poison(self.bench, todo)
        self.ready = [*self.waiting]
        passes = sum(p.passes for craft in self.ready for p in (craft, *self.waiting[craft]))
        with self.progress.grid(len(todo), passes):
            while self.ready or self.running:
                self._submit(pool)
                for future in self._ended():
                    if future in self.running:  # else its piece was taken back with another's
                        self._settle(self.running.pop(future), future, pool)

    def _submit(self, pool: Workers) -> None:
        """Keep the workers busy: poisons first, since cells wait for them, and long pieces first.

        What another run is at is passed over, and tried again the next time.
        """
        self.ready.sort(key=lambda p: (p not in self.suspects, p.cell is not None, -p.passes))
        alone = not self.suspects.isdisjoint([*self.ready, *self.running.values()])
        passed_over, waiting, workers = list[Piece](), list[Piece](), 1 if alone else pool.workers
        while self.ready and len(self.running) < workers:
            piece = self.ready.pop(0)
            if not self._fits(piece):
                self._leave(piece)
            elif self._state(piece).name in self.locks.held:  # a variant is crafting what this one publishes
                waiting.append(piece)
            elif not self.locks.take(self._state(piece).name):
                self.suspects.discard(piece)  # while another run is at it, nobody waits
                passed_over.append(piece)
            elif self._found(piece):
                self.locks.drop(self._state(piece).name)
            else:
                self.progress.begin(piece.name, piece.passes)
                try:
                    self.running[pool.submit(piece)] = piece
                except BrokenProcessPool:  # a worker has died, not of this piece
                    self._take_back(piece)
                    if self.running:
                        break  # they went down with it, and are settled first
                    pool.revive()
        self.ready += waiting
        self._pass_over(passed_over)

    def _ended(self) -> list[Future[Result]]:
        """Wait for a piece to end, or for a while; results come before what a dead worker leaves."""
        if not self.running and self.ready:
            time.sleep(PAUSE)
        return sorted(
            wait(self.running, PAUSE, FIRST_COMPLETED).done, key=lambda f: f.exception() is not None
        )

    def _pass_over(self, pieces: list[Piece]) -> None:
        for piece in (piece for piece in pieces if piece not in self.elsewhere):
            self.progress.say(f"{piece.name}: being computed by another run, left for later")
        self.elsewhere |= {*pieces}
        self.ready += pieces

    def _found(self, piece: Piece) -> bool:
        """Whether another run has saved its row since this one began."""
        if piece.cell is None:
            return False
        path = files.path_of(self.bench.identity(piece.cell).key, self.folder)
        if not path.exists() or not is_finished(self.bench, files.load(path)):
            return False
        self.progress.skip(piece.passes)
        self.progress.say(f"{piece.name}: computed by another run")
        return True

    def _settle(self, piece: Piece, future: Future[Result], pool: Workers) -> None:
        try:
            result = future.result()
        except BrokenProcessPool:
            again = piece not in self.suspects  # the executor does not say whose worker it was
            self._revive(pool)
            if again:
                self._suspect(piece)
                return
            result = Result(
                error="BrokenProcessPool: its worker process died twice (killed, or out of memory)"
            )
        except BadInput:  # the workers' fault: nothing that they compute could be trusted
            raise
        except Exception:  # a plugin that cannot be sent to a worker, for one
            result = Result(error=traceback.format_exc())
        self.progress.end(piece.name)
        if result.late:
            self._leave(piece)
        elif result.error:
            self._fail(piece, result.error)
        else:
            self._learn(result.seconds, piece.passes)
            self._done(piece, result)
        self.locks.drop(self._state(piece).name)

    def _revive(self, pool: Workers) -> None:
        """New workers; pieces that went down with another's worker start again, from their checkpoints."""
        pool.revive()
        for future in [*self.running]:
            self._suspect(self.running.pop(future))

    def _suspect(self, piece: Piece) -> None:
        self.suspects.add(piece)
        self._take_back(piece)

    def _take_back(self, piece: Piece) -> None:
        """It is ready again."""
        self.progress.end(piece.name)
        self.progress.skip(-piece.passes)
        self.locks.drop(self._state(piece).name)
        self.ready.append(piece)

    def _done(self, piece: Piece, result: Result) -> None:
        if result.row is None:
            craft_checkpoint(self.bench, piece.method, piece.poison_rep).clear()  # so too here
            self.ready += self.waiting.pop(piece)
            self.progress.say(f"{piece.name}: {result.seconds:.0f} s")
            return
        unlike = self._unlike(result.row)
        if unlike is None:
            self._save(result.row)
        self.bench.checkpoint("victim", result.row.key).clear()
        if unlike is not None:
            self._fail(piece, unlike)
            return
        self.outcome.computed += 1
        accuracy = 100 * (result.row.test_acc or 0)
        self.progress.say(f"{piece.name}: {accuracy:.1f} %, {result.seconds:.0f} s")

    def _unlike(self, row: Row) -> str | None:
        """What is wrong with a victim that was trained again: it must be its row's."""
        path = files.path_of(row.key, self.folder)
        old = files.load(path) if path.exists() else None
        if old is None or old.status != "ok" or old.test_acc == row.test_acc:
            return None
        return (
            f"trained again, the victim's test accuracy is {row.test_acc}, expected {old.test_acc} as in "
            f"{path.name}: another machine, other libraries or threads; without that row all is computed anew"
        )

    def _fail(self, piece: Piece, error: str) -> None:
        """Record a failed cell, or all cells of a failed poison, naming it."""
        error = without_places(error, self.plugins)
        last = error.strip().splitlines()[-1]
        self.progress.say(f"{piece.name}: failed, {last}")
        for victim in self.waiting.pop(piece, [piece]):
            assert victim.cell is not None
            reason = error if piece.cell else f"crafting {piece.method.name} failed\n{error}"
            self._save(blank_row(self.bench, victim.cell, status="failed", reason=reason))
            self.outcome.failed += 1

    def _leave(self, piece: Piece) -> None:
        self.outcome.left += len(self.waiting.pop(piece, [piece]))

    def _save(self, row: Row) -> None:
        old, path = self.old.get(row.key), files.path_of(row.key, self.folder)
        if path.exists() and files.load(path).status == "ok":
            return  # another process has computed it meanwhile, or its victim alone was trained again
        files.save(replace(row, attempt=old.attempt + 1 if old else 1), self.folder)

    def _learn(self, seconds: float, passes: float) -> None:
        self.seconds, self.passes = self.seconds + seconds, self.passes + passes

    def _fits(self, piece: Piece) -> bool:
        """Whether a piece will end before the deadline, as far as is known: checkpoints do the rest."""
        if self.bench.deadline is None:
            return True
        left, pace = (
            self.bench.deadline - time.monotonic(),
            self.seconds / self.passes if self.passes else 0.0,
        )
        if left <= 0 or (left < pace * piece.passes and not self._begun(piece)):
            self.progress.say(
                f"{piece.name}: not started, needs about {pace * piece.passes / 60:.0f} minutes"
            )
            return False
        return True

    def _begun(self, piece: Piece) -> bool:
        """Whether an earlier run left a checkpoint, so that this one may need less."""
        path = self._state(piece)
        return any(path.parent.glob(f"{path.name}*"))

    def _state(self, piece: Piece) -> Path:
        """Where its checkpoint lies."""
        if piece.cell is None:
            path = craft_checkpoint(self.bench, piece.method, piece.poison_rep).path
        else:
            path = self.bench.checkpoint("victim", self.bench.identity(piece.cell).key).path
        assert path is not None
        return path
