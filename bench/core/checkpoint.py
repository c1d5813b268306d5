"""Checkpoints: the state of a long piece of work in one file, replaced atomically."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from bench.core.files import replacing
from bench.core.stored import check_regular, say_wrong

DAMAGED = (
    *(OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, UnpicklingError, BadZipFile),
    *(SyntaxError, TokenError),  # of the header of a NumPy array
)

FULL = ("PytorchStreamWriter", "write", "unexpected pos", "iostream error")  # in what torch then says


def check_whole(*tensors: Tensor) -> None:
    """Raise ValueError for a tensor of more numbers than its file holds, as a stride of 0 makes it."""
    for tensor in tensors:
        held, said = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size()
        if said > held:
            raise ValueError(f"a tensor of {said} bytes, of which {held} are there")


def fingerprint_of(state: Any, seen: Any = None) -> str:
    """Hash (sha256) a state of tensors, numbers, strings, lists and dicts, whatever device it is on."""
    seen = seen or sha256()
    if isinstance(state, Tensor):
        check_whole(state)
        seen.update(f"{state.dtype}{tuple(state.shape)}".encode())
        seen.update(state.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(state, Mapping):
        seen.update(f"{{{len(state)}".encode())
        for name, part in state.items():
            seen.update(f"{name!r}:".encode())
            fingerprint_of(part, seen)
    elif isinstance(state, list | tuple):
        seen.update(f"[{len(state)}".encode())
        for part in state:
            fingerprint_of(part, seen)
    else:
        seen.update(f"{type(state).__name__} {state!r},".encode())
    return str(seen.hexdigest())


@contextmanager
def written() -> Iterator[None]:
    """Have torch say as others do that a file has no room."""
    try:
        yield
    except RuntimeError as error:
        if not any(said in str(error) for said in FULL):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


class OutOfTime(Exception):
    """The time that was granted is over; everything so far is in the checkpoint."""


@dataclass
class Clock:
    """Seconds spent on a piece of work over all its attempts."""

    before: float = 0.0  # by earlier attempts, as far as they were saved
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        return self.before + time.monotonic() - self.started


@dataclass(eq=False)
class Checkpoint:
    """Keeps a state of tensors, numbers, strings, lists and dicts."""

    path: Path | None = None  # the file; None: nothing is kept
    seconds: float = 30.0  # least time between two saves
    deadline: float | None = None  # time.monotonic() after which the next save raises OutOfTime
    clock: Clock = field(default_factory=Clock)
    device: str = "cpu"  # a state from another kind is none, because random streams cannot go on there
    saved: float = field(default_factory=time.monotonic)

    def part(self, name: str) -> Checkpoint:
        """Give a checkpoint of its own to one part of the work; the clock is shared."""
        path = self.path.with_name(f"{self.path.name}.{name}") if self.path else None
        return Checkpoint(path, self.seconds, self.deadline, self.clock, self.device)

    def load(self) -> dict[str, Any] | None:
        """Read the last state, on the CPU; None if there is none that can be read."""
        if self.path is None or not self.path.exists():
            return None
        try:
            check_regular(self.path)
            with ZipFile(self.path) as archive:
                if archive.testzip() is not None:  # torch does not look at checksums
                    raise BadZipFile("a part is damaged")
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
            checksum = stored.pop("checksum", None)
            spent, state, device = float(stored["spent"]), dict(stored["state"]), stored["device"]
            if checksum != self._checksum(stored):  # another work's, or of before there were checksums
                raise ValueError("its checksum")
        except FileNotFoundError:
            return None
        except DAMAGED as error:  # torn by a full disk or a foreign hand: the work starts again
            say_wrong(self.path, (str(error).splitlines() or [type(error).__name__])[0])
            return None
        if device != self.device:
            return None
        self.clock.before = max(self.clock.before, spent)
        return state

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def due(self) -> bool:
        return self.path is not None and (time.monotonic() - self.saved >= self.seconds or self._late())

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file; raises OutOfTime after the deadline."""
        if self.path is None:
            return
        stored = {"state": state, "spent": self.clock.spent, "device": self.device}
        with replacing(self.path) as temporary, written():
            torch.save(stored | {"checksum": self._checksum(stored)}, temporary)
        self.saved = time.monotonic()
        if self._late():
            raise OutOfTime

    def _checksum(self, stored: dict[str, Any]) -> str:
        """Of all that is stored, and of the file's name, which says what it is a state of."""
        return fingerprint_of([self.path.name if self.path else "", stored])

    def clear(self) -> None:
        """Forget this state and those of its parts."""
        if self.path is not None:
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink(missing_ok=True)
