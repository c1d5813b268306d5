"""Trained victims on disk: CACHE/victims/<key of the row>.safetensors.

A file holds the weights, their digest and the victim's test accuracy, so that neither a damaged file
nor another victim is taken for the row's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bench.core.files import write_atomically
from bench.results.rows import Row


def path_of(cache: Path, key: str) -> Path:
    return cache / "victims" / f"{key[:32]}.safetensors"


def keep(net: nn.Module, cache: Path, key: str, test_acc: float) -> None:
    """Write the net's weights, whole or not at all. key: of its row."""
    weights = {name: value.cpu().contiguous() for name, value in net.state_dict().items()}
    said = {"key": key, "test_acc": repr(test_acc), "weights": digest(weights)}
    write_atomically(path_of(cache, key), save(weights, said))


def load(cache: Path, row: Row) -> dict[str, Tensor] | None:
    """The weights of the row's victim, on the CPU; None if they are not there, or not the row's."""
    try:
        with safe_open(path_of(cache, row.key), framework="pt") as kept:
            said = kept.metadata() or {}
            weights = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError):
        return None
    expected = {"key": row.key, "test_acc": repr(row.test_acc), "weights": digest(weights)}
    return weights if said == expected else None


def digest(weights: dict[str, Tensor]) -> str:
    """sha256 of all names and values."""
    seen = hashlib.sha256()
    for name, value in sorted(weights.items()):
        seen.update(name.encode() + value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()
