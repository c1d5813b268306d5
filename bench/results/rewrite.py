"""Folders of an older schema, rewritten where a run goes on in them; who only reads upgrades what is read."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import msgspec

from bench.core.files import write_atomically
from bench.core.stored import plain, read
from bench.results import rows, upgrade
from bench.results.identity import record_name


def rewrite(run: Path) -> int:
    """Put rows and records of a run's folder into today's schema and under today's keys; returns how many.

    Raises BadInput where a file is no row. Of two rows that have one key now the one that does not count
    stays as it is, and nothing is written over another row.
    """
    found, moved = rows.load_files(run / "rows"), 0
    for path in {row.key: path for path, row in found.items()}.values():
        place = rows.path_of(found[path].key, path.parent)
        with suppress(FileNotFoundError):  # another run moved it meanwhile
            older = msgspec.json.decode(read(path))["schema"] < rows.SCHEMA
            if older and (place == path or not place.exists()):
                rows.save(found[path], path.parent)
                moved += 1
                if place != path:
                    path.unlink()
    keys = {row.legacy_key: row.key for row in found.values() if row.legacy_key is not None}
    return moved + sum(_record(path, keys) for path in sorted((run / "records").glob("*.json")))


def _record(path: Path, keys: dict[str, str]) -> bool:
    """Whether it was of schema 1, and of rows that are there."""
    try:
        stored = plain(read(path), path.name)
        if "schema" in stored:
            return False
        changed = upgrade.record(stored, keys)
    except (ValueError, KeyError, TypeError):
        return False  # torn, or of no row: measured anew where it is wanted
    place = path.with_name(record_name(changed["inputs"]))
    if place.exists():
        return False
    write_atomically(place, json.dumps(changed, indent=1, allow_nan=False) + "\n")
    path.unlink(missing_ok=True)
    return True
