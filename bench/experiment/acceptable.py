"""What plugins may hold: whatever moves their numbers is in keys. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from typing import Any

from bench.results.identity import parameters


def bad_values(value: Any, base: Any) -> Iterator[str]:
    """Say what a plugin is that no plugin may be, or which parameters no key would hold."""
    if not isinstance(value, base):
        yield f"is a {type(value).__name__}, expected a {base.__name__}"
        return
    own, known = {f.name for f in fields(value)}, {*dir(base)}
    for kind in type(value).__mro__[: type(value).__mro__.index(base)]:
        for name, hint in vars(kind).get("__annotations__", {}).items():
            if "ClassVar" not in str(hint) and name not in own:
                yield f"has {name}, which is no field; expected @dataclass(frozen=True) above {kind.__name__}"
        for name, content in vars(kind).items():
            plain = isinstance(content, bool | int | float | str) and not name.startswith("__")
            annotated = name in vars(kind).get("__annotations__", {})
            if plain and not annotated and name not in {*own, *known} and not name.isupper():
                yield f"has {name}, which is no field: write {name}: {type(content).__name__} = {content!r}"
    for name, content in _leaves(parameters(value)):
        held = content is None or isinstance(content, bool | int | str)
        if isinstance(content, Enum) or not (held or (type(content) is float and math.isfinite(content))):
            yield f"has {name} = {content!r}, which no key can hold; expected a finite number, a word or None"


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Name all that a plugin's parameters hold."""
    if isinstance(content, dict):
        for part, inner in content.items():
            yield from _leaves(inner, f"{name}.{part}" if name else str(part))
    elif isinstance(content, list | tuple):
        for index, inner in enumerate(content):
            yield from _leaves(inner, f"{name}[{index}]")
    else:
        yield name, content
