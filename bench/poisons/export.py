"""export: a method's published images as PNG in training order, and a manifest of what they are."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from bench import data, running
from bench.cell import Bench
from bench.core.errors import BadInput
from bench.core.files import replacing
from bench.folders import check_free
from bench.poisons import manifest
from bench.poisons.crafting import Asked
from bench.progress import Progress


def run(args: argparse.Namespace) -> int:
    if args.poison_rep < 0:
        raise BadInput(f"--poison-rep is {args.poison_rep}, expected 0 or more")
    asked, out = Asked.of(args), args.dir
    if args.poison_rep and not asked.method.value.seeded:
        raise BadInput(
            f"{asked.method.name} draws nothing, so that all its poisons are one: "
            f"--poison-rep is {args.poison_rep}, expected 0"
        )
    check_free(out)
    setting = asked.setting
    cache = running.cache_of(args)
    images = data.load(setting.data, root=args.data_root, limit=setting.limit, cache=cache)
    bench, method, poison = asked.crafted(args, images, args.poison_rep)
    said = manifest.described(bench, method, poison) | _images(bench, poison.images)
    name = f"writing {len(poison.images)} images"
    with replacing(out) as folder, Progress(asked.console).alone(name) as tick:
        folder.mkdir()
        for index, image in enumerate(poison.images):
            save_png(image, folder / f"{index}.png")
            tick((index + 1) / len(poison.images), "PNG")
        manifest.write(folder, said)
    line = f"{out}: {len(poison.images)} images of {method.name} in training order, and {manifest.NAME}"
    asked.console.print(line, markup=False, highlight=False, soft_wrap=True)
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
