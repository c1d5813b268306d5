"""Looks: one net on one poison, whose features are computed once for all that is measured of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench import victims
from bench.cell import Bench, Cell, craft, published_split
from bench.core.errors import BadInput
from bench.core.train import Tick
from bench.features import subject
from bench.keys import key_of
from bench.measures import Subject, measure
from bench.registry import Plugin
from bench.rows import Row
from bench.select import CLEAN
from bench.settings import Setting
from bench.studies.records import Records, plain
from bench.studies.study import IMAGES, Record, Study

ASIDE = ("method", "poison_rep", "eps")  # inputs of a row that another poison for the same net differs in


@dataclass(frozen=True)
class Look:
    """What a worker measures at a time."""

    net: Row  # whose victim it is
    poison: Row  # whose published images they are
    method: Plugin  # of the poison
    setting: Setting
    measures: tuple[str, ...]

    @property
    def name(self) -> str:
        """No two looks of a study share it: grids may differ in anything."""
        row, net = self.poison, self.net
        through = f" through {net.method} {net.key[:8]}" if net.key != row.key else ""
        return f"{self.setting.net}: {row.method} x {row.defense} {row.key[:8]}{through}"


def looks(study: Study, rows: Iterable[Row], cells: Mapping[str, tuple[Bench, Cell]]) -> list[Look]:
    """All that the study measures of these rows. cells: by the rows' keys."""
    done = sorted((row for row in rows if row.status == "ok"), key=lambda row: row.key)
    clean = {_net_of(row): row for row in done if row.method == CLEAN}
    wanted: dict[tuple[str, str], list[str]] = {}
    for row in done:
        pairs = [(row, study.measures)]
        pairs += [(clean[_net_of(row)], study.through_clean)] if _net_of(row) in clean else []
        for net, measures in pairs:
            wanted.setdefault((net.key, row.key), []).extend(measures)
    by_key = {row.key: row for row in done}
    found = []
    for (net_key, poison_key), names in wanted.items():
        bench, cell = cells[poison_key]
        distinct = tuple(dict.fromkeys(names))
        found.append(Look(by_key[net_key], by_key[poison_key], cell.method, bench.setting, distinct))
    return found


def _net_of(row: Row) -> str:
    """The same for all rows whose victims differ in their poisons alone."""
    return key_of({name: value for name, value in row.inputs.items() if name not in ASIDE})


def known(records: Records, look: Look) -> dict[str, Record]:
    """What has been measured of it already, by measure."""
    found = {name: records.load(name, look.net.key, look.poison.key) for name in look.measures}
    return {name: record for name, record in found.items() if record is not None}


def pending(records: Records, wanted: Sequence[Look]) -> list[Look]:
    """What is left to measure."""
    left = []
    for look in wanted:
        measures = tuple(name for name in look.measures if name not in known(records, look))
        left += [replace(look, measures=measures)] if measures else []
    return left


def work(records: Records, bench: Bench, look: Look, tick: Tick) -> None:
    """Measure, and save each record at once."""
    seen = see(replace(bench, setting=look.setting), look)
    for index, name in enumerate(look.measures):
        tick(index / len(look.measures), name)
        records.save(measured(name, seen, look))


def see(bench: Bench, look: Look) -> Subject:
    """Both sets of images and their features. Raises BadInput where victim or poison are not the rows'."""
    weights = victims.load(bench.cache, look.net)
    if weights is None:
        raise BadInput(f"{look.name}: the kept victim is gone; the same command trains it again")
    poison = craft(bench, look.method, look.poison.poison_rep)
    if poison.manifest["published"] != look.poison.published:
        raise BadInput(f"{look.name}: the poison, crafted again, is not the one that its row was computed on")
    net = bench.build(bench.setting.net, seed=0)
    net.load_state_dict(weights)
    setting = replace(bench.setting, mi=replace(bench.setting.mi, images=IMAGES))
    return subject(bench.data, setting, net, published_split(bench, poison))


def measured(name: str, seen: Subject, look: Look) -> Record:
    """One measure, or why it has no value."""
    started = time.monotonic()
    try:
        values, reason = plain(measure(name)(seen)), None
    except ValueError as error:
        values, reason = {}, str(error)
    return Record(name, look.net.key, look.poison.key, values, reason, time.monotonic() - started)
