"""Published images on disk, by content key, shared by all defenses and runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.files import replacing
from bench.core.pixels import digest
from bench.experiment.locks import Locks


def _mapped(path: Path) -> tuple[Tensor, str]:
    """An array from disk that processes share, and its digest; what one of them writes to it stays its own.

    The digest is the file's bytes', not the mapping's, whose pages would count as this process's memory.
    """
    with path.open("rb") as file:
        header = np.lib.format
        header.read_magic(file)
        shape, _, dtype = header.read_array_header_1_0(file)
        start = file.tell()
        images = np.memmap(file, dtype, "c", start, shape)
        file.seek(start)
        return torch.from_numpy(images), hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Poison:
    """What a method published, and what is known of it."""

    images: Tensor  # uint8 (N,C,H,W), or a delta in float32; on the CPU, mapped where it comes from disk
    manifest: dict[str, Any]  # see craft() in cell.py


def manifest(folder: Path) -> dict[str, Any] | None:
    """What is said of the poison in a folder; None if nothing is."""
    try:
        said = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def load(folder: Path) -> Poison | None:
    """The poison in a folder; None if it is not there or not what its manifest says."""
    said = manifest(folder)
    if said is None:
        return None
    try:
        images, seen = _mapped(folder / "published.npy")
    except (OSError, ValueError, EOFError):
        return None
    return Poison(images, said) if said.get("published") == seen else None


def save(folder: Path, poison: Poison) -> None:
    """Write a whole folder or none. Where another process was faster with the same poison, that one stays."""
    try:
        with replacing(folder) as temporary:
            temporary.mkdir()
            np.save(temporary / "published.npy", poison.images.contiguous().numpy())
            (temporary / "manifest.json").write_text(json.dumps(poison.manifest, indent=1), encoding="utf-8")
            if load(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)  # damaged
    except OSError:
        if load(folder) is None:
            raise


def prepared(path: Path, make: Callable[[], Tensor]) -> Tensor:
    """What make() returns, uint8 on the CPU, made once and kept at path; made again where it is damaged.

    While another process is at it, this one waits: a lock goes with its owner.
    """
    if (kept := _kept(path)) is not None:
        return kept
    locks, name = Locks(path.parent), f".{path.name}.lock"
    locks.take(name, seconds=-1)
    try:
        kept = _kept(path)
        return _made(path, make) if kept is None else kept
    finally:
        locks.drop(name)


def _kept(path: Path) -> Tensor | None:
    for kept in path.parent.glob(f"{path.name}-*.npy"):
        try:
            images, seen = _mapped(kept)
        except (OSError, ValueError, EOFError):
            continue
        if kept.stem == f"{path.name}-{seen[:16]}":
            return images
    return None


def _made(path: Path, make: Callable[[], Tensor]) -> Tensor:
    images = make().cpu()
    whole = path.with_name(f"{path.name}-{digest(images)[:16]}.npy")
    with replacing(whole) as temporary:
        np.save(temporary, images.contiguous().numpy())
    return images
