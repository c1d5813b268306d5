"""A folder of image files: DIR/train/<class>/* and DIR/test/<class>/*.

folder:DIR@S brings images of any size to S x S pixels by the rule in RULE.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from bench.core.errors import BadInput
from bench.data.prepare import Pool, Source, stack

KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
RULE = "shorter side to {0} with antialiased bilinear, then centre crop {0}x{0}"
SMALLEST = 8  # pixels


def source(place: str) -> Source:
    """List the images. place: the folder, with @S behind it or not."""
    parts = re.fullmatch(r"(.+)@(\d+)", place)
    size = int(parts[2]) if parts else None
    folder = Path(parts[1] if parts else place).expanduser()
    if size is not None and size < SMALLEST:
        raise BadInput(f"folder:{place} asks for {size} pixels, expected at least {SMALLEST}")
    train, test = classes(folder, "train"), classes(folder, "test")
    if train != test:
        odd = sorted(set(train) ^ set(test))[0]
        where = "train" if odd in train else "test"
        raise BadInput(f"{folder}: class {odd!r} is in {where} only, expected it in train and test")
    name = (folder.resolve().name or "folder") + (f"@{size}" if size else "")
    pools = pool(folder / "train", train, size), pool(folder / "test", train, size)
    files = labelled([folder / "train" / of for of in train])[0]
    named = tuple(f"{file.parent.name}/{file.name}" for file in files)
    rule = RULE.format(size) if size else "none"
    return Source(name, *pools, tuple(train), resize=rule, names=named)


def classes(folder: Path, part: str) -> list[str]:
    place = folder / part
    if not place.is_dir():
        raise BadInput(f"{place} is not a folder, expected {folder}/train/CLASS and {folder}/test/CLASS")
    return [entry.name for entry in class_folders(place)]


def class_folders(place: Path) -> list[Path]:
    """List the folders of classes; BadInput where there is anything else, or one class."""
    entries = visible(place)
    found = [entry for entry in entries if entry.is_dir()]
    if not found:
        raise BadInput(f"{place} has no class folders, expected one for each class, at least 2")
    if stray := [entry for entry in entries if entry not in found]:
        raise BadInput(f"{stray[0]} lies beside the class folders, expected only folders there")
    if len(found) < 2:
        raise BadInput(f"{place} has one class folder, {found[0].name!r}, expected at least 2")
    return found


def visible(place: Path) -> list[Path]:
    return sorted(
        (entry for entry in place.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name
    )


def pool(place: Path, names: list[str], size: int | None) -> Pool:
    files, labels = labelled([place / name for name in names])
    return Pool(labels, functools.partial(read, files, size))


def labelled(folders: list[Path]) -> tuple[list[Path], Tensor]:
    """List the image files class by class, with their labels, int64 (N,)."""
    files = [pictures(folder) for folder in folders]
    labels = torch.arange(len(folders)).repeat_interleave(torch.tensor([len(some) for some in files]))
    return [file for some in files for file in some], labels


def pictures(place: Path) -> list[Path]:
    files = visible(place)
    if not files:
        raise BadInput(f"{place} is empty, expected images in every class")
    for file in files:
        if file.suffix.lower() not in KINDS or file.is_dir():
            raise BadInput(f"{file} is not an image, expected only {', '.join(KINDS)}")
    return files


def read(files: list[Path], size: int | None, rows: Tensor) -> Tensor:
    chosen = [files[row] for row in rows.tolist()]
    fit = functools.partial(square, size=size) if size else None
    mend = "; folder:DIR@S brings all to S x S"
    return stack(len(chosen), ((str(file), file) for file in chosen), fit, mend)


def square(image: Image.Image, size: int) -> Image.Image:
    """Resize by RULE; Pillow's resize widens its filter when it shrinks, which is the antialiasing."""
    short = min(image.size)
    w, h = (round(side * size / short) for side in image.size)
    image = image.resize((w, h), Image.Resampling.BILINEAR)
    left, top = (w - size) // 2, (h - size) // 2
    return image.crop((left, top, left + size, top + size))
