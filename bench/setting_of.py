"""Choosing one setting among a folder's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.errors import BadInput
from bench.identity import shared
from bench.override import unknown
from bench.pooling import differing, leaves
from bench.rows import Row

SHOWN = 3  # differences named for each setting


def rows_of_setting(rows: Sequence[Row], prefix: str | None) -> list[Row]:
    """The rows of the only setting, or of the one whose id begins so.

    Raises BadInput where that is no setting or several, naming what they differ in.
    """
    settings: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.setting):
        settings.setdefault(row.setting, []).append(row)
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
    """Each setting with the values in which it differs: 4c8657cf (victim.epochs 30)."""
    common = {name: {"data": row.data} | leaves(shared(row.inputs)) for name, row in settings.items()}
    names = sorted(differing(common), key=lambda name: (name.count("."), name))[:SHOWN]

    def said(own: Mapping[str, str]) -> str:
        return ", ".join(f"{name} {own.get(name, 'absent')[:16]}" for name in names)

    return [f"{name[:8]} ({said(own)})" if names else name[:8] for name, own in common.items()]
