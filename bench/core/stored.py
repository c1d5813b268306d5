"""Files that are read: regular ones of a stated size at most, and JSON that names nothing twice."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest, sha256
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bench.core.errors import BadInput

MIB = 2**20
SMALL = 4 * MIB  # bytes: of a row, a record, a table of claims
DEEP = 32  # levels of objects and lists in each other
SHOWN = 60  # characters of a wrong value in a message
KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}
KINDS |= dict.fromkeys((stat.S_IFCHR, stat.S_IFBLK), "device")
T = TypeVar("T")
LOG = logging.getLogger("bench")


def read(path: Path, most: int = SMALL) -> bytes:
    """Read a regular file of at most so many bytes. Raises BadInput for any other, never waiting for one.

    An OSError, as of a file that is not there, is the caller's to say.
    """
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        seen = os.fstat(opened)
        _check_regular(path, seen)
        if seen.st_size > most:
            raise BadInput(f"{path.name} has {seen.st_size} bytes, expected at most {most}")
        parts = [os.read(opened, most + 1)]
        while parts[-1] and (more := os.read(opened, most + 1)):
            parts.append(more)
            if sum(map(len, parts)) > most:
                raise BadInput(f"{path.name} grows beyond {most} bytes while it is read")
    finally:
        os.close(opened)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_regular(path: Path) -> None:
    """Raise BadInput where there is something that is no regular file; OSError where there is nothing."""
    _check_regular(path, path.stat())


def _check_regular(path: Path, seen: os.stat_result) -> None:
    if not stat.S_ISREG(seen.st_mode):
        kind = KINDS.get(stat.S_IFMT(seen.st_mode), "special file")
        raise BadInput(f"{path.name} is a {kind}, expected a regular file")


def digest_of(files: Iterable[tuple[str, Path]]) -> str:
    """Hash (sha256) regular files, each behind what it is called."""
    seen = sha256()
    for name, file in files:
        seen.update(name.encode())
        check_regular(file)
        with file.open("rb") as stream:
            file_digest(stream, lambda: seen)
    return seen.hexdigest()


def say_wrong(what: Path, why: object) -> None:
    """Say that something that was kept is not what was put there, and that it is made again."""
    LOG.warning("bench: %s is not what was stored there (%s); it is computed again", what, why)


def sealed(place: str, said: Mapping[str, Any]) -> str:
    """Make the checksum of what is said of a cached file: of the place that it is kept under, too.

    So that what is right and lies in another's place is found.
    """
    text = json.dumps(json.loads(json.dumps(said)), sort_keys=True)
    return sha256(f"{place}\n{text}".encode()).hexdigest()


def read_or_say(path: Path, expected: str, most: int = SMALL) -> bytes:
    """Read a file that must be there; BadInput, with what was expected, where it cannot be read."""
    try:
        return read(path, most)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}), expected {expected}") from None


def plain(text: bytes, where: str, what: str = "whole JSON") -> Any:
    """Make plain values of JSON, finite, of few levels, each name once; BadInput where it is something else.

    what: was expected, for the message.
    """
    try:
        values = msgspec.json.decode(text)
        if text.translate(None, b" \t\r\n").count(b'":') != _count(values, where):
            json.loads(text, object_pairs_hook=partial(_once, where))
    except RecursionError:
        raise _deep(where) from None
    except msgspec.ValidationError:  # a number that no float holds
        place = next(_infinite(json.loads(text, parse_int=float)), "a number")
        raise BadInput(f"{where}: {place} is not finite, expected a finite number") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{where} is not {what}: {error}") from None
    return values


def decoded(text: bytes, model: type[T], where: str) -> T:
    """Make a value of a model of its JSON; BadInput, which names the field, where it is none."""
    return converted(plain(text, where), model, where)


def converted(values: Any, model: type[T], where: str) -> T:
    """Make a value of a model of plain values; BadInput, which names the field, where they are none."""
    try:
        return msgspec.convert(values, model)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {_complaint(error, values)}") from None


def _complaint(error: msgspec.ValidationError, values: Any) -> str:
    """Name the field and what is there, as far as the error says where it is."""
    said, _, place = str(error).partition(" - at ")
    path = place.strip("`").removeprefix("$").removeprefix(".")
    value = values
    try:
        for step in re.findall(r"[^.\[\]]+|\[\d+\]", path):
            value = value[int(step[1:-1])] if step.startswith("[") else value[step]
    except (LookupError, TypeError, ValueError):
        return f"{path}: {said}"
    if not path or "missing required" in said:
        return f"{path}: {said}".removeprefix(": ")
    return f"{path} is {shown(value)}; {said[:1].lower()}{said[1:]}"


def shown(value: Any) -> str:
    """Write a wrong value as a message can hold it: one line, and not a long one."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector of reference cycles away while many values are made that have none."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _once(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON whose names are all different; BadInput where they are not."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{where} has {shown(twice)} twice, expected each name once")
    return found


def _count(value: Any, where: str, level: int = 0) -> int:
    """Count the names in a value; BadInput where it is too deep.

    In its JSON a quote with a colon behind it, spaces apart, is such a name or stands in a text: where there
    are no more of them than this, no name is there twice.
    """
    if level > DEEP:
        raise _deep(where)
    if not isinstance(value, dict | list):
        return 0
    own, parts = (len(value), value.values()) if isinstance(value, dict) else (0, value)
    for part in parts:
        kind = type(part)
        if kind is dict or kind is list:
            own += _count(part, where, level + 1)
    return own


def _deep(where: str) -> BadInput:
    return BadInput(f"{where} has over {DEEP} levels, expected fewer")


def _infinite(value: Any, place: str = "") -> Iterator[str]:
    """Name the places of numbers that are not finite."""
    if isinstance(value, float) and not isfinite(value):
        yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _infinite(part, f"{place}.{name}".lstrip("."))
