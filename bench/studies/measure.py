"""Measures of nets on poisons: a job is one net on one poison, whose features are computed once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from bench.core.errors import BadInput
from bench.core.train import Tick, quiet
from bench.experiment import keys
from bench.experiment.cache import load_victim
from bench.experiment.cell import craft, published_split
from bench.experiment.context import Cell, RunContext
from bench.experiment.evaluate import Copies, subject
from bench.experiment.locks import Locks
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.metrics import METRICS, Subject, measure
from bench.results.identity import key_of
from bench.results.rows import Row
from bench.results.select import CLEAN, parted
from bench.runner.progress import Progress
from bench.runner.scheduler import Scheduler, Work, WorkersDied
from bench.runner.session import Grid
from bench.studies.features import Features
from bench.studies.records import Records, plain
from bench.studies.study import IMAGES, Record, Study

P = TypeVar("P", bound="Pair")
ASIDE = ("method", "poison_rep", "eps")  # inputs of a row that another poison for the same net differs in


@dataclass(frozen=True)
class Pair:
    """One net on one poison, and what is measured of it."""

    net: Row  # whose victim it is
    poison: Row  # whose published images they are
    measures: tuple[str, ...]


@dataclass(frozen=True)
class MeasureJob(Pair):
    """What a worker measures at a time."""

    method: Plugin  # of the poison
    setting: Setting

    @property
    def cost(self) -> int:
        return len(self.measures)

    @property
    def name(self) -> str:
        """No two jobs of a study share it: grids may differ in anything."""
        row, net = self.poison, self.net
        through = f" through {net.method} {net.key[:8]}" if net.key != row.key else ""
        return f"{self.setting.net}: {row.method} x {row.defense} {row.key[:8]}{through}"


def pairs(study: Study, rows: Iterable[Row]) -> list[Pair]:
    """All that the study measures of these rows."""
    done = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.key)
    clean = {_net_of(row): row for row in done if row.method == CLEAN}
    wanted: dict[tuple[str, str], list[str]] = {}
    for row in done:
        asked = [(row, study.measures)]
        asked += [(clean[_net_of(row)], study.through_clean)] if _net_of(row) in clean else []
        for net, measures in asked:
            wanted.setdefault((net.key, row.key), []).extend(measures)
    by_key = {row.key: row for row in done}
    return [
        Pair(by_key[net], by_key[poison], tuple(dict.fromkeys(names)))
        for (net, poison), names in wanted.items()
    ]


def measure_jobs(
    study: Study, rows: Iterable[Row], cells: Mapping[str, tuple[RunContext, Cell]]
) -> list[MeasureJob]:
    """Make a job of each pair. cells: by the rows' keys."""
    found = []
    for pair in pairs(study, rows):
        context, cell = cells[pair.poison.key]
        found.append(MeasureJob(pair.net, pair.poison, pair.measures, cell.method, context.setting))
    return found


def _net_of(row: Row) -> str:
    """Return the same for all rows whose victims differ in their poisons alone."""
    return key_of({name: value for name, value in row.inputs.items() if name not in ASIDE})


def known(records: Records, job: Pair) -> dict[str, Record]:
    """Load what has been measured of it already, by measure."""
    found = {name: records.load(name, job.net.key, job.poison.key) for name in job.measures}
    return {name: record for name, record in found.items() if record is not None}


def pending(records: Records, wanted: Sequence[P]) -> list[P]:
    """List what is left to measure."""
    left = []
    for job in wanted:
        done = known(records, job)
        measures = tuple(name for name in job.measures if name not in done)
        left += [replace(job, measures=measures)] if measures else []
    return left


def see(context: RunContext, job: MeasureJob) -> Subject:
    """Both sets of images and their features.

    Raises BadInput where victim or poison are not the rows', Copies where many images are of others.
    """
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


def kept(features: Features, pair: Pair) -> Subject | None:
    """Load the features that were kept, where they are all that it takes: no measure looks at images."""
    looks = any(METRICS[name].of_images for name in pair.measures)
    return None if looks else features.load(pair.net, pair.poison)


def measure_pair(records: Records, pair: Pair, seen: Subject, tick: Tick = quiet) -> None:
    """Measure, and save each record at once."""
    for index, name in enumerate(pair.measures):
        tick(index / len(pair.measures), name)
        started, values, reason = time.monotonic(), {}, None
        try:
            values = plain(measure(name)(seen))
        except ValueError as error:
            reason = str(error)
        seconds = time.monotonic() - started
        records.save(Record(name, pair.net.key, pair.poison.key, values, reason, seconds))


def work(records: Records, features: Features, context: RunContext, job: MeasureJob, tick: Tick) -> None:
    """Measure what is left of a job; records that a worker saved before it died are there."""
    for left in pending(records, [job]):
        try:
            seen = kept(features, left)
            if seen is None:
                seen = features.keep(left.net, left.poison, see(replace(context, setting=job.setting), left))
        except Copies as error:
            for name in left.measures:
                records.save(Record(name, left.net.key, left.poison.key, {}, str(error), 0.0))
        else:
            measure_pair(records, left, seen, tick)


def measure_kept(records: Records, features: Features, wanted: Sequence[Pair]) -> list[Pair]:
    """Measure what is left of the pairs from kept features alone; returns what they are not enough for."""
    lacking = []
    for pair in pending(records, wanted):
        own = tuple(name for name in pair.measures if not METRICS[name].of_images)
        seen = features.load(pair.net, pair.poison) if own else None
        if seen is not None:
            measure_pair(records, replace(pair, measures=own), seen)
        lacking += pending(records, [pair])
    return lacking


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


def measure_all(
    grids: Sequence[Grid], wanted: Sequence[MeasureJob], records: Records, features: Features
) -> None:
    """Measure what is wanted, as far as there is time: all of one data set on the same workers.

    Raises BadInput, once all else is done, where measures took down their workers.
    """
    deadly: list[str] = []
    place = {key: grid for grid in grids for key in grid.keys}
    contexts = {key: grid.context for key, grid in place.items()}
    groups = parted(wanted, lambda job: keys.images((own := contexts[job.poison.key]).data, own.setting))
    for jobs in groups.values():
        grid, count = place[jobs[0].poison.key], sum(job.cost for job in jobs)
        progress, locks = Progress(grid.console), Locks(grid.context.cache / "locks")
        pool = grid.start(partial(work, records, features), grid.context, report=progress.tick)
        measuring = _Measuring(records, progress, deadly)
        with progress.grid(count, count, "measures"):
            Scheduler(measuring, pool, progress, locks, grid.context.deadline).run(jobs)
    if deadly:
        raise BadInput(
            f"a worker process died three times (killed, or out of memory) over {', '.join(deadly)}; the "
            "same command goes on, with fewer --workers in less memory"
        )
