"""Keys: hashes of resolved inputs, which bench/experiment/keys.py collects; imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any

OF_CELL = ("method", "defense", "poison_rep", "rep")  # inputs that the rows of one setting may differ in


def key_of(inputs: Mapping[str, Any]) -> str:
    """Hash resolved inputs as JSON, whatever their order: sha256, 64 hex digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, allow_nan=False).encode()).hexdigest()


def parameters(value: Any, *, publishing: bool = True) -> Any:
    """Turn a dataclass, and those in it, into dicts of the fields that decide something.

    A field with ADDED is left out where it has its default. publishing: whether fields of a method that
    decide how its delta is published, and nothing else, are among them.
    """

    def decides(field: Field[Any]) -> bool:
        if field.metadata.get("added") and getattr(value, field.name) == field.default:
            return False
        return field.compare and (publishing or not field.metadata.get("publishing"))

    if not is_dataclass(value):
        return value
    return {field.name: parameters(getattr(value, field.name)) for field in filter(decides, fields(value))}


def shared(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the rows of one setting have in common of their inputs; its key is the setting's."""
    return {name: value for name, value in inputs.items() if name not in OF_CELL}


def record_name(inputs: Mapping[str, Any]) -> str:
    """Name the file of a study's record: one each for a measure of a poison through a net."""
    place = {name: inputs[name] for name in ("measure", "net", "poison")}
    return f"{inputs['measure']}-{key_of(place)[:16]}.json"
