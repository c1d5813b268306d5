"""A data owner's images, of any size: read, brought to a net's size, perturbed and saved at their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.pixels import GRID
from bench.data.folder import class_folders, existing, labelled, visible
from bench.data.images import read, shown
from bench.data.rules import RULES as READING
from bench.data.rules import plain

RULES = {
    "size": "delta is made for the whole image at {0}x{0} pixels: antialiased bilinear, aspect not kept",
    "applied": (
        "every pixel changes by as many grey levels as the pixel of the {0}x{0} image that it lies in "
        "(nearest), or, where a side is below {0}, by the antialiased bilinear mean of these, rounded to "
        "nearest; the sum is clipped to 0..255"
    ),
    "orientation": READING["orientation"],
    "profile": (
        "a colour profile is kept where it is one of the published colours: of RGB, or of gray where gray is "
        "published; others are dropped, as those of CMYK images, which become RGB by Pillow's formula"
    ),
    "alpha": (
        f"nets see images {READING['transparency']}; published ones keep their transparency, and delta is "
        "applied to the colours beneath it"
    ),
    "gray": READING["gray"],
    "survival": (
        "published and clean image, both brought to {0}x{0} pixels again by the same rule, differ by what a "
        "net of that size gets to see; cosine and energy compare it with delta as it was made"
    ),
    "validation": "nothing is held out: the images a method may validate on are among those published",
}
SIDE, GAP, MARGIN = 200, 8, 120  # pixels, of the sheet of images before and after
ROWS = ("before", "change x{0}", "after")
SPACES = {1: b"GRAY", 3: b"RGB "}  # channels -> the colour space that an ICC profile of them names


@dataclass(frozen=True)
class Photo:
    """An image as its owner sees it."""

    colour: NDArray[np.uint8]  # (H,W,1) or (H,W,3)
    alpha: NDArray[np.uint8] | None  # (H,W)
    profile: bytes | None  # ICC

    @property
    def size(self) -> tuple[int, int]:
        """Give height and width."""
        return self.colour.shape[0], self.colour.shape[1]

    @property
    def image(self) -> Image.Image:
        image = image_of(self.colour)
        if self.alpha is not None:
            image.putalpha(Image.fromarray(self.alpha))
        return image

    def at(self, side: int, channels: int) -> Tensor:
        """Resize what is seen: uint8 (channels,side,side)."""
        image = shown(self.image).resize((side, side), Image.Resampling.BILINEAR)
        array = np.array(image).reshape(side, side, -1)
        return torch.from_numpy(array).permute(2, 0, 1)[:channels].expand(channels, -1, -1).contiguous()

    def with_channels(self, channels: int) -> Photo:
        """Bring it to colour where another image has some, to gray where none has."""
        h, w, own = self.colour.shape
        colour = np.broadcast_to(self.colour[:, :, :channels], (h, w, channels))
        return replace(self, colour=colour, profile=self.profile if own == channels else None)

    def changed(self, steps: Tensor) -> Photo:
        """Apply steps, whole grey levels float32 (C,S,S), at its own size; see RULES."""
        whole = spread(steps, self.size).permute(1, 2, 0).numpy()
        return replace(self, colour=np.clip(self.colour + whole, 0, GRID).astype(np.uint8))

    def shown(self) -> Image.Image:
        return shown(self.image).convert("RGB")


def image_of(array: NDArray[np.uint8]) -> Image.Image:
    """Make an image of (H,W,1) or (H,W,3)."""
    return Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)


def spread(steps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize whole grey levels (C,S,S) -> (C,H,W), none of them larger.

    Nearest keeps more through a later resize than bilinear, whose means are smaller: of a pattern of
    signs at 64 pixels on images of 500, 36 % of the energy and a cosine of 0.94 against 26 % and 0.89.
    """
    if min(size) >= steps.shape[-1]:
        return F.interpolate(steps[None], size=size, mode="nearest-exact")[0]
    return F.interpolate(steps[None], size=size, mode="bilinear", antialias=True)[0].round()


def opened(path: Path) -> Photo:
    image = read(path, path)
    profile = image.info.get("icc_profile")
    array = np.array(image).reshape(image.height, image.width, -1)
    colours = 1 if array.shape[2] < 3 else 3
    alpha = np.ascontiguousarray(array[:, :, -1]) if array.shape[2] > colours else None
    ours = profile if profile and profile[16:20] == SPACES[colours] else None
    return Photo(np.ascontiguousarray(array[:, :, :colours]), alpha, ours)


@dataclass(frozen=True)
class Album:
    """A folder of labelled images."""

    folder: Path
    classes: tuple[str, ...]
    files: list[Path]  # class by class
    labels: Tensor  # int64 (N,)

    def published(self, index: int) -> Path:
        """Say where an image goes, relative to the folder."""
        return self.files[index].relative_to(self.folder).with_suffix(".png")


def album(folder: Path) -> Album:
    """List the images of DIR/CLASS/* or DIR/train/CLASS/*."""
    train = existing(folder, f"{folder}/CLASS/* or {folder}/train/CLASS/*") / "train"
    nested = train.is_dir() and any(entry.is_dir() for entry in visible(train))
    folders = class_folders(train if nested else folder)
    found = Album(folder, tuple(plain(place.name) for place in folders), *labelled(folders))
    names: dict[Path, Path] = {}
    for index, file in enumerate(found.files):
        other = names.setdefault(found.published(index), file)
        if other is not file:
            where = found.published(index)
            raise BadInput(f"{other} and {file} would both be published as {where}; rename one")
    return found


def save_sheet(pairs: Sequence[tuple[Photo, Photo]], path: Path) -> None:
    """Save images before and after as three rows, for their owner to look at before publishing.

    The change is amplified until its largest fills the range.
    """
    changes = [np.subtract(*(np.asarray(one.shown()).astype(int) for one in pair[::-1])) for pair in pairs]
    factor = 127 // max(1, *(int(np.abs(change).max()) for change in changes))
    size = MARGIN + len(pairs) * (SIDE + GAP), len(ROWS) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for row, name in enumerate(ROWS):
        draw.text((GAP, GAP + row * (SIDE + GAP) + SIDE // 2), name.format(factor), "black", font)
    for column, ((before, after), change) in enumerate(zip(pairs, changes, strict=True)):
        amplified = Image.fromarray((128 + factor * change).clip(0, 255).astype(np.uint8))
        for row, image in enumerate((before.shown(), amplified, after.shown())):
            fitted = _fitted(image)
            left = MARGIN + column * (SIDE + GAP) + (SIDE - fitted.width) // 2
            sheet.paste(fitted, (left, GAP + row * (SIDE + GAP) + (SIDE - fitted.height) // 2))
    sheet.save(path)


def _fitted(image: Image.Image) -> Image.Image:
    """Within a square of SIDE; small images grow by whole factors, so that their pixels are seen."""
    if max(image.size) <= SIDE:
        return image.resize([n * (SIDE // max(image.size)) for n in image.size], Image.Resampling.NEAREST)
    image.thumbnail((SIDE, SIDE))
    return image
