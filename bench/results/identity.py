"""Keys: hashes of resolved inputs, which bench/experiment/keys.py collects; imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

OF_CELL = ("method", "defense", "poison_rep", "rep")  # inputs that the rows of one setting may differ in


def key_of(inputs: Mapping[str, Any]) -> str:
    """Hash resolved inputs as JSON, whatever their order: sha256, 64 hex digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, allow_nan=False).encode()).hexdigest()


def shared(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the rows of one setting have in common of their inputs; its key is the setting's."""
    return {name: value for name, value in inputs.items() if name not in OF_CELL}


def record_name(inputs: Mapping[str, Any]) -> str:
    """Name the file of a study's record: one each for a measure of a poison through a net."""
    place = {name: inputs[name] for name in ("measure", "net", "poison")}
    return f"{inputs['measure']}-{key_of(place)[:16]}.json"
