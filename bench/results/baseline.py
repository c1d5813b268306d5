"""The baseline of the regression gate: what a grid gave, in one file that people review."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import inf
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import plain, read_or_say, shown
from bench.results import upgrade
from bench.results.aggregate import pool
from bench.results.columns import Code, Digest
from bench.results.describe import mixture
from bench.results.identity import shared
from bench.results.rows import Row
from bench.results.select import grouped, one_line, reason_of, told_apart

SCHEMA = upgrade.SCHEMA
OWN = Path(__file__).with_name("gate") / "glyphs.json"  # of the grid in gate.yaml beside it
Index = Annotated[int, Meta(ge=0)]
Rep = tuple[Index, Index]  # poison_rep, rep


@dataclass(frozen=True)
class Rule:
    """How far a mean may move: the floor, or so many of the baseline's spreads if they are more."""

    floor: float  # in the measure's unit, above 0
    spreads: Annotated[float, Meta(ge=0)]

    def __post_init__(self) -> None:
        if self.floor <= 0:  # Meta(gt=0) lets 0 pass in a process that flushes denormals
            raise ValueError(f"floor is {self.floor:g}, expected above 0")

    def tolerance(self, spread: float) -> float:
        return max(self.floor, self.spreads * spread)


RULES = {  # column of a row -> rule; a new baseline states them, a check reads them there
    "test_acc": Rule(floor=0.15, spreads=4),
    "mi": Rule(floor=0.05, spreads=4),  # nats, of a ceiling of 0.8
    "mi_gap": Rule(floor=0.05, spreads=4),
    "linf": Rule(floor=0.5 / 255, spreads=4),  # half a grey level
    "l2": Rule(floor=0.2, spreads=4),  # pixels in [0,1]
}

LACKING = ("mi", "mi_gap")  # what a row may lack; it says why
RANGES = {"test_acc": (0, 1), "mi": (-1000, 1000), "mi_gap": (-1000, 1000), "linf": (0, 1), "l2": (0, inf)}


@dataclass(frozen=True)
class Measured:
    """A measure over the repetitions of a cell."""

    mean: float
    spread: Annotated[float, Meta(ge=0)]  # standard deviation of the sample


@dataclass(frozen=True)
class Cell:
    """One method under one defense."""

    method: str
    defense: str
    reps: list[Rep]
    published: list[Digest]  # of the published images
    measures: dict[str, Measured]  # by column; no MI where a row has none and says why

    @property
    def name(self) -> str:
        return f"{self.method} x {self.defense}"


@dataclass(frozen=True)
class Baseline:
    """Cells, and everything under which they were computed."""

    setting: dict[str, Any]  # what all rows share of their inputs: must agree
    methods: dict[str, dict[str, Any]]  # name -> inputs: all but the revision must agree
    defenses: dict[str, dict[str, Any]]
    estimator: Annotated[str, Meta(min_length=1)]  # of MI: must agree
    code: dict[str, Code]  # plugin -> digest: may change, that is what the gate is for
    environment: dict[str, str | int]  # may change
    rules: Annotated[dict[str, Rule], Meta(min_length=1)]
    cells: Annotated[list[Cell], Meta(min_length=1)]
    schema: int = SCHEMA


def codes(rows: Sequence[Row]) -> dict[str, str]:
    """Give the digest of each plugin, as far as the rows have it."""
    kinds = ("method", "defense")
    return {getattr(row, kind): row.code[kind] for row in rows for kind in kinds if kind in row.code}


def rep_of(row: Row) -> Rep:
    return row.poison_rep, row.rep


# Rows -> baseline


def make(rows: Sequence[Row]) -> Baseline:
    """Make the baseline that a finished grid gives; BadInput where its rows are not fit to be one."""
    _check_rows(rows)
    for column in LACKING:
        if all(getattr(row, column) is None for row in rows):
            raise BadInput(f"a baseline needs {column} in some cell; here {reason_of(rows[0], column)}")
    groups = grouped(rows)
    _check_complete(groups)
    return Baseline(
        setting=shared(rows[0].inputs),
        methods={row.method: row.inputs["method"] for row in rows},
        defenses={row.defense: row.inputs["defense"] for row in rows},
        estimator=str(rows[0].mi_estimator),
        code=codes(rows),
        environment=rows[0].environment,
        rules=RULES,
        cells=[_cell(groups[pair]) for pair in sorted(groups)],
    )


def _check_rows(rows: Sequence[Row]) -> None:
    if not rows:
        raise BadInput("a baseline needs rows, there are none")
    for row in rows:
        name = f"{row.method} x {row.defense}"
        if row.status != "ok":
            raise BadInput(f"a baseline needs rows that are ok; {name}: {row.status}, {one_line(row.reason)}")
        for column in RULES:
            if getattr(row, column) is None and reason_of(row, column) is None:
                raise BadInput(f"a baseline needs {column}; {name} has none and does not say why")
        for environment in (row.environment, row.craft_environment):
            commit = str(environment.get("commit"))
            if commit.endswith("-dirty"):
                raise BadInput(f"a baseline needs rows of a commit; {name} is of {commit}")
    if len({row.setting for row in rows}) > 1:
        raise BadInput("a baseline needs rows of one setting; these are of several")
    if notes := told_apart(rows)[1]:
        raise BadInput(f"a baseline needs one plugin a name; there are {'; '.join(notes)}")
    if mixed := mixture(rows):
        raise BadInput(f"a baseline needs rows of one machine and commit; these are {mixed}")


def _check_complete(groups: Mapping[tuple[str, str], Sequence[Row]]) -> None:
    methods, defenses = ({pair[index] for pair in groups} for index in (0, 1))
    every = {row.rep for rows in groups.values() for row in rows}
    for method, defense in product(sorted(methods), sorted(defenses)):
        reps = {rep_of(row) for row in groups.get((method, defense), ())}
        poisons = {row.poison_rep for other in defenses for row in groups.get((method, other), ())}
        if lacking := sorted(set(product(poisons, every)) - reps):
            raise BadInput(
                f"a baseline needs a whole grid; {method} x {defense} lacks (poison_rep, rep) {lacking[0]}"
            )
        if len(reps) < 2:
            raise BadInput(f"a baseline needs 2 or more repetitions; {method} x {defense} has {len(reps)}")


def _cell(rows: Sequence[Row]) -> Cell:
    ours = sorted(rows, key=rep_of)
    found = {column: pool("", (ours[0].method, ours[0].defense), ours, column) for column in RULES}
    return Cell(
        method=ours[0].method,
        defense=ours[0].defense,
        reps=[rep_of(row) for row in ours],
        published=sorted({str(row.published) for row in ours}),
        measures={
            column: Measured(own.mean, own.std)
            for column, own in found.items()
            if own.status == "ok" and own.mean is not None and own.std is not None
        },
    )


# Baseline <-> file


def save(baseline: Baseline, path: Path) -> None:
    write_atomically(path, json.dumps(asdict(baseline), indent=1, allow_nan=False) + "\n")


def load(path: Path) -> Baseline:
    """BadInput: no such file, another schema, or no baseline at all."""
    try:
        values = plain(read_or_say(path, "a baseline"), str(path))
    except BadInput as error:
        raise BadInput(f"baseline {path} is damaged: {str(error).removeprefix(f'{path} ')}") from None
    schema = values.get("schema") if isinstance(values, dict) else None
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise BadInput(f"baseline {path} has schema {schema!r}, this suite reads 1 to {SCHEMA}")
    try:
        values = upgrade.baseline(values) if schema < SCHEMA else values
        found = msgspec.convert(values, Baseline)
        _check_parts(found)
        if msgspec.json.decode(msgspec.json.encode(found)) != values:
            raise ValueError("it has unknown entries")
    except (AttributeError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise BadInput(f"baseline {path} is damaged: {type(error).__name__}: {error}") from None
    return found


def _check_parts(baseline: Baseline) -> None:
    """Refuse cells of plugins that it does not describe, those that lack a measure, and two of one pair."""
    if len({cell.name for cell in baseline.cells}) < len(baseline.cells):
        raise ValueError("two cells are of one method and defense")
    for own in (*baseline.methods.values(), *baseline.defenses.values()):
        revision = own.get("revision", 1)
        if type(revision) is not int or revision < 1:
            raise ValueError(f"a revision is {shown(revision)}, expected whole number of at least 1")
    for cell in baseline.cells:
        for column, (low, high) in RANGES.items():
            if column in cell.measures and not low <= (mean := cell.measures[column].mean) <= high:
                raise ValueError(f"{cell.name} has {column} {mean:g}, expected it in [{low}, {high:g}]")
        _ = baseline.methods[cell.method], baseline.defenses[cell.defense]
        if lacking := baseline.rules.keys() - {*cell.measures, *LACKING}:
            raise ValueError(f"{cell.name} lacks {', '.join(sorted(lacking))}")
