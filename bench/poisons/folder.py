"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.errors import BadInput
from bench.folders import check_writable


def check_free(folder: Path) -> None:
    """BadInput unless the folder is absent or empty, and can be made."""
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file, expected a folder that is empty or not there yet")
    if folder.is_dir() and any(folder.iterdir()):
        raise BadInput(f"{folder} holds other things, expected a folder that is empty or not there yet")
    if folder.absolute() == Path.cwd():
        raise BadInput(f"{folder} is the current folder, expected one that is made and put in its place")
    check_writable(folder.absolute().parent)


@contextmanager
def written(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its place when the block ends well and vanishes when it does not."""
    check_free(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.is_dir():
            folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
