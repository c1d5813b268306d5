"""conform: check all that a folder adds, a line for each property."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.conform.check import Properties, complaint
from bench.conform.defenses import DEFENSE, DefenseCase
from bench.conform.methods import METHOD, MethodCase
from bench.conform.nets import NET, NetCase
from bench.conform.toys import shrink
from bench.core.errors import BadInput
from bench.experiment.plugged import architectures, others
from bench.experiment.registry import KINDS, Catalog, Plugin, catalog

NETS = "nets"
CASES: dict[str, tuple[Callable[..., Any], Properties[Any]]] = {
    "methods": (MethodCase, METHOD),
    "defenses": (DefenseCase, DEFENSE),
}
EXAMPLES = (8, 2, 4, 10, 16, 50, 1, 3, 32, 100)  # numbers that a pattern is tried with
PROFILE = "quick"  # whose fields come before those that are shortened by name


class Finding(NamedTuple):
    """One property of one plugin."""

    kind: str
    name: str
    property: str
    said: str | None  # what was seen and expected; None: it holds

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.property}: {self.said or 'ok'}"


def findings(folder: Path) -> Iterator[Finding]:
    """Check what the folder's methods/, defenses/ and nets/ add; BadInput where there is none of these."""
    there = [kind for kind in (*KINDS, NETS) if (folder / kind).is_dir()]
    if not there:
        raise BadInput(f"{folder}: expected a folder with methods/, defenses/ or nets/ in it")
    for kind in there:
        yield from _nets(folder) if kind == NETS else _plugins(kind, folder)


def _plugins(kind: str, folder: Path) -> Iterator[Finding]:
    try:
        found, declared = catalog(kind, folder), catalog(kind, folder, declared=True)
    except BadInput as error:
        yield Finding(kind, str(folder / kind), "loads", str(error))
        return
    own, (case, properties) = catalog(kind), CASES[kind]
    for name in found.missing.keys() - own.missing.keys():
        yield Finding(kind, name, "loads", found.missing[name])
    for name in added(found, own):
        plugin = found.get(name)
        try:
            yield from checked(kind, name, properties, case(small(plugin), plugin, declared.get(name)))
        except BadInput as error:  # its profile has fields that do not exist
            yield Finding(kind, name, "profiles", str(error))


def added(found: Catalog, own: Catalog) -> list[str]:
    """Name the variants that the suite has not, and an instance of each such pattern."""
    patterns = {name: make for name, (make, _) in found.patterns.items() if name not in own.patterns}
    examples = [_example(name, make) for name, make in patterns.items()]
    return [*(name for name in found.variants if name not in own.variants), *examples]


def _example(pattern: str, make: Callable[[str], Any]) -> str:
    for number in map(str, EXAMPLES):
        try:
            make(number)
        except BadInput:
            continue
        return re.sub(r"{\w+}", number, pattern)
    raise BadInput(f"the pattern {pattern} refuses {', '.join(map(str, EXAMPLES))}, expected it to take one")


def small(plugin: Plugin) -> Plugin:
    """Shorten a plugin as its own profile and the fields that are known by name allow."""
    return shrink(plugin.at(PROFILE))


def _nets(folder: Path) -> Iterator[Finding]:
    for source in (own for own in others(NETS, folder) if own.path.parent == folder / NETS):
        try:
            nets = architectures(source)
        except BadInput as error:
            yield Finding(NETS, source.path.name, "loads", " ".join(str(error).split()))
            continue
        for name, net in nets.items():
            yield from checked(NETS, name, NET, NetCase(name, net))


def checked(kind: str, name: str, properties: Properties[Any], case: Any) -> Iterable[Finding]:
    """Check one after the other."""
    for what, check in properties.items():
        yield Finding(kind, name, what, complaint(check, case))
