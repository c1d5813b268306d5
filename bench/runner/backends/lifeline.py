"""How a worker process begins: it ends with its parent from its first moment, before torch is imported."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def begin(lifeline: Any, begun: bytes, *own: Any) -> None:
    """Watch the lifeline, then call what a pickle has, (function, arguments), with own beside these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is the parent's to handle
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    function, arguments = pickle.loads(begun)  # of the parent, through its pipe; imports torch
    function(*arguments, *own)


def _watch(lifeline: Any) -> None:
    """End this process when its parent lets go of the lifeline, or dies."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(3)


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Start processes meanwhile: they are deaf to signals that end a run until they begin.

    A signal that comes here meanwhile waits: half of a new process's orders would make it fail aloud.
    """
    came: list[int] = []
    before: dict[int, Callable[[int, Any], Any]] = {}
    masks = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, []) if masks else None
    try:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if callable(handler := signal.getsignal(number)) and not isinstance(handler, signal.Handlers):
                    before[number] = handler
                    signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        try:
            if mask is not None:  # first: what waited is noted
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for number, handler in before.items():
                signal.signal(number, handler)
        finally:  # once more: a signal that came between two of them
            for number, handler in before.items():
                signal.signal(number, handler)
        for number in came:
            before[number](number, None)
