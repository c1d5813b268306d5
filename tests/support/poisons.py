"""Poisons let out and taken in."""

from __future__ import annotations

from pathlib import Path

from support.commands import SMALL


def choice(place: Path) -> list[str]:
    return ["--data", f"folder:{place / 'quad'}", "--limit", "none", "--cache", str(place / "cache")]


def exporting(place: Path, to: Path, method: str = "em", *more: str) -> list[str]:
    sets = [part for field in SMALL.get(method, ()) for part in ("--set", f"{method}.{field}")]
    return ["export", method, str(to), *choice(place), *sets, *more]
