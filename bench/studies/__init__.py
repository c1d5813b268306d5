"""Studies: one module each, named here, whose STUDY it is. Light: the command line takes NAMES from here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.studies.study import Study

NAMES = ("depth", "explain", "reference", "strength")


def named(name: str) -> Study:
    """The study behind one of the names; what it needs is imported now."""
    found: Study = importlib.import_module(f"bench.studies.{name}").STUDY
    return found
