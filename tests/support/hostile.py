"""Files that somebody else made wrong: every field in turn, and commands that meet them."""

from __future__ import annotations

import copy
import io
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cli.main import main

Place = tuple[str | int, ...]
NASTY = "/../../planted\x1b[2J\n"  # out of a folder, out of a line, over the screen
ENDLESS = "1e999"
PATIENCE = 20  # seconds: no command may hang for longer
BUSY = 0.1  # seconds of a processor in that time, of who does not wait


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    """All fields, and of a list the first."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for name, part in inner:
        yield (*above, name)
        yield from places(part, (*above, name))


def at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def changed(value: Any, place: Place, change: Callable[[Any, Any], None]) -> Any:
    """A copy in which change(object, name) was made at the place."""
    made = copy.deepcopy(value)
    change(at(made, place[:-1]), place[-1])
    return made


def replaced(value: Any, place: Place, by: Any) -> Any:
    return changed(value, place, lambda inner, name: inner.__setitem__(name, by))


def other_type(value: Any) -> Any:
    """What nobody takes for the value, nor for one that may stand in its place."""
    return "x" if isinstance(value, bool | int | float | list | dict) else [[None]]


def out_of_range(value: Any) -> Any:
    """The value's type, and what it never is."""
    if isinstance(value, bool):
        return 2
    if isinstance(value, int):
        return -(10**30)
    if isinstance(value, float):
        return -1e300
    if isinstance(value, list):
        return [None] * 3
    return {NASTY: NASTY} if isinstance(value, dict) else NASTY


def wrong(value: Any) -> Iterator[tuple[str, str, str]]:
    """The place, what is wrong there, and the JSON of all."""
    for place in places(value):
        own, where = at(value, place), ".".join(map(str, place))
        yield where, "another type", json.dumps(replaced(value, place, other_type(own)))
        yield where, "out of range", json.dumps(replaced(value, place, out_of_range(own)))
        endless = json.dumps(replaced(value, place, "ENDLESS"))
        yield where, "infinite", endless.replace('"ENDLESS"', ENDLESS)
        if isinstance(place[-1], str):
            yield where, "absent", json.dumps(changed(value, place, lambda inner, name: inner.pop(name)))
            twice = json.dumps(replaced(value, (*place[:-1], f"TWICE{place[-1]}"), own))
            yield where, "twice", twice.replace(f'"TWICE{place[-1]}"', json.dumps(place[-1]))


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def refused(self) -> bool:
        """Whether it is bad input in one line that moves no cursor, and nothing else was said."""
        one = self.err.startswith("bench: ") and len(self.err.splitlines()) == 1
        return self.code == 2 and one and self.err.endswith("\n") and not self.out


class Hung(BaseException):
    """A command that does not come back."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise Hung where nothing is computed for so long, or something is; others have their own time."""
    used = [time.process_time()] * 2

    def late(*_: object) -> None:
        began, last = used
        used[1] = time.process_time()
        if used[1] - last < BUSY or used[1] - began > seconds:
            raise Hung

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def said_by(argv: Sequence[str], case: object = "") -> Said:
    """Run a command here; whatever it raises, and that it hangs, is told with the case."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with within(PATIENCE), redirect_stdout(out), redirect_stderr(err):
            code = main(argv)
    except BaseException as error:
        raise AssertionError(f"{case}: {argv[0]} raised {error!r}") from error
    for text in (out.getvalue(), err.getvalue()):
        assert "\x1b" not in text and "Traceback" not in text, (case, argv[0], text)
    return Said(code, out.getvalue(), err.getvalue())


SPECIAL = ("fifo", "folder", "device", "socket", "loop")  # what is no regular file
VAST = 2**30  # bytes, none of which is on the disk


def plant(path: Path, kind: str) -> None:
    """Put one of SPECIAL there, or a file that is too large; a socket's path has to be short."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    elif kind == "loop":
        path.symlink_to(path.name)
    else:
        with path.open("wb") as file:
            file.truncate(VAST)


def files_of(*folders: Path) -> set[str]:
    """All that lies there, whatever it is."""
    return {str(path) for folder in folders for path in folder.rglob("*")}
