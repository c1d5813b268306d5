"""A data owner's images and the command that protects them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((16, 16), (40, 31), (64, 20), (9, 50), (12, 11))
SET = ("surrogate.epochs=2", "surrogate.batch=8", "steps=5", "step=0.3", "restarts=1")


def picture(size: tuple[int, int], seed: int, mode: str = "RGB") -> Image.Image:
    """A smooth picture, width x height."""
    pixels = np.random.default_rng(seed).integers(60, 190, (4, 4, 4), dtype=np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode).resize(size, Image.Resampling.BILINEAR)


def draw(folder: Path, mode: str = "RGB") -> Path:
    for k, name in enumerate("ab"):
        (folder / name).mkdir(parents=True)
        for i, size in enumerate(SIZES):
            picture(size, 10 * k + i, mode).save(folder / name / f"{i}.png")
    return folder


def protecting(folder: Path, out: Path, *more: str, size: int = 16) -> list[str]:
    sets = [part for field in SET for part in ("--set", f"tap.{field}")]
    where = ["--method", "tap", "--out", str(out), "--size", str(size), "--cache", str(out.parent / "cache")]
    return ["protect", str(folder), *where, "--profile", "quick", *sets, *more]
