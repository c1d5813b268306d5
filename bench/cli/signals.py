"""Signals that end a run end it as ^C does: what is done stays, children end, one line says how to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = ("SIGTERM", "SIGHUP")
SOON = 0.05  # seconds
PATIENCE = 30  # seconds that the end may take


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_by_itself(seconds: int = PATIENCE) -> None:
    """Let the kernel end this process then, whatever keeps it waiting; 0: not any more."""
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)


@contextmanager
def stopping() -> Iterator[None]:
    """Raise Stopped at the first of these signals; what was ignored, as by nohup, stays so.

    Python drops an exception that comes while it clears away an object, or a lock of an import: a signal
    that came there comes once more.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        end_by_itself()
        raise Stopped(number)

    def dropped(error: Any) -> None:
        if not isinstance(error.exc_value, KeyboardInterrupt):
            hook(error)
            return
        number = getattr(error.exc_value, "number", signal.SIGINT)
        if number != signal.SIGINT:  # Stopped is raised by stop() alone, of whichever stopping() it is
            signal.signal(number, stop)
        threading.Timer(SOON, os.kill, (os.getpid(), number)).start()

    before: dict[int, Any] = {}
    hook = sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        known = (getattr(signal, name) for name in ENDING if hasattr(signal, name))
        for number in (number for number in known if signal.getsignal(number) is signal.SIG_DFL):
            before[number] = signal.signal(number, stop)
        sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if threading.current_thread() is threading.main_thread() and before:
            end_by_itself(0)
        for number, handler in before.items():
            signal.signal(number, handler)
