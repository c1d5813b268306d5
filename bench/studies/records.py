"""Records on disk: one JSON file each, written by rename; one counts while its metric has its revision."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.core.errors import unknown
from bench.core.files import write_atomically
from bench.metrics import METRICS
from bench.results.identity import record_name
from bench.results.rows import SCHEMA
from bench.studies.study import IMAGES, Record


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
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}, expected a finite number")
    return simple
