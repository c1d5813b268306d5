"""Changing one field of a frozen dataclass by name, from text: --set tap.surrogate.epochs=5."""

from __future__ import annotations

import math
import types
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.core.errors import BadInput, unknown

T = TypeVar("T")


def parse(text: str, kind: Any, what: str) -> Any:
    """Read text as a value of an annotated type; BadInput says what was expected."""
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        raise BadInput(
            f"{what} is {text!r}, expected one of its fields, such as {what}.{fields(kind)[0].name}"
        )
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in args:
            return None
        return parse(text, next(a for a in args if a is not type(None)), what)
    if origin is Literal:
        if text not in args:
            raise unknown(f"value of {what}", text, args)
        return text
    if origin is tuple:
        return tuple(parse(part, args[0], what) for part in text.split(",") if part)
    with suppress(ValueError, KeyError, ZeroDivisionError):
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        value = float(Fraction(text)) if kind is float and "/" in text else kind(text)
        if kind is not float or math.isfinite(value):
            return value
    raise BadInput(f"{what} is {text!r}, expected {getattr(kind, '__name__', kind)}")


def change(thing: T, path: str, value: Any, what: str) -> T:
    """Copy a dataclass with the field at a dotted path replaced; text is parsed by its type."""
    head, _, rest = path.partition(".")
    known = fields(thing) if is_dataclass(thing) else ()
    names = [f.name for f in known if f.init and f.compare]  # the others are where, not what
    if head not in names:
        raise unknown(f"field of {what}", head, names)
    if rest:
        new = change(getattr(thing, head), rest, value, f"{what}.{head}")
    else:
        hint = get_type_hints(type(thing))[head]
        new = parse(value, hint, f"{what}.{head}") if isinstance(value, str) else value
    return replace(thing, **{head: new})  # type: ignore[type-var]
