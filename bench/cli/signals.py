"""Signals that end a run end it as ^C does: what is done stays, children end, one line says how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = ("SIGTERM", "SIGHUP")


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stopping() -> Iterator[None]:
    """Raise Stopped at the first of these signals; what was ignored, as by nohup, stays so."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        known = (getattr(signal, name) for name in ENDING if hasattr(signal, name))
        for number in (number for number in known if signal.getsignal(number) is signal.SIG_DFL):
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
