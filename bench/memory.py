"""What a worker needs, before there is one: as many are started as the machine has memory for."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cell import Bench
from bench.core.types import Recipe
from bench.measure import resident_mb
from bench.registry import Plugin

MB = 2**20
CRAFTING = (
    6  # bytes for each byte of training images: the copy that is lent, delta in float32, what is published
)
KEPT = 2  # images whose memory is measured


def needed_mb(bench: Bench, methods: Sequence[Plugin]) -> float:
    """Of one worker, at its largest: torch, data, a poison in the making, and a batch's activations."""
    data = bench.data.train.images.numel() * CRAFTING
    names = {bench.setting.net, bench.setting.surrogate}
    batch = max(kept_bytes(bench, name) for name in names) * largest_batch(bench, methods)
    return resident_mb() + (data + batch) / MB


def kept_bytes(bench: Bench, net: str) -> float:
    """What backward needs of one image."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    model = bench.build(net, 0)
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    x = torch.zeros(KEPT, bench.data.channels, bench.data.size, bench.data.size, device=bench.device)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        F.cross_entropy(model(x), torch.zeros(KEPT, dtype=torch.long, device=bench.device))
    return sum(size for place, size in sizes.items() if place not in own) / KEPT


def largest_batch(bench: Bench, methods: Sequence[Plugin]) -> int:
    """Images with gradients at once: a recipe's batch, or a method's own."""
    found = [bench.setting.victim.batch]
    for method in methods:
        values: list[Any] = [getattr(method.value, f.name) for f in fields(method.value)]
        found += [value.batch for value in values if isinstance(value, Recipe)]
        found += [getattr(method.value, "batch", 0)]
    return max(found)


def available_mb() -> float | None:
    """What this process and its children may still take; None where the system does not say."""
    found = [_free_mb(), _granted_mb()]
    return min((mb for mb in found if mb is not None), default=None)


def _free_mb(info: Path = Path("/proc/meminfo")) -> float | None:
    try:
        lines = info.read_text().splitlines()
        return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def _granted_mb(group: Path = Path("/sys/fs/cgroup")) -> float | None:
    """A container's own limit, less what it uses. Files that were read and lie idle make room at once."""
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return None if limit == "max" else (int(limit) - int(used) + _idle_files(group)) / MB
    except (OSError, ValueError):
        return None


def _idle_files(group: Path) -> int:
    with contextlib.suppress(OSError):
        stats = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(stats.get("inactive_file", 0))
    return 0


def affordable(bench: Bench, methods: Sequence[Plugin], workers: int) -> tuple[int, str | None]:
    """How many of these workers there is memory for, at least one, and what is to be said of it."""
    available, needed = available_mb(), needed_mb(bench, methods)
    if available is None or bench.device.type != "cpu" or workers * needed <= available:
        return workers, None
    there = f"a worker needs about {needed:.0f} MB, {available:.0f} MB are free"
    return max(1, int(available / needed)), there
