"""Records on disk: one JSON file each, written by rename; one counts while its measure has the same code."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from bench.core.files import write_atomically
from bench.measures import MEASURES
from bench.override import unknown
from bench.registry import code_digest
from bench.store import key_of
from bench.studies.study import IMAGES, Record

FOLLOWED = ("bench.measures.", "bench.mi.")  # a measure's code is that of its module and of these it imports


class Records:
    """The records of some measures in a folder."""

    def __init__(self, folder: Path, measures: Iterable[str]) -> None:
        self.folder = folder
        self.code = {name: code_of(name) for name in measures}

    def load(self, measure: str, net_row: str, poison_row: str) -> Record | None:
        """None where there is none, or only one of other code."""
        inputs = self._inputs(measure, net_row, poison_row)
        try:
            stored = json.loads(self._path(inputs).read_text(encoding="utf-8"))
            return Record(**stored["record"]) if stored["inputs"] == inputs else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, record: Record) -> None:
        """In the place of one of older code."""
        inputs = self._inputs(record.measure, record.net_row, record.poison_row)
        stored = {"inputs": inputs, "record": asdict(record)}
        write_atomically(self._path(inputs), json.dumps(stored, indent=1, allow_nan=False) + "\n")

    def _inputs(self, measure: str, net_row: str, poison_row: str) -> dict[str, str | int]:
        """All that decides a record; images and seeds are in the rows' keys."""
        pair = {"measure": measure, "net": net_row, "poison": poison_row}
        return {**pair, "images": IMAGES, **self.code[measure]}

    def _path(self, inputs: dict[str, str | int]) -> Path:
        place = {name: inputs[name] for name in ("measure", "net", "poison")}
        return self.folder / f"{inputs['measure']}-{key_of(place)[:16]}.json"


def code_of(measure: str) -> dict[str, str]:
    """Where a measure is, which is all its settings, and a digest of the code it reaches."""
    if measure not in MEASURES:
        raise unknown("measure", measure, MEASURES)
    place = MEASURES[measure]
    sources = sorted(_reached(place.partition(":")[0], set()))
    return {"function": place, "code": hashlib.sha256("\n".join(sources).encode()).hexdigest()[:16]}


def _reached(module: str, seen: set[str]) -> Iterator[str]:
    """Name and digest of a module and of those it imports, as far as they are followed."""
    spec = _spec(module)
    if module in seen or spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return  # a package's own file is a table or nothing
    seen.add(module)
    source = Path(spec.origin).read_text(encoding="utf-8")
    yield f"{module} {code_digest(source)}"
    for name in _imported(ast.parse(source)):
        if name.startswith(FOLLOWED):
            yield from _reached(name, seen)


def _imported(tree: ast.AST) -> Iterator[str]:
    """Everything that may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def _spec(module: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a function of a module, for one
        return None


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Measured values as JSON knows them. Raises ValueError for what is no finite number."""
    simple = {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
    for name, value in simple.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}, expected a finite number")
    return simple
