"""Folders of an older schema, rewritten where a run goes on in them; who only reads upgrades what is read."""

from __future__ import annotations

import json
from pathlib import Path

from bench.core.files import write_atomically
from bench.results import rows, upgrade
from bench.results.identity import record_name


def rewrite(run: Path) -> int:
    """Put rows and records of a run's folder into today's schema and under today's keys; returns how many.

    Raises BadInput where a file is no row. Of two rows that have one key now, the one that ended first stays
    as it is, and nobody reads it.
    """
    found = {path: rows.load(path) for path in sorted((run / "rows").glob("*.json"))}
    latest = {found[path].key: path for path in sorted(found, key=lambda path: found[path].finished)}
    old = [path for path in latest.values() if rows.schema_in(path.read_bytes(), path.name) < rows.SCHEMA]
    for path in old:
        if rows.save(found[path], path.parent) != path:
            path.unlink()
    keys = {row.legacy_key: row.key for row in found.values() if row.legacy_key is not None}
    return len(old) + sum(_record(path, keys) for path in sorted((run / "records").glob("*.json")))


def _record(path: Path, keys: dict[str, str]) -> bool:
    """Whether it was of schema 1, and of rows that are there."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if "schema" in stored:
            return False
        changed = upgrade.record(stored, keys)
    except (ValueError, KeyError, TypeError):
        return False  # torn, or of no row: measured anew where it is wanted
    text = json.dumps(changed, indent=1, allow_nan=False) + "\n"
    write_atomically(path.with_name(record_name(changed["inputs"])), text)
    path.unlink()
    return True
