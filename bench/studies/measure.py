"""Measures of nets on poisons: a job is one net on one poison, whose features are computed once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.core.errors import BadInput
from bench.core.train import Tick
from bench.experiment import keys
from bench.experiment.cache import load_victim
from bench.experiment.cell import craft, published_split
from bench.experiment.context import Cell, RunContext
from bench.experiment.evaluate import subject
from bench.experiment.locks import Locks
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.metrics import Subject, measure
from bench.results.identity import key_of
from bench.results.rows import Row
from bench.results.select import CLEAN
from bench.runner.progress import Progress
from bench.runner.scheduler import Scheduler, Work, WorkersDied
from bench.runner.session import Grid
from bench.studies.records import Records, plain
from bench.studies.study import IMAGES, Record, Study

ASIDE = ("method", "poison_rep", "eps")  # inputs of a row that another poison for the same net differs in


@dataclass(frozen=True)
class MeasureJob:
    """What a worker measures at a time."""

    net: Row  # whose victim it is
    poison: Row  # whose published images they are
    method: Plugin  # of the poison
    setting: Setting
    measures: tuple[str, ...]

    @property
    def cost(self) -> int:
        return len(self.measures)

    @property
    def name(self) -> str:
        """No two jobs of a study share it: grids may differ in anything."""
        row, net = self.poison, self.net
        through = f" through {net.method} {net.key[:8]}" if net.key != row.key else ""
        return f"{self.setting.net}: {row.method} x {row.defense} {row.key[:8]}{through}"


def measure_jobs(
    study: Study, rows: Iterable[Row], cells: Mapping[str, tuple[RunContext, Cell]]
) -> list[MeasureJob]:
    """All that the study measures of these rows. cells: by the rows' keys."""
    done = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.key)
    clean = {_net_of(row): row for row in done if row.method == CLEAN}
    wanted: dict[tuple[str, str], list[str]] = {}
    for row in done:
        pairs = [(row, study.measures)]
        pairs += [(clean[_net_of(row)], study.through_clean)] if _net_of(row) in clean else []
        for net, measures in pairs:
            wanted.setdefault((net.key, row.key), []).extend(measures)
    by_key, found = {row.key: row for row in done}, []
    for (net_row, poison_row), names in wanted.items():
        context, cell = cells[poison_row]
        distinct = tuple(dict.fromkeys(names))
        found.append(MeasureJob(by_key[net_row], by_key[poison_row], cell.method, context.setting, distinct))
    return found


def _net_of(row: Row) -> str:
    """Return the same for all rows whose victims differ in their poisons alone."""
    return key_of({name: value for name, value in row.inputs.items() if name not in ASIDE})


def known(records: Records, job: MeasureJob) -> dict[str, Record]:
    """Load what has been measured of it already, by measure."""
    found = {name: records.load(name, job.net.key, job.poison.key) for name in job.measures}
    return {name: record for name, record in found.items() if record is not None}


def pending(records: Records, wanted: Sequence[MeasureJob]) -> list[MeasureJob]:
    """List what is left to measure."""
    left = []
    for job in wanted:
        done = known(records, job)
        measures = tuple(name for name in job.measures if name not in done)
        left += [replace(job, measures=measures)] if measures else []
    return left


def see(context: RunContext, job: MeasureJob) -> Subject:
    """Both sets of images and their features. Raises BadInput where victim or poison are not the rows'."""
    weights = load_victim(context.cache, job.net)
    if weights is None:
        raise BadInput(f"{job.name}: the kept victim is gone; the same command trains it again")
    poison = craft(context, job.method, job.poison.poison_rep)
    if poison.manifest["published"] != job.poison.published:
        raise BadInput(f"{job.name}: the poison, crafted again, is not the one that its row was computed on")
    net = context.build(context.setting.net, seed=0)
    net.load_state_dict(weights)
    setting = replace(context.setting, mi=replace(context.setting.mi, images=IMAGES))
    return subject(context.data, setting, net, published_split(context, poison))


def work(records: Records, context: RunContext, job: MeasureJob, tick: Tick) -> None:
    """Measure, and save each record at once; those that a worker saved before it died are there."""
    for left in pending(records, [job]):
        seen = see(replace(context, setting=job.setting), left)
        for index, name in enumerate(left.measures):
            tick(index / len(left.measures), name)
            started, values, reason = time.monotonic(), {}, None
            try:
                values = plain(measure(name)(seen))
            except ValueError as error:
                reason = str(error)
            seconds = time.monotonic() - started
            records.save(Record(name, left.net.key, left.poison.key, values, reason, seconds))


@dataclass
class _Measuring(Work[MeasureJob]):
    """What becomes of measures: records, which the workers save."""

    records: Records
    progress: Progress
    deadly: list[str]  # what took down its workers

    def lock(self, job: MeasureJob) -> str:
        return f"measures-{job.net.key[:16]}-{job.poison.key[:16]}"

    def found(self, job: MeasureJob) -> bool:
        return not pending(self.records, [job])

    def end(self, job: MeasureJob, result: BaseException | None) -> list[MeasureJob]:
        """After a death, put aside the measure that the worker was at; the others are ready."""
        left = pending(self.records, [job])
        if isinstance(result, WorkersDied):
            self.deadly += [f"{each.measures[0]} of {each.name}" for each in left]
            return [replace(each, measures=each.measures[1:]) for each in left if each.measures[1:]]
        if result is not None:
            raise result
        self.progress.say(f"{job.name}: {', '.join(job.measures)}")
        return []


def measure_all(grids: Sequence[Grid], wanted: Sequence[MeasureJob], records: Records) -> None:
    """Measure what is wanted, as far as there is time: all of one data set on the same workers.

    Raises BadInput, once all else is done, where measures took down their workers.
    """
    deadly: list[str] = []
    place = {key: grid for grid in grids for key in grid.keys}
    groups: dict[str, list[MeasureJob]] = {}
    for job in wanted:
        context = place[job.poison.key].context
        groups.setdefault(keys.images(context.data, context.setting), []).append(job)
    for jobs in groups.values():
        grid, count = place[jobs[0].poison.key], sum(job.cost for job in jobs)
        progress, locks = Progress(grid.console), Locks(grid.context.cache / "locks")
        pool = grid.start(partial(work, records), grid.context, report=progress.tick)
        measuring = _Measuring(records, progress, deadly)
        with progress.grid(count, count, "measures"):
            Scheduler(measuring, pool, progress, locks, grid.context.deadline).run(jobs)
    if deadly:
        raise BadInput(
            f"a worker process died twice (killed, or out of memory) over {', '.join(deadly)}; the same "
            "command goes on, with fewer --workers in less memory"
        )
