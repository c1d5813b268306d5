"""Files: names, checks, and all writing: a file or folder takes its place whole, or what was there stays."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import psutil

from bench.core.errors import BadInput

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE}
YOUNG = 3600.0  # seconds: what is no older is left alone, whoever wrote it


def expanded(place: str) -> Path:
    """Read a path, with ~ and ~user; BadInput where there is no such user."""
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise BadInput(f"{place}: {error}") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path of the same name elsewhere, for a file or a folder to be made there and moved to path.

    Where the block fails, nothing is left. A folder replaces no folder that holds anything (OSError).
    The temporary folder's name says who writes: process ids alone repeat across the machines of a cluster.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(".tmp", f".{platform.node()}-{os.getpid()}-", path.parent))
    try:
        yield temporary / path.name
        (temporary / path.name).replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_full(error: BaseException) -> bool:
    """Whether it says that nothing can be written: no room, no inodes, a disk that is gone."""
    short = isinstance(error, OSError) and error.errno is None and " requested and " in str(error)  # numpy's
    return short or (isinstance(error, OSError) and error.errno in FULL)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write all of the content; where the power goes meanwhile, the old file is left, or none."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


def sweep(cache: Path, killed: Collection[int | None] = ()) -> None:
    """Remove what killed processes of this machine left half written in a cache, and nothing else.

    killed: process ids of this process's own children. Of others only what is older than YOUNG: in containers
    of one name, process ids say little of who lives.
    """
    old = time.time() - YOUNG
    name = re.compile(rf"\.{re.escape(platform.node())}-(\d{{1,9}})-\w{{8}}\.tmp")
    for place, folders, _ in os.walk(cache):  # passes over what goes away meanwhile
        for path in (Path(place, folder) for folder in folders):
            whose = name.fullmatch(path.name)
            with suppress(OSError):
                gone = whose and not psutil.pid_exists(int(whose[1])) and path.stat().st_mtime < old
                if gone or (whose and int(whose[1]) in killed):
                    shutil.rmtree(path, ignore_errors=True)


def check_free(folder: Path) -> None:
    """Raise BadInput unless the folder is absent or empty, and can be made."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file, expected a folder that is empty or not there yet")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{folder} holds other things, expected a folder that is empty or not there yet")
    if folder.absolute() == Path.cwd():
        raise BadInput(f"{folder} is the current folder, expected one that is made and put in its place")
    check_writable(folder.absolute().parent)


def check_writable(folder: Path) -> None:
    """Raise BadInput unless the folder, or the nearest above it that exists, may be written to."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not _may_write(nearest):
        raise BadInput(f"cannot write to {folder}: {nearest} is no folder that may be written")


def _may_write(folder: Path) -> bool:
    """Try: what a folder's permissions say, an administrator passes over, and /proc holds no files."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError as error:
        return is_full(error) and error.errno != errno.EROFS  # said where there is something to write


def slug(name: str) -> str:
    """Spell a name as part of a file name or of a link; different names stay different."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return (
        plain if plain and plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:6]}".lstrip("-")
    )
