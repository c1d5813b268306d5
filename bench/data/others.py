"""Data sets that installed packages add, by entry points ue_bench.data: NAME = "package.module".

Such a module has source(place: str) -> Source, where place is what stands behind NAME: and its colon.
"""

from __future__ import annotations

import importlib
import re

from bench.core.errors import BadInput
from bench.core.installed import Installed
from bench.data.prepare import Source

NAMED = r"\w[\w.@-]{0,79}"  # what a folder of results can be called after


def source(own: Installed, place: str) -> Source:
    """Ask a package for its images; whatever it raises is a BadInput that names it."""
    who = f"{own.package}, {own.module}"
    try:
        found = importlib.import_module(own.module).source(place)
    except BadInput:
        raise
    except Exception as error:  # of code that is not ours
        said = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise BadInput(f"{who} gives no images, {said}") from error
    if not isinstance(found, Source):
        raise BadInput(f"{who} gives a {type(found).__name__}, expected a bench.data.prepare.Source")
    if not re.fullmatch(NAMED, found.name):
        raise BadInput(f"{who} calls its images {found.name!r}, expected letters, digits, ., @, _ and -")
    return found
