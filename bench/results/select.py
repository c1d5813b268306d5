"""Rows of a run: which belong together, in what order, which count, and those of one setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal, TypeVar

from bench.core.errors import BadInput, unknown
from bench.core.threat import Threat
from bench.results.identity import shared
from bench.results.rows import Row

CLEAN = "clean"  # the method that all others are read against
UNDEFENDED = "none"  # the defense that comes first
DRAFT = " (draft)"  # ends the name of a plugin or net without a revision
SHOWN = 3  # differences named for each setting
T = TypeVar("T")
K = TypeVar("K")
Groups = Mapping[tuple[str, str], Sequence[Row]]  # method, defense -> repetitions


# Which belong together


def parted(values: Iterable[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    """Put values together that have something in common, in the order in which they come."""
    found: dict[K, list[T]] = {}
    for value in values:
        found.setdefault(by(value), []).append(value)
    return found


def identity(row: Row) -> tuple[str, str, str, str, int, int, str]:
    """Return what sorts rows: cells by name, then repetitions."""
    return row.data, row.setting, row.method, row.defense, row.poison_rep, row.rep, row.key


def by_setting(rows: Iterable[Row]) -> list[list[Row]]:
    """Part the rows by setting, sorted, whatever order they come in."""
    return [*parted(sorted(rows, key=identity), lambda row: row.setting).values()]


def by_threat(rows: Sequence[Row], *, mix: bool = False) -> list[tuple[Threat | None, list[Row]]]:
    """Part the rows of a setting by threat model, in Threat.order: methods of two have no order.

    Clean, which changes nothing, is in every part. None in the place of the threat model: all rows are of
    one, or mix asks for all of them beside each other.
    """
    models = {str(row.threat): row.threat for row in rows if row.threat.radius > 0}
    if mix or len(models) < 2:
        return [(None, [*rows])]
    chosen = sorted(models.items(), key=lambda model: model[1].order)
    return [
        (threat, [row for row in rows if row.threat.radius == 0 or str(row.threat) == said])
        for said, threat in chosen
    ]


def in_order(names: Iterable[str], given: Sequence[str] | None, first: str) -> list[str]:
    """Sort the names as given, then `first`, then the rest by the alphabet; variants beside each other.

    Numbers in names count as such: iss-jpeg5 is before iss-jpeg10.
    """
    place = {name: index for index, name in enumerate(given or ())}

    def order(name: str) -> tuple[int, bool, tuple[str | int, ...]]:
        plain = bare(name)
        parts = enumerate(re.split(r"(\d+)", name))  # text and digits in turn
        return place.get(plain, len(place)), plain != first, tuple(int(p) if i % 2 else p for i, p in parts)

    return sorted(set(names), key=order)


def chosen(kind: str, wanted: Sequence[str] | None, present: Sequence[str]) -> list[str]:
    """List the wanted names, each once, a draft's as it is shown; by default all that are present.

    Raises BadInput for one that is not there.
    """
    found = {name: name if name in present else name + DRAFT for name in wanted or ()}
    for name, shown in found.items():
        if shown not in present:
            raise unknown(kind, name, present)
    return list(dict.fromkeys(present if wanted is None else found.values()))


def bare(name: str) -> str:
    """Strip what tells plugins of one name apart: em@1f2e3d -> em."""
    return name.removesuffix(DRAFT).split("@", maxsplit=1)[0]


def lesser(name: str, of: str) -> bool:
    """Whether a data set, net or method is a form of another: cifar10-jpeg75, resnet18-slim, em-class."""
    return name.startswith(f"{of}-")


def one_a_family(methods: Iterable[str]) -> list[str]:
    """Leave out variants of others among them: em-class beside em; of em@1f and em@2e keep the last given."""
    last = {bare(name): name for name in methods}
    return [last[name] for name in sorted(last) if not any(lesser(name, base) for base in last)]


def grouped(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Part the rows of a setting by method and defense."""
    return parted(rows, lambda row: (row.method, row.defense))


def leaves(value: Any, path: str = "") -> dict[str, str]:
    """Flatten nested parameters to text: {"surrogate": {"epochs": 5}} -> {"surrogate.epochs": "5"}."""
    if not isinstance(value, Mapping):
        return {path: str(value)}
    inner = (leaves(part, f"{path}.{name}" if path else name) for name, part in value.items())
    return {name: text for part in inner for name, text in part.items()}


def told_apart(
    rows: Sequence[Row], kinds: Iterable[Literal["method", "defense"]] = ("method", "defense")
) -> tuple[list[Row], list[str]]:
    """Rename rows where one name stands for several plugins (other parameters, other revisions), and drafts.

    They are no repetitions of each other. Also returns what each new name stands for.
    """
    notes: list[str] = []
    for kind in kinds:
        parameters: dict[str, dict[str, dict[str, str]]] = {}  # name -> digest -> parameter -> text
        digests = {}
        for row in rows:
            own = leaves(row.inputs[kind])
            digests[row.key] = sha256(repr(sorted(own.items())).encode()).hexdigest()[:6]
            parameters.setdefault(getattr(row, kind), {})[digests[row.key]] = own
        several = {name: variants for name, variants in parameters.items() if len(variants) > 1}
        notes += [
            f"{name}@{digest}: {', '.join(f'{key} {own[key]}' for key in own if key in differing(variants))}"
            for name, variants in several.items()
            for digest, own in variants.items()
        ]
        names = {row.key: getattr(row, kind) for row in rows}
        names |= {key: f"{name}@{digests[key]}" for key, name in names.items() if name in several}
        names |= {row.key: names[row.key] + DRAFT for row in rows if kind in row.drafts}
        rows = [replace(row, **{kind: names[row.key]}) for row in rows]
    return [*rows], notes


def differing(variants: Mapping[Any, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Find the entries whose values are not all the same, with these values."""
    names = sorted({name for entries in variants.values() for name in entries})
    values = {
        name: sorted({str(entries.get(name, "absent")) for entries in variants.values()}) for name in names
    }
    return {name: texts for name, texts in values.items() if len(texts) > 1}


# Which count


def measured(rows: Iterable[Row], column: str) -> list[Row]:
    """Keep the rows that count: finished, and with a value."""
    return [row for row in rows if row.status == "ok" and getattr(row, column) is not None]


def one_line(reason: str | None) -> str:
    """Return the first line of the exception that a traceback ends with; of other text the last line."""
    lines = (reason or "").strip().splitlines() or ["no reason given"]
    begins = [at for at, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    own = [line for line in lines[begins[-1] + 1 :] if line[:1].strip()] if begins else lines[-1:]
    return (own or lines[-1:])[0].strip()


def reason_of(row: Row, column: str) -> str | None:
    """Say why a row does not count; None where it does, or nothing says."""
    if row.status != "ok":
        return one_line(row.reason)
    if not column.startswith("mi"):
        return None
    no_ceiling = f"{row.mi_estimator} has no ceiling that a gap could be to"
    lacks = row.mi is not None and row.mi_estimator is not None and getattr(row, column) is None
    return row.mi_reason or (no_ceiling if lacks else None)


# Those of one setting


def rows_of_setting(rows: Sequence[Row], prefix: str | None) -> list[Row]:
    """Choose the rows of the only setting, or of the one whose id begins so.

    Raises BadInput where that is no setting or several, naming what they differ in.
    """
    settings = {ours[0].setting: ours for ours in by_setting(rows)}
    found = [name for name in settings if name.startswith(prefix or "")]
    if not found:
        raise unknown("setting", prefix or "", [name[:8] for name in settings])
    if len(found) > 1:
        seen = (
            f"the rows are of {len(found)} settings" if prefix is None else f"--setting {prefix} is ambiguous"
        )
        one_each = {name: settings[name][0] for name in found}
        raise BadInput(f"{seen}, expected --setting with one of: {'; '.join(described(one_each))}")
    return settings[found[0]]


def described(settings: Mapping[str, Row]) -> list[str]:
    """Name each setting by the values in which it differs: 4c8657cf (victim.epochs 30)."""
    common = {name: {"data": row.data} | leaves(shared(row.inputs)) for name, row in settings.items()}
    names = sorted(differing(common), key=lambda name: (name.count("."), name))[:SHOWN]

    def said(own: Mapping[str, str]) -> str:
        return ", ".join(f"{name} {own.get(name, 'absent')[:16]}" for name in names)

    return [f"{name[:8]} ({said(own)})" if names else name[:8] for name, own in common.items()]
