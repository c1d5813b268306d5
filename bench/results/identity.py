"""Keys: hashes of resolved inputs, which bench/experiment/keys.py collects; imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from functools import lru_cache
from typing import Any

import msgspec

PLUGINS = ("method", "defense")
OF_CELL = (*PLUGINS, "poison_rep", "rep")  # inputs that the rows of one setting may differ in


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


def contradictions(row: Mapping[str, Any]) -> Iterator[str]:
    """Say which columns of a row are not what its inputs say: method, defense, repetitions, key, setting."""
    inputs = row["inputs"]
    for column in OF_CELL:
        own = inputs[column]
        own = own["name"] if isinstance(own, Mapping) else own
        if row[column] != own:
            yield f"{column} is {row[column]!r}, expected {own!r} as in inputs"
    for column, own in zip(("key", "setting"), _keys(inputs), strict=True):
        if row[column] != own:
            yield f"{column} is {row[column]}, expected {own} of the inputs"


def _keys(inputs: Mapping[str, Any]) -> tuple[str, str]:
    """Give key_of a row's inputs, and of those that its setting has; what rows share is written once."""
    common, setting = _written(msgspec.json.encode(shared(inputs)))
    own, _ = _written(msgspec.json.encode({name: inputs[name] for name in PLUGINS}))
    reps = [f'"{name}": {json.dumps(inputs[name])}' for name in OF_CELL if name not in PLUGINS]
    whole = ", ".join(sorted([*common, *own, *reps]))
    return hashlib.sha256(f"{{{whole}}}".encode()).hexdigest(), setting


@lru_cache(1000)
def _written(text: bytes) -> tuple[list[str], str]:
    """Write the parts of some inputs as key_of does, and give the key of the whole."""
    values = msgspec.json.decode(text)
    return [json.dumps({name: value}, sort_keys=True)[1:-1] for name, value in values.items()], key_of(values)


def record_name(inputs: Mapping[str, Any]) -> str:
    """Name the file of a study's record: one each for a measure of a poison through a net."""
    place = {name: inputs[name] for name in ("measure", "net", "poison")}
    return f"{inputs['measure']}-{key_of(place)[:16]}.json"
