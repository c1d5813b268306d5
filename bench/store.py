"""Published images on disk, by content key, shared by all defenses and runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.process import own


def key_of(inputs: dict[str, Any]) -> str:
    """sha256 of resolved inputs, whatever their order."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, allow_nan=False).encode()).hexdigest()


def digest(images: Tensor) -> str:
    return hashlib.sha256(images.cpu().contiguous().numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Poison:
    """What a method published, and what is known of it."""

    images: Tensor  # uint8 (N,C,H,W), on the CPU
    manifest: dict[str, Any]  # see craft() in cell.py


def load(folder: Path) -> Poison | None:
    """The poison in a folder; None if it is not there or not what its manifest says."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        images = torch.from_numpy(np.load(folder / "published.npy", allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(manifest, dict) or manifest.get("published") != digest(images):
        return None
    return Poison(images, manifest)


def save(folder: Path, poison: Poison) -> None:
    """Write a whole folder or none: it is filled beside its place and renamed into it.

    Where another process was faster with the same poison, that one stays.
    """
    temporary = folder.with_name(f".{folder.name}.{own()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    np.save(temporary / "published.npy", poison.images.numpy())
    (temporary / "manifest.json").write_text(json.dumps(poison.manifest, indent=1), encoding="utf-8")
    if load(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)  # damaged
    try:
        temporary.rename(folder)
    except OSError:
        shutil.rmtree(temporary)
        if load(folder) is None:
            raise
