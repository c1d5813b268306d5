"""export: a method's published images as PNG in training order, and a manifest of what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bench.core.errors import BadInput
from bench.core.files import check_free, check_own, check_writable, replacing
from bench.core.pixels import digest
from bench.core.types import Dataset
from bench.data.poisons import manifest
from bench.data.poisons.photos import image_of
from bench.experiment import cache
from bench.experiment.cell import craft
from bench.experiment.context import RunContext
from bench.experiment.registry import Plugin
from bench.runner.fitting import fitted
from bench.runner.progress import Progress
from bench.runner.request import Resolved, RunRequest, resolve
from bench.runner.session import check_nets, open_context, open_device, read, say

ROUNDING = (
    "delta to the nearest grey level (half to even), never beyond the budget; the sum is clipped to 0..255"
)


def run(request: RunRequest, out: Path, poison_rep: int) -> int:
    if poison_rep < 0:
        raise BadInput(f"--poison-rep is {poison_rep}, expected 0 or more")
    console, (resolved, device) = Console(), one_method(request)
    if poison_rep and not resolved.methods[0].value.seeded:
        raise BadInput(
            f"{resolved.methods[0].name} draws nothing, so that all its poisons are one: "
            f"--poison-rep is {poison_rep}, expected 0"
        )
    check_free(out)
    images = read(resolved)
    for note in images.notes:
        say(console, note)
    resolved = fitted(resolved, images, lambda line: say(console, line))
    context, method, poison = crafted(resolved, device, images, console, poison_rep)
    published, count = poison.images, len(poison.images)
    said = described(context, method, poison) | {
        "kind": manifest.KIND,
        "shape": list(published.shape[1:]),
        "pool": context.data.pool or count,
        "rows": list(range(count)) if context.data.rows is None else context.data.rows.tolist(),
        "labels": context.data.train.labels.tolist(),
        "images": [digest(image) for image in published],
    }
    with replacing(out) as folder, Progress(console).alone(f"writing {count} images") as tick:
        folder.mkdir()
        for index, image in enumerate(published):
            image_of(image.permute(1, 2, 0).numpy()).save(folder / f"{index}.png")
            tick((index + 1) / count, "PNG")
        manifest.write(folder, said)
    say(console, f"{out}: {count} images of {method.name} in training order, and {manifest.NAME}")
    return 0


def one_method(request: RunRequest) -> tuple[Resolved, torch.device]:
    """Check a request for one method, before anything is read; BadInput where there are several."""
    resolved = resolve(request)
    if len(resolved.methods) != 1:
        raise BadInput(f"{request.methods} names {len(resolved.methods)} methods, expected one")
    device = open_device(request.machine)
    check_writable(request.where.cache)
    check_own(request.where.cache)
    return resolved, device


def crafted(
    resolved: Resolved, device: torch.device, data: Dataset, console: Console, poison_rep: int = 0
) -> tuple[RunContext, Plugin, cache.Poison]:
    """Give the poison, and with what it was made."""
    resolved.check_images(len(data.train))
    check_nets(resolved, data)
    resolved = resolved.on(data, lambda line: say(console, line))
    context, (method,) = open_context(resolved, data, device), resolved.methods
    with Progress(console).alone(f"crafting {method.name} for {len(data.train)} images") as tick:
        return context, method, craft(context, method, poison_rep, tick)


def described(context: RunContext, method: Plugin, poison: cache.Poison) -> dict[str, Any]:
    """Say what is known of every poison that leaves the suite, whatever becomes of its images."""
    made = poison.manifest
    return {
        "suite": manifest.SUITE,
        "schema": manifest.SCHEMA,
        "method": method.inputs,
        "eps": method.value.eps,
        "norm": made["norm"],
        "threat": str(method.value.threat),
        "l2": threat.radius if (threat := method.value.threat).norm == "l2" else None,
        "form": made["form"],
        "rounding": ROUNDING,
        "data": made["inputs"]["data"],
        "classes": list(context.data.classes),
        "measured": made["distances"],
        "published": made["published"],
        "crafting": {name: value for name, value in made["inputs"].items() if name not in ("data", "method")},
        "facts": made["facts"],
        "seeds": {"base": context.setting.seed, "craft": made["seed"]},
        "seconds": made["seconds"],
        "environment": made["environment"],
    }
