"""One poison of one method, for the verbs that let poisons out: from the cache, or crafted with progress."""

from __future__ import annotations

import torch
from rich.console import Console

from bench.core.errors import BadInput
from bench.core.files import check_writable
from bench.core.types import Dataset
from bench.experiment import cache
from bench.experiment.cell import Bench, craft
from bench.experiment.registry import Plugin
from bench.runner.progress import Progress
from bench.runner.request import Resolved, RunRequest, resolve
from bench.runner.session import open_bench, open_device, say


def one_method(request: RunRequest) -> tuple[Resolved, torch.device]:
    """Check a request for one method, before anything is read; BadInput where there are several."""
    asked = resolve(request)
    if len(asked.methods) != 1:
        raise BadInput(f"{request.methods} names {len(asked.methods)} methods, expected one")
    device = open_device(request.machine)
    check_writable(request.where.cache)
    return asked, device


def crafted(
    asked: Resolved, device: torch.device, data: Dataset, console: Console, poison_rep: int = 0
) -> tuple[Bench, Plugin, cache.Poison]:
    """Give the poison, and with what it was made."""
    asked.check_images(len(data.train))
    asked = asked.on(data, lambda line: say(console, line))
    bench, (method,) = open_bench(asked, data, device), asked.methods
    with Progress(console).alone(f"crafting {method.name} for {len(data.train)} images") as tick:
        return bench, method, craft(bench, method, poison_rep, tick)
