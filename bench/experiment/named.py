"""Names as a user gives them, with commas between."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator


def split(names: str, schemes: Iterable[str] = ()) -> Iterator[str]:
    """Split names at commas, but for those of a path that is there: file:a,b.npy."""
    parts = names.split(",")
    while parts:
        path = len(parts) if parts[0].strip().partition(":")[0] in schemes else 1
        while path > 1 and not _is_there(",".join(parts[:path])):
            path -= 1
        yield ",".join(parts[:path])
        del parts[:path]


def _is_there(name: str) -> bool:
    """Whether a path, or the one before the #NAME of an array, is there; the array's name has no comma."""
    place = name.strip().partition(":")[2]
    before, _, array = place.rpartition("#")
    found = [place] if "," in array or not before else [place, before]
    return any(os.path.exists(os.path.expanduser(path)) for path in found)  # noqa: PTH110, PTH111 (never raise)
