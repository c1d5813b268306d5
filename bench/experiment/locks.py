"""Locks: what this process is at, so that another one does something else.

The kernel drops a lock with its process, however that ends: no lock is stale.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout


class Locks:
    """Those of one process, in a folder that all share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, FileLock] = {}  # by name

    def take(self, name: str, seconds: float = 0) -> bool:
        """Whether it is ours now; False while another process has it. seconds: to wait; below 0 for ever.

        True, too, where locks cannot be had, as on some file systems: work may be done twice there, and
        is no less right. A file whose being there is the lock would outlive a killed process.
        """
        lock = FileLock(self.folder / name, seconds, fallback_to_soft=False)
        try:
            lock.acquire()
        except Timeout:
            return False
        except OSError:
            pass
        self.held[name] = lock
        return True

    def drop(self, name: str) -> None:
        """Let go of it, and of its file, which filelock leaves; it takes no file that has lost its name."""
        lock = self.held.pop(name)
        with suppress(OSError):
            (self.folder / name).unlink()  # while it is locked: nobody else's can go
        lock.release()

    def drop_all(self) -> None:
        """Let go of all of them."""
        for name in [*self.held]:
            self.drop(name)
