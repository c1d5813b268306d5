"""What installed packages add to the suite, by entry points ue_bench.methods, .defenses, .nets and .data.

Nothing of a package is imported to find it.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bench.core.errors import BadInput

GROUP = "ue_bench"


class Installed(NamedTuple):
    """A module of an installed package."""

    name: str  # of the entry point
    module: str
    package: str  # with its version, as messages name it
    path: Path  # of the module's file

    @property
    def folder(self) -> Path | None:
        """Give the folder of the whole package; None of a module that is in none."""
        depth = self.module.count(".") + (self.path.name == "__init__.py")
        return self.path.parents[depth - 1] if depth else None


def installed(kind: str) -> list[Installed]:
    """List the modules that packages add of a kind, by the names of the entry points; raises BadInput."""
    return [_found(point) for point in _points(f"{GROUP}.{kind}", tuple(sys.path))]


@cache
def _points(group: str, path: tuple[str, ...]) -> list[EntryPoint]:
    """Find them once for each path that modules are looked for on: all packages' files are read for it."""
    return sorted(entry_points(group=group))


def _found(point: EntryPoint) -> Installed:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package"
    root, *rest = point.module.split(".")
    spec = find_spec(root)
    for depth in range(1, len(rest) + 1):  # find_spec would import the packages above the module
        inside = None if spec is None else spec.submodule_search_locations
        spec = PathFinder.find_spec(".".join([root, *rest[:depth]]), inside) if inside else None
    if point.attr or spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise BadInput(f"{package}: {point.group} {point.name} is {point.value}, expected a module of its")
    return Installed(point.name, point.module, package, Path(spec.origin))
