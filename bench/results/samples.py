"""A few images of a method as it published them, kept beside the rows: what the gallery shows.

DIR/gallery/<method>-<digest>.png: clean images above, published ones below, pixel for pixel.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.core.files import slug, write_atomically
from bench.core.stored import decoded, read

IMAGES = 8
LARGEST = 64  # pixels; of larger images the middle
NOTE = "ue-bench"
Pixels = NDArray[np.uint8]


class Note(msgspec.Struct):
    """What is said in the file."""

    indices: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=IMAGES)]
    size: Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Sample:
    """Training images before and after, uint8 (N,H,W,C), and which they are."""

    clean: Pixels
    published: Pixels
    indices: list[int]  # in the training split
    size: int  # pixels of a whole image


def choose(labels: NDArray[np.int64], n: int = IMAGES) -> list[int]:
    """Take the first image of each class, then the second of each, until there are n."""
    seen: dict[int, int] = {}
    turns = []
    for index, label in enumerate(labels.tolist()):
        seen[label] = seen.get(label, 0) + 1
        turns.append((seen[label], label, index))
    return [index for _, _, index in sorted(turns)[:n]]


def path_of(folder: Path, method: str, digest: str) -> Path:
    """Of the sample of the published images with this sha256."""
    return folder / f"{slug(method)}-{digest[:8]}.png"


def take(clean: Pixels, published: Pixels, indices: list[int]) -> Sample:
    """From the chosen training images (N,C,H,W), before and after."""
    return Sample(_middle(clean), _middle(published), indices, clean.shape[-1])


def _middle(images: Pixels) -> Pixels:
    """(N,C,H,W) -> (N,H',W',C), at most LARGEST pixels a side."""
    high, wide = images.shape[2:]
    top, left = (max(0, (side - LARGEST) // 2) for side in (high, wide))
    return images[:, :, top : top + LARGEST, left : left + LARGEST].transpose(0, 2, 3, 1)


def save(sample: Sample, path: Path) -> None:
    """Lossless, the same bytes for the same sample."""
    both = np.concatenate([np.concatenate(list(part), axis=1) for part in (sample.clean, sample.published)])
    note = PngInfo()
    note.add_text(NOTE, json.dumps({"indices": sample.indices, "size": sample.size}))
    buffer = io.BytesIO()
    Image.fromarray(both[:, :, 0] if both.shape[2] == 1 else both).save(buffer, "PNG", pnginfo=note)
    write_atomically(path, buffer.getvalue())


def find(folder: Path, digest: str) -> Sample | None:
    """Find the sample of the published images with this sha256, whatever its method is called by now."""
    found = (load(path) for path in sorted(folder.glob(f"*-{digest[:8]}.png")))
    return next((sample for sample in found if sample is not None), None)


def load(path: Path) -> Sample | None:
    """Load the sample in a file; None where there is none, or something else."""
    try:
        with Image.open(io.BytesIO(read(path)), formats=("PNG",)) as image:
            if max(image.size) > IMAGES * LARGEST:  # before it is decoded
                return None
            note = decoded(image.text[NOTE].encode(), Note, path.name)  # type: ignore[attr-defined]
            pixels = np.array(image)
        indices, size = note.indices, note.size
        rows = pixels.reshape(
            2, pixels.shape[0] // 2, len(indices), -1, pixels.shape[2] if pixels.ndim == 3 else 1
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    clean, published = rows.transpose(0, 2, 1, 3, 4)
    return Sample(clean, published, indices, size)
