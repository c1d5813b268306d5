"""Rows -> cells: which rows are repetitions of each other, and these as one number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import sqrt
from statistics import fmean, stdev, variance
from typing import Any, Literal

from bench.rows import Row

REFERENCE = "clean"  # the method that MI gaps are read against
UNDEFENDED = "none"  # the defense that comes first
APART = 0.05  # share by which codes' dimensions may differ: it moves MI by as much, within its interval
Pairs = Iterable[tuple[str, str]]  # method, defense
Groups = Mapping[tuple[str, str], Sequence[Row]]


@dataclass(frozen=True)
class Cell:
    """All repetitions of one method under one defense. Shares in [0,1] or nats; None: not there."""

    setting: str
    method: str
    defense: str
    mean: float | None
    std: float | None  # of the sample; None below two repetitions
    n: int  # repetitions behind the mean
    status: str  # ok, partial (not all repetitions count), failed, skipped, unmeasured or missing
    reason: str | None
    gap: float | None = None  # MI of clean minus this one, paired by repetition
    null: float | None = None
    comparable: bool = True  # whether MI is on the scale of clean's


# Which rows belong together


def identity(row: Row) -> tuple[str, str, str, str, int, int, str]:
    return row.data, row.setting, row.method, row.defense, row.poison_rep, row.rep, row.key


def by_setting(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each setting, whatever order they come in."""
    settings: dict[str, list[Row]] = {}
    for row in sorted(rows, key=identity):
        settings.setdefault(row.setting, []).append(row)
    return list(settings.values())


def in_order(names: Iterable[str], given: Sequence[str] | None, first: str) -> list[str]:
    """The names as given, then `first`, then the rest by the alphabet; variants beside each other.

    Numbers in names count as such: iss-jpeg5 is before iss-jpeg10.
    """
    place = {name: index for index, name in enumerate(given or ())}

    def order(name: str) -> tuple[int, bool, tuple[str | int, ...]]:
        plain = bare(name)
        parts = enumerate(re.split(r"(\d+)", name))  # text and digits in turn
        return place.get(plain, len(place)), plain != first, tuple(int(p) if i % 2 else p for i, p in parts)

    return sorted(set(names), key=order)


def bare(name: str) -> str:
    """em@1f2e3d, as one of several plugins of a name is told apart -> em."""
    return name.split("@", maxsplit=1)[0]


def lesser(name: str, of: str) -> bool:
    """Whether a data set, net or method is a form of another: cifar10-jpeg75, resnet18-slim, em-class."""
    return name.startswith(f"{of}-")


def one_a_family(methods: Iterable[str]) -> list[str]:
    """These without variants of others among them: em-class beside em; of em@1f and em@2e the last given."""
    last = {bare(name): name for name in methods}
    return [last[name] for name in sorted(last) if not any(lesser(name, base) for base in last)]


def grouped(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.defense), []).append(row)
    return groups


def leaves(value: Any, path: str = "") -> dict[str, str]:
    """Nested parameters as flat text: {"surrogate": {"epochs": 5}} -> {"surrogate.epochs": "5"}."""
    if not isinstance(value, Mapping):
        return {path: str(value)}
    inner = (leaves(part, f"{path}.{name}" if path else name) for name, part in value.items())
    return {name: text for part in inner for name, text in part.items()}


def told_apart(rows: Sequence[Row], kind: Literal["method", "defense"]) -> tuple[list[Row], list[str]]:
    """Rows renamed where one name stands for several plugins (other parameters, other code).

    They are no repetitions of each other. Also returns what each new name stands for.
    """
    parameters: dict[str, dict[str, dict[str, str]]] = {}  # name -> digest -> parameter -> text
    digests = {}
    for row in rows:
        own = leaves(row.inputs.get(kind, {}))
        digests[row.key] = sha256(repr(sorted(own.items())).encode()).hexdigest()[:6]
        parameters.setdefault(getattr(row, kind), {})[digests[row.key]] = own
    several = {name: variants for name, variants in parameters.items() if len(variants) > 1}
    notes = [
        f"{name}@{digest}: {', '.join(f'{key} {own[key]}' for key in own if key in differing(variants))}"
        for name, variants in several.items()
        for digest, own in variants.items()
    ]
    names = {row.key: getattr(row, kind) for row in rows}
    names |= {key: f"{name}@{digests[key]}" for key, name in names.items() if name in several}
    return [replace(row, **{kind: names[row.key]}) for row in rows], notes


def differing(variants: Mapping[Any, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The entries whose values are not all the same, with these values."""
    names = sorted({name for entries in variants.values() for name in entries})
    values = {
        name: sorted({str(entries.get(name, "absent")) for entries in variants.values()}) for name in names
    }
    return {name: texts for name, texts in values.items() if len(texts) > 1}


# Rows -> cells


def measured(rows: Iterable[Row], column: str) -> list[Row]:
    return [row for row in rows if row.status == "ok" and getattr(row, column) is not None]


def mean_of(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def last_line(reason: str | None) -> str:
    """What a traceback ends with."""
    lines = (reason or "").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def reason_of(row: Row, column: str) -> str | None:
    """Why a row does not count."""
    if row.status != "ok":
        return last_line(row.reason)
    return row.mi_reason if column == "mi" else None


def status_of(rows: Sequence[Row], n: int) -> str:
    if n:
        return "ok" if n == len(rows) else "partial"
    seen = {row.status for row in rows}
    found = (status for status in ("failed", "skipped") if status in seen)
    return next(found, "unmeasured" if rows else "missing")


def pool(setting: str, pair: tuple[str, str], rows: Sequence[Row], column: str) -> Cell:
    """The repetitions of one cell as one number."""
    values = [getattr(row, column) for row in measured(rows, column)]
    std = stdev(values) if len(values) > 1 else None
    reasons = dict.fromkeys(reason for row in rows if (reason := reason_of(row, column)))
    reason = "; ".join(reasons) or None
    return Cell(setting, *pair, mean_of(values), std, len(values), status_of(rows, len(values)), reason)


def pooled_spread(cells: Iterable[Sequence[float]]) -> tuple[float, int] | None:
    """Standard deviation pooled over cells with repetitions, and its degrees of freedom; None without any.

    A cell with one repetition may borrow it.
    """
    repeated = [values for values in cells if len(values) > 1]
    free = sum(len(values) - 1 for values in repeated)
    summed = sum((len(values) - 1) * variance(values) for values in repeated)
    return (sqrt(summed / free), free) if free else None


def comparable(rank: int | None, other: int | None) -> bool:
    """Whether MI from codes of so many dimensions is on one scale; sliced MI is about as 1/dimensions.

    A victim that learned nothing can have features of few dimensions, and a high MI from that alone.
    """
    return rank is None or other is None or abs(rank - other) <= APART * max(rank, other)


def beside_clean(rows: Iterable[Row], clean: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Rows with an MI, each with clean's repetition of the same seeds; clean is crafted only once."""
    reference = {(row.poison_rep, row.rep): row for row in measured(clean, "mi")}
    pairs = (
        (row, reference.get((row.poison_rep, row.rep), reference.get((0, row.rep))))
        for row in measured(rows, "mi")
    )
    return [(row, other) for row, other in pairs if other is not None]


def all_comparable(pairs: Iterable[tuple[Row, Row]]) -> bool:
    return all(comparable(row.mi_rank, other.mi_rank) for row, other in pairs)


def gap_of(rows: Iterable[Row], clean: Iterable[Row]) -> float | None:
    """Mean of clean minus this; None where one of the repetitions cannot be compared with clean's."""
    pairs = beside_clean(rows, clean)
    if not all_comparable(pairs):
        return None
    mi = [(row.mi, other.mi) for row, other in pairs]
    return mean_of([clean_mi - own for own, clean_mi in mi if own is not None and clean_mi is not None])


def accuracy_cells(setting: str, pairs: Pairs, groups: Groups) -> dict[tuple[str, str], Cell]:
    return {pair: pool(setting, pair, groups.get(pair, ()), "test_acc") for pair in pairs}


def mi_cells(setting: str, pairs: Pairs, groups: Groups) -> dict[tuple[str, str], Cell]:
    cells = {}
    for pair in pairs:
        rows, clean = groups.get(pair, ()), groups.get((REFERENCE, pair[1]), ())
        nulls = [row.mi_null for row in measured(rows, "mi") if row.mi_null is not None]
        cell = pool(setting, pair, rows, "mi")
        on_scale = all_comparable(beside_clean(rows, clean))
        cells[pair] = replace(cell, gap=gap_of(rows, clean), null=mean_of(nulls), comparable=on_scale)
    return cells
