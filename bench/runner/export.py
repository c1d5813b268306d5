"""export: a method's published images as PNG in training order, and a manifest of what they are."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.files import check_free, replacing
from bench.data.poisons import manifest
from bench.experiment.cell import Bench
from bench.runner.crafting import crafted, one_method
from bench.runner.progress import Progress
from bench.runner.request import RunRequest
from bench.runner.session import read, say


def run(request: RunRequest, out: Path, poison_rep: int) -> int:
    if poison_rep < 0:
        raise BadInput(f"--poison-rep is {poison_rep}, expected 0 or more")
    console, (asked, device) = Console(), one_method(request)
    if poison_rep and not asked.methods[0].value.seeded:
        raise BadInput(
            f"{asked.methods[0].name} draws nothing, so that all its poisons are one: "
            f"--poison-rep is {poison_rep}, expected 0"
        )
    check_free(out)
    bench, method, poison = crafted(asked, device, read(asked), console, poison_rep)
    said = manifest.described(bench, method, poison) | _images(bench, poison.images)
    name = f"writing {len(poison.images)} images"
    with replacing(out) as folder, Progress(console).alone(name) as tick:
        folder.mkdir()
        for index, image in enumerate(poison.images):
            save_png(image, folder / f"{index}.png")
            tick((index + 1) / len(poison.images), "PNG")
        manifest.write(folder, said)
    count = len(poison.images)
    say(console, f"{out}: {count} images of {method.name} in training order, and {manifest.NAME}")
    return 0


def _images(bench: Bench, published: Tensor) -> dict[str, object]:
    """What the manifest says of each image, in training order."""
    data = bench.data
    rows = torch.arange(len(data.train)) if data.rows is None else data.rows
    return {
        "kind": manifest.KIND,
        "shape": list(published.shape[1:]),
        "pool": data.pool or len(data.train),
        "rows": rows.tolist(),
        "labels": data.train.labels.tolist(),
        "images": [manifest.pixels(image) for image in published],
    }


def save_png(image: Tensor, path: Path) -> None:
    """uint8 (C,H,W) with 1 or 3 channels."""
    array = image.permute(1, 2, 0).numpy()
    Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array).save(path)
