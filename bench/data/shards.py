"""The files of one split among those of a hub: complete, of one generation, of one layout."""

from __future__ import annotations

import re
from pathlib import Path

from bench.core.errors import BadInput

NAMED = r"-(\d+)-of-(\d+)(-\w+)?\.parquet"  # behind the split's name; the last part is the hub's own


def shards(place: Path, part: str) -> list[Path]:
    """List the files PART.parquet or PART-*.parquet of DIR or DIR/data; BadInput where some do not fit."""
    whole, found = listed(place, part)
    if not whole and not found:
        whole, found = listed(place / "data", part)
    if whole and found:
        raise BadInput(f"{whole[0]} and {found[0].name} are both there, expected one or the other")
    if whole:
        return whole
    if not found:
        held = [name for p in (place, place / "data") for some in listed(p, "validation") for name in some]
        hint = "; --test-split validation tests on validation" if held and part == "test" else ""
        raise BadInput(f"{place}: no {part}.parquet and no {part}-*.parquet, expected one or the other{hint}")
    numbers = {file: re.fullmatch(re.escape(part) + NAMED, file.name) for file in found}
    if not any(numbers.values()):
        return found
    if plain := [file for file, number in numbers.items() if number is None]:
        raise BadInput(f"{plain[0]} lies beside {part}-*-of-*.parquet, expected these alone")
    counts = {int(number[2]): file for file, number in numbers.items() if number}
    if len(counts) > 1:
        one, other = [file.name for file in counts.values()][:2]
        raise BadInput(f"{found[0].parent}: {one} and {other} are of two generations; remove one")
    places: dict[int, Path] = {}
    for file, number in numbers.items():
        if number and places.setdefault(int(number[1]), file) != file:
            first = places[int(number[1])].name
            raise BadInput(f"{file.parent}: {first} and {file.name} are of two generations; remove one")
    ((count, _),) = counts.items()
    if absent := [n for n in range(count) if n not in places]:
        first = f"{part}-{absent[0]:05}-of-{count:05}.parquet"
        raise BadInput(
            f"{found[0].parent}: {len(absent)} of {count} shards are missing, the first is {first}"
        )
    return found


def listed(folder: Path, part: str) -> tuple[list[Path], list[Path]]:
    """List PART.parquet, and PART-*.parquet in the order of their names."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    some = [file for file in files if file.suffix == ".parquet" and file.is_file()]
    return (
        [file for file in some if file.name == f"{part}.parquet"],
        [file for file in some if file.name.startswith(f"{part}-")],
    )
