"""Records on disk: one JSON file each, written by rename; one counts while its metric has its revision."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from bench.core.errors import unknown
from bench.core.files import write_atomically
from bench.metrics import METRICS
from bench.results.aggregate import comparable
from bench.results.identity import record_name
from bench.results.select import last_line
from bench.results.upgrade import SCHEMA
from bench.studies.study import IMAGES, Record

SCALE = "on another scale"


class Records:
    """The records of some measures in a folder."""

    def __init__(self, folder: Path, measures: Iterable[str]) -> None:
        for name in measures:
            if name not in METRICS:
                raise unknown("measure", name, METRICS)
        self.folder = folder

    def load(self, measure: str, net_row: str, poison_row: str) -> Record | None:
        """None where there is none, or only one of another revision."""
        inputs = self._inputs(measure, net_row, poison_row)
        try:
            stored = json.loads(self._path(inputs).read_text(encoding="utf-8"))
            return Record(**stored["record"]) if stored["inputs"] == inputs else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, record: Record) -> None:
        """In the place of one of an older revision."""
        inputs = self._inputs(record.measure, record.net_row, record.poison_row)
        stored = {"schema": SCHEMA, "inputs": inputs, "record": asdict(record)}
        write_atomically(self._path(inputs), json.dumps(stored, indent=1, allow_nan=False) + "\n")

    def _inputs(self, measure: str, net_row: str, poison_row: str) -> dict[str, str | int]:
        """All that decides a record; images and seeds are in the rows' keys."""
        pair = {"measure": measure, "net": net_row, "poison": poison_row}
        return {**pair, "images": IMAGES, "revision": METRICS[measure].revision}

    def _path(self, inputs: dict[str, str | int]) -> Path:
        return self.folder / record_name(inputs)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Measured values as JSON knows them. Raises ValueError for what is no finite number."""
    simple = {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
    for name, value in simple.items():
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"{name} is {value}, expected a finite number")
    return simple


# Reading them


def ranks_apart(own: Record | None, other: Record | None, name: str) -> str | None:
    """Say why figures of two records are on different scales; None where they are on one."""
    ranks = [rank_of(own), rank_of(other)]
    if comparable(*ranks):
        return None
    return f"features of {ranks[0]} dimensions, {name}'s of {ranks[1]}: {SCALE}"


def rank_of(record: Record | None) -> int | None:
    """Return the dimensions of the features' code that a record is of."""
    rank = None if record is None else record.values.get("rank")
    return rank if isinstance(rank, int) else None


def figure_of(record: Record, key: str) -> float | str:
    """Return a record's figure; where it has none, or only a bound, the reason."""
    value, censored = record.values.get(key), record.values.get("censored", False)
    if isinstance(value, int | float) and not isinstance(value, bool) and not censored and isfinite(value):
        return float(value)
    if record.reason is not None:
        return last_line(record.reason)
    bound = record.values.get("bound")
    return "no value" if bound is None else f"a bound only: {bound}"


def reach_over_images(record: Record | None) -> float | None:
    """Return half of a record's own interval, over images alone; None where it states none."""
    width = None if record is None else difference(record, "high", record, "low")
    return None if width is None else width / 2


def difference(one: Record, end: str, other: Record, other_end: str) -> float | None:
    """Subtract the other's end from one's; None where either is no number."""
    high, low = one.values.get(end), other.values.get(other_end)
    if isinstance(high, int | float) and isinstance(low, int | float):
        return float(high) - float(low)
    return None
