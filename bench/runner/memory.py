"""What a worker needs, before there is one: as many are started as the machine has memory for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.recipe import recipes
from bench.experiment.context import RunContext
from bench.experiment.device import MB, resident_mb
from bench.experiment.registry import Plugin

CRAFTING = 6  # bytes for each of the training images': a lent copy, delta in float32, what is published
KEPT = 2  # images whose memory is measured


def needed_mb(context: RunContext, methods: Sequence[Plugin]) -> float:
    """Estimate what one worker takes at most: torch, data, a poison in the making, a batch's activations."""
    data = context.data.train.images.numel() * CRAFTING
    names = {context.setting.net, context.setting.surrogate}
    batch = max(kept_bytes(context, name) for name in names) * largest_batch(context, methods)
    return resident_mb() + (data + batch) / MB


def kept_bytes(context: RunContext, net: str) -> float:
    """Measure what backward keeps of one image."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    model = context.build(net, 0)
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    x = torch.zeros(KEPT, context.data.channels, context.data.size, context.data.size, device=context.device)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        F.cross_entropy(model(x), torch.zeros(KEPT, dtype=torch.long, device=context.device))
    return sum(size for place, size in sizes.items() if place not in own) / KEPT


def largest_batch(context: RunContext, methods: Sequence[Plugin]) -> int:
    """Count images with gradients at once: a recipe's batch, or a method's own."""
    found = [context.setting.victim.batch]
    for method in methods:
        found += [recipe.batch for recipe in recipes(method.value).values()]
        found += [getattr(method.value, "batch", 0)]
    return max(found)


def available_mb() -> float:
    """Ask what this process and its children may still take: of the machine, and of their container."""
    return min(psutil.virtual_memory().available / MB, _granted_mb())


def cores(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Count the cores that this process may use: its affinity, or fewer where a container's quota says so."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, (group / "cpu.max").read_text().split())
    except (OSError, ValueError):  # no quota, which reads "max"
        return there
    return max(1, min(there, quota // period))


def _granted_mb(group: Path = Path("/sys/fs/cgroup")) -> float:
    """Read a container's own limit, less what it uses; psutil knows the machine's alone.

    Files that were read and lie idle make room at once.
    """
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        stats = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such limit, which reads "max"
        return inf
    return (limit - used + int(stats.get("inactive_file", 0))) / MB


def affordable(context: RunContext, methods: Sequence[Plugin], workers: int) -> tuple[int, str | None]:
    """Tell how many of these workers there is memory for, at least one, and what is to be said of it."""
    available, needed = available_mb(), needed_mb(context, methods)
    if context.device.type != "cpu" or workers * needed <= available:
        return workers, None
    there = f"a worker needs about {needed:.0f} MB, {available:.0f} MB are free"
    return max(1, int(available / needed)), there
