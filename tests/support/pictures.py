"""Pictures on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

QUADRANTS = "abcd"  # classes of draw_images()


def draw_images(folder: Path, mode: str = "RGB", train: int = 18, test: int = 6, classes: int = 4) -> None:
    """A folder of 16x16 pictures; class k has a bright quadrant k."""
    draws = np.random.default_rng(0)
    for part, n in (("train", train), ("test", test)):
        for k, name in enumerate(QUADRANTS[:classes]):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(n):
                pixels = draws.integers(40, 120, (16, 16, 3), dtype=np.uint8)
                row, column = 8 * (k // 2), 8 * (k % 2)
                pixels[row : row + 8, column : column + 8] += 100
                Image.fromarray(pixels).convert(mode).save(place / f"{i}.png")
