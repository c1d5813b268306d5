"""protect: a data owner's labelled images, perturbed at a net's size and published at their own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.files import check_free, replacing
from bench.core.pixels import GRID, levels
from bench.core.pixels import digest as image_digest
from bench.core.types import Augmentation, Dataset, Split
from bench.data.folder import SMALLEST
from bench.data.images import is_gray
from bench.data.poisons import manifest
from bench.data.poisons.photos import RULES, Album, Photo, album, opened, save_sheet
from bench.data.prepare import check_labels, digest, hold_out
from bench.data.rules import plain
from bench.experiment.registry import Plugin, catalog
from bench.results.samples import choose
from bench.runner.export import crafted, described, one_method
from bench.runner.leaks import leak
from bench.runner.progress import Progress
from bench.runner.request import RunRequest
from bench.runner.session import say

SHEET = "before-after.png"
SHOWN = 6  # images on the sheet


def run(request: RunRequest, photos: Path, out: Path, size: int) -> int:
    console, (resolved, device) = Console(), one_method(request)
    _check(resolved.methods[0], photos, out, size)
    images = album(photos)
    data = dataset(images, size, console)
    context, method, poison = crafted(resolved, device, data, console)
    steps = poison.images.int() - data.train.images
    defenses = [*catalog("defenses", request.where.plugins).variants.values()]
    leaked = leak(context, Split(poison.images.to(device), context.data.train.labels), defenses)
    with replacing(out) as folder:
        kept = publish(images, steps.float(), folder, console)
        totals = Kept.over(kept, levels(method.value.eps))
        said = described(context, method, poison)
        said |= {"kind": "protected folder", "rules": rules(size), "survives": totals}
        said |= {"leak": leaked and asdict(leaked), "images": [one.said for one in kept]}
        manifest.write(folder, said)
        chosen = choose(images.labels.numpy(), SHOWN)
        pairs = [(opened(images.files[i]), opened(folder / images.published(i))) for i in chosen]
        save_sheet(pairs, folder / SHEET)
    for line in (*rules(size).values(), f"{method.name}, profile {request.profile}: {survival(totals)}"):
        say(console, line)
    if leaked:
        say(console, str(leaked))
    say(console, f"{out}: {len(images.files)} images, {manifest.NAME} and {SHEET}")
    return 0


def _check(method: Plugin, photos: Path, out: Path, size: int) -> None:
    check_free(out)
    if size < SMALLEST:
        raise BadInput(f"--size is {size} pixels, expected at least {SMALLEST}")
    if out.resolve().is_relative_to(photos.resolve()):
        raise BadInput(f"--out {out} lies in {photos}, expected a folder outside of it")
    if not method.value.threat.radius > 0:
        raise BadInput(f"{method.name} changes no image, expected a method that protects")


def rules(size: int) -> dict[str, str]:
    return {what: rule.format(size) for what, rule in RULES.items()}


def dataset(images: Album, size: int, console: Console) -> Dataset:
    """Read all images at the net's size, to train surrogates on; the validation images are some of them."""
    check_labels(str(images.folder), images.labels, images.classes)
    n, colours = len(images.files), 1
    pixels = torch.empty((n, 3, size, size), dtype=torch.uint8)
    with Progress(console).alone(f"reading {n} images") as tick:
        for index, file in enumerate(images.files):
            photo = opened(file)
            colours = colours if is_gray(photo.colour) else 3
            pixels[index] = photo.at(size, 3)
            tick((index + 1) / n, "resizing")
    train = Split(pixels[:, :colours].contiguous(), images.labels)
    val = train.take(hold_out(train.labels, len(images.classes)))
    augmentation = Augmentation(pad=size // 8)
    return Dataset(
        name=plain(images.folder.resolve().name) or "images",
        digest=digest((train, val), images.classes, augmentation),
        train=train,
        val=val,
        test=val,
        classes=images.classes,
        augmentation=augmentation,
        resize=RULES["size"].format(size),
    )


@dataclass(frozen=True)
class Kept:
    """What became of the perturbation of one image: made at the net's size, seen there again."""

    file: str
    size: tuple[int, int]  # height and width
    sha256: str  # of the published colours
    linf: int  # grey levels, at full size
    back: int  # grey levels, at the net's size again
    cosine: float | None  # between delta as made and as seen again; None where one of them is 0
    energy: float | None  # squared norm seen again, as a share of that made

    @property
    def said(self) -> dict[str, Any]:
        one = {"file": self.file, "width": self.size[1], "height": self.size[0], "sha256": self.sha256}
        return one | {"linf": self.linf / GRID, "cosine": self.cosine, "energy": self.energy}

    @staticmethod
    def of(file: Path, before: Photo, after: Photo, step: Tensor) -> Kept:
        channels, side, _ = step.shape
        back = (after.at(side, channels).int() - before.at(side, channels)).double()
        made, seen, both = (float((a * b).sum()) for a, b in ((step, step), (back, back), (step, back)))
        pixels = torch.from_numpy(after.colour).permute(2, 0, 1)
        return Kept(
            file=plain(file.as_posix()),
            size=after.size,
            sha256=image_digest(pixels),
            linf=int(np.abs(after.colour.astype(int) - before.colour).max()),
            back=int(back.abs().max()),
            cosine=both / (made * seen) ** 0.5 if made and seen else None,
            energy=seen / made if made else None,
        )

    @staticmethod
    def over(kept: list[Kept], cap: int) -> dict[str, float | None]:
        """Summarise all images; the largest change at full size is what the budget is held to."""
        linf = max(one.linf for one in kept)
        assert linf <= cap
        cosines = [one.cosine for one in kept if one.cosine is not None]
        energies = [one.energy for one in kept if one.energy is not None]
        return {
            "linf": linf / GRID,
            "linf_back": max(one.back for one in kept) / GRID,
            "cosine": sum(cosines) / len(cosines) if cosines else None,
            "cosine_lowest": min(cosines, default=None),
            "energy": sum(energies) / len(energies) if energies else None,
            "energy_lowest": min(energies, default=None),
        }


def publish(images: Album, steps: Tensor, folder: Path, console: Console) -> list[Kept]:
    """Write every image under its own name; steps: whole grey levels (N,C,S,S)."""
    n, kept = len(images.files), []
    with Progress(console).alone(f"publishing {n} images") as tick:
        for index, (file, step) in enumerate(zip(images.files, steps, strict=True)):
            before = opened(file).with_channels(len(step))
            after, place = before.changed(step), images.published(index)
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            after.image.save(folder / place, "PNG", icc_profile=after.profile)
            kept.append(Kept.of(place, before, after, step))
            tick((index + 1) / n, "PNG")
    return kept


def survival(totals: dict[str, float | None]) -> str:
    """Write one line for the owner."""
    cosine, lowest, energy, least = (
        f"{totals[name] or 0:.2f}" for name in ("cosine", "cosine_lowest", "energy", "energy_lowest")
    )
    linf, back = (round(GRID * (totals[name] or 0)) for name in ("linf", "linf_back"))
    return (
        f"changes of up to {linf}/255 at full size; resized to the net's size again, a cosine of {cosine} "
        f"to the delta made there (lowest {lowest}), {energy} of its energy (lowest {least}), "
        f"up to {back}/255"
    )
