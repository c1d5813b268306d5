"""Locks: what this process is at, so that another one does something else.

A lock is a locked file. The kernel drops it with the process, however that ends: no lock is stale.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":  # pragma: no cover

    def _lock(file: int) -> bool:
        return True  # work may be done twice there, and is no less right

else:
    import fcntl

    def _lock(file: int) -> bool:
        """Whether nobody else has it; so too on a file system that knows no locks."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True


def _lies_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


class Locks:
    """Those of one process, in a folder that all share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, int] = {}  # name -> descriptor of its locked file

    def take(self, name: str) -> bool:
        """Whether it is ours now; False while another process has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT)
            if not _lock(file):
                os.close(file)
                return False
            if _lies_at(file, path):
                self.held[name] = file
                return True
            os.close(file)  # its owner let go of it, and of the file, in between

    def drop(self, name: str) -> None:
        file = self.held.pop(name)
        (self.folder / name).unlink(missing_ok=True)  # while it is locked: nobody else's can go
        os.close(file)

    def drop_all(self) -> None:
        for name in [*self.held]:
            self.drop(name)
