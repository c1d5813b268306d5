"""A sheet of images before and after: what an owner looks at before publishing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bench.data.poisons.photos import Photo

SIDE, GAP, MARGIN = 200, 8, 120  # pixels
ROWS = ("before", "change x{0}", "after")


def save(pairs: Sequence[tuple[Photo, Photo]], path: Path) -> None:
    """Save three rows, an image a column; the change is amplified until its largest fills the range."""
    changes = [_change(before, after) for before, after in pairs]
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


def _change(before: Photo, after: Photo) -> NDArray[np.int64]:
    change: NDArray[np.int64] = np.asarray(after.shown()).astype(np.int64) - np.asarray(before.shown())
    return change


def _fitted(image: Image.Image) -> Image.Image:
    """Within a square of SIDE; small images grow by whole factors, so that their pixels are seen."""
    if max(image.size) <= SIDE:
        return image.resize([n * (SIDE // max(image.size)) for n in image.size], Image.Resampling.NEAREST)
    image.thumbnail((SIDE, SIDE))
    return image
