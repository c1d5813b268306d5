"""Records on disk: one JSON file each, written by rename; one counts while its metric has its revision."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import hypot, isfinite
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import decoded, read, say_wrong
from bench.metrics import METRICS
from bench.results.aggregate import counterpart
from bench.results.identity import record_name
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, one_line
from bench.results.upgrade import SCHEMA
from bench.studies.study import FORM, IMAGES, Record, images_of

SCALE = "on another scale"
BOUND = "a bound only"
APART = 0.05  # share by which codes' dimensions may differ: it moves MI by as much, within its interval
Ends = tuple[float | None, float | None]
Kind = Literal["MI", "proxy", "rival", "strength"]  # a proxy is bounded and no MI
MI_LIKE = "MI", "proxy"  # kinds whose estimates have intervals, or are bounds


class Stored(msgspec.Struct):
    """What lies in a record's file."""

    inputs: dict[str, str | int]
    record: Record


@dataclass(frozen=True)
class Records:
    """The records of a study in a folder."""

    folder: Path

    def load(self, measure: str, net_row: str, poison_row: str) -> Record | None:
        """None where there is none, or only one of another revision."""
        inputs = self._inputs(measure, net_row, poison_row)
        try:
            stored = decoded(read(self._path(inputs)), Stored, "a record")
        except FileNotFoundError:
            return None
        except (OSError, BadInput) as error:
            say_wrong(self._path(inputs), error)
            return None
        own = measure, net_row, poison_row
        record = stored.record
        named = record.measure, record.net_row, record.poison_row
        exact = {name: value for name, value in inputs.items() if name != "features"}
        # those from before features were kept are of the exact ones, which differ by less than any interval
        return record if stored.inputs in (inputs, exact) and named == own else None

    def save(self, record: Record) -> None:
        """In the place of one of an older revision."""
        inputs = self._inputs(record.measure, record.net_row, record.poison_row)
        stored = {"schema": SCHEMA, "inputs": inputs, "record": asdict(record)}
        write_atomically(self._path(inputs), json.dumps(stored, indent=1, allow_nan=False) + "\n")

    def _inputs(self, measure: str, net_row: str, poison_row: str) -> dict[str, str | int]:
        """All that decides a record; images and seeds are in the rows' keys."""
        metric = METRICS[measure]
        made: dict[str, str | int] = {"measure": measure, "net": net_row, "poison": poison_row}
        made |= {"images": IMAGES, "revision": metric.revision}
        return made if metric.of_images else made | {"features": FORM}

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
    one, two = rank_of(own), rank_of(other)
    if one is None or two is None or abs(one - two) <= APART * max(one, two):
        return None
    return f"features of {one} dimensions, {name}'s of {two}: {SCALE}"


def rank_of(record: Record | None) -> int | None:
    """Return the dimensions of the features' code that a record is of."""
    rank = None if record is None else record.values.get("rank")
    return rank if isinstance(rank, int) else None


def figure_of(record: Record | None, key: str) -> float | str:
    """Return a record's figure; where it has none, or only a bound, the reason."""
    if record is None:
        return "not measured"
    value, censored = record.values.get(key), record.values.get("censored", False)
    if isinstance(value, int | float) and not isinstance(value, bool) and not censored and isfinite(value):
        return float(value)
    if record.reason is not None:
        return one_line(record.reason)
    bound = record.values.get("bound")
    return "no value" if bound is None else f"{BOUND}: {bound}"


def reach_over_images(record: Record | None, key: str = "value") -> float | None:
    """Return half of the interval of a record's figure, which knows one victim; None where it states none."""
    name = "" if key == "value" else f"{key}_"
    width = None if record is None else difference(record, f"{name}high", record, f"{name}low")
    return None if width is None else width / 2


def difference(one: Record, end: str, other: Record, other_end: str) -> float | None:
    """Subtract the other's end from one's; None where either is no number."""
    high, low = one.values.get(end), other.values.get(other_end)
    if isinstance(high, int | float) and isinstance(low, int | float):
        return float(high) - float(low)
    return None


@dataclass(frozen=True)
class Explanation:
    """A figure of a poison that may go with the accuracy it costs."""

    name: str  # of its column
    label: str  # for people, with the unit
    kind: Kind
    measure: str = ""  # none: a column of the row
    key: str = "value"  # in the record, or the column
    gap_to: str | None = None  # the method from whose figure this one's is subtracted
    expected: int = 1  # whether the story says it rises with the gap (1), falls (-1), or says neither (0)
    by_rank: bool = True  # whether its scale depends on the dimensions of the features' code
    through_clean: bool = False  # seen by the net trained on clean, not by the poison's own victim


class Readings:
    """All records of a study, found by what they are of."""

    def __init__(self, rows: Sequence[Row], records: Iterable[Record]) -> None:
        self.rows = {row.key: row for row in rows}
        self.records = {
            (record.measure, record.net_row, images_of(self.rows[record.poison_row])): record
            for record in records
            if record.poison_row in self.rows and record.net_row in self.rows
        }

    def figure(self, row: Row, explanation: Explanation) -> float | str:
        """Of the row's poison, or why there is none."""
        if not explanation.measure:
            size = getattr(row, explanation.key)
            return f"no {explanation.key} was measured" if size is None else float(size)
        own, there = self._ends(row, explanation)
        value, name = figure_of(own, explanation.key), explanation.gap_to
        if name is None or isinstance(value, str):
            return value
        if self.against(row, name) is None:
            return f"no {name} to compare with"
        other = figure_of(there, explanation.key)
        if isinstance(other, str):
            return f"{name}: {other}"
        return (ranks_apart(own, there, name) if explanation.by_rank else None) or other - value

    def reach(self, row: Row, explanation: Explanation) -> float | None:
        """Half of the figure's interval over images; of a gap, the errors of both ends are independent."""
        own, there = (reach_over_images(end, explanation.key) for end in self._ends(row, explanation))
        if explanation.gap_to is None:
            return own
        return None if own is None or there is None else hypot(own, there)

    def interval(self, row: Row, explanation: Explanation) -> Ends:
        """Return its ends over images; of a gap without a figure, what it is at least and at most.

        That follows from the ends of both intervals, where one estimate is a bound and the other a value.
        """
        value, reach = self.figure(row, explanation), self.reach(row, explanation)
        if not isinstance(value, str):
            return (None, None) if reach is None else (value - reach, value + reach)
        own, there = self._ends(row, explanation)
        if own is None or there is None or (explanation.by_rank and ranks_apart(own, there, "")):
            return None, None
        return difference(there, "at_least", own, "high"), difference(there, "high", own, "at_least")

    def _ends(self, row: Row, explanation: Explanation) -> tuple[Record | None, Record | None]:
        """Return the poison's own record, and that of what it is read against."""
        against = explanation.gap_to and self.against(row, explanation.gap_to)
        return self.record(row, explanation), self.record(against, explanation) if against else None

    def record(self, row: Row, explanation: Explanation) -> Record | None:
        """Return that of the row's poison, through the net that the explanation is seen by."""
        nets = self.clean_nets(row) if explanation.through_clean else [row]
        keys = [(explanation.measure, net.key, images_of(row)) for net in nets]
        return next((self.records[key] for key in keys if key in self.records), None)

    def clean_nets(self, row: Row) -> list[Row]:
        """Victims of clean with the row's net and rep, those of its own setting first."""
        nets = [
            other
            for other in self.rows.values()
            if (other.method, other.defense, other.rep) == (CLEAN, row.defense, row.rep)
            and other.inputs["net"] == row.inputs["net"]
        ]
        return sorted(nets, key=lambda net: (net.setting != row.setting, net.poison_rep, net.key))

    def against(self, row: Row, method: str) -> Row | None:
        """Find what the row is read against; no budget moves clean, so that of any grid will do."""
        cell, there = (row.setting, method, UNDEFENDED), self.rows.values()
        alike = [own for own in there if (own.setting, own.method, own.defense) == cell]
        nets = self.clean_nets(row) if method == CLEAN else alike
        return counterpart(row, [net for net in nets if net.status == "ok"])
