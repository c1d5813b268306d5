"""Studies: one folder each, named here, whose study.py has STUDY. The command line takes NAMES from here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.studies.study import Study

NAMES = ("depth", "explain", "reference", "strength", "transfer")


def named(name: str, load: Callable[[str], ModuleType] = importlib.import_module) -> Study:
    """Return the study behind one of the names; BadInput where there is none.

    load: of its module; what it needs is imported now, unless it is only declared (see declared.py).
    """
    from bench.core.errors import unknown

    if name not in NAMES:
        raise unknown("study", name, NAMES)
    found: Study = load(f"bench.studies.{name}.study").STUDY
    return found
