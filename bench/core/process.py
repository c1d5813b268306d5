"""This process among all that may write to a shared folder."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

YOUNG = 3600.0  # seconds: what is no older is left alone, whoever wrote it


def own() -> str:
    """A name for temporary files: process ids alone repeat across the machines of a cluster."""
    return f"{platform.node()}-{os.getpid()}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary file to write, which then takes the place of path; of a failure nothing is left."""
    temporary = path.with_name(f".{path.name}.{own()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(cache: Path) -> None:
    """Remove what killed processes of this machine left half written in a cache, and nothing else."""
    name = re.compile(rf"\..+\.{re.escape(platform.node())}-(\d{{1,9}})\.tmp")
    for place, folders, files in os.walk(cache):  # passes over what goes away meanwhile
        for path in (Path(place, entry) for entry in (*folders, *files)):
            whose = name.fullmatch(path.name)
            if whose and not _is_alive(int(whose[1])) and _age(path) > YOUNG:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Seconds; in containers of one name, ids say little of who lives."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # pragma: no cover (there, to ask is to kill)
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True
