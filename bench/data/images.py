"""Image files as pixels: the one place that decodes, for folder:, parquet:, file: and protect."""

from __future__ import annotations

import functools
import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from bench.core import stored
from bench.core.errors import BadInput
from bench.core.stored import MIB
from bench.data.prepare import Pool
from bench.data.rules import PIXELS, plain

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "AVIF", "PPM")  # EPS would run a program
ORIENTATION = 0x0112  # EXIF's tag, and what undoes its values
TURN = Image.Transpose
TURNS = {2: TURN.FLIP_LEFT_RIGHT, 3: TURN.ROTATE_180, 4: TURN.FLIP_TOP_BOTTOM, 5: TURN.TRANSPOSE}
TURNS |= {6: TURN.ROTATE_270, 7: TURN.TRANSVERSE, 8: TURN.ROTATE_90}
DEEP = re.compile(r"(?<!BGR);(10|12|14|16|24|32|64)")  # in Pillow's raw modes; BGR;16 has 5 or 6 bits
SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT = (b"acTL", b"eXIf", b"iCCP", b"tRNS")  # ancillary chunks of PNG that say how an image looks
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error)
GRAYS = ("1", "L", "LA")
LARGEST = 1024 * MIB  # bytes of a file
FREE = 2**20  # pixels that any file may declare
DENSE = 10_000  # further ones for each byte, as a blank page has


def read(who: object, file: Path | IO[bytes]) -> Image.Image:
    """Decode an image, upright: L, LA, RGB or RGBA; BadInput, which names it, for what rules.RULES refuse."""
    with _opened(who, file) as image:
        if why := _refused(image):
            raise BadInput(f"{plain(str(who))} {why}")
        image.load()
        clear = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
        mode = ("L" if image.mode in GRAYS else "RGB") + ("A" if clear else "")
        found = image if image.mode == mode else image.convert(mode)
        turn = TURNS.get(_orientation(image))
        return found if turn is None else found.transpose(turn)


@contextmanager
def _opened(who: object, file: Path | IO[bytes]) -> Iterator[Image.Image]:
    """Give an image whose header is read; whatever a decoder raises is BadInput."""
    try:
        data = stored.read(file, LARGEST) if isinstance(file, Path) else file.read()
        stream = io.BytesIO(_bare(data) if data.startswith(SIGNATURE) else data)
        with warnings.catch_warnings(action="ignore"), Image.open(stream, formats=_formats()) as image:
            if math.prod(image.size) > FREE + DENSE * len(data):  # far larger than its bytes can tell
                raise ValueError(f"{image.width}x{image.height} pixels in {len(data)} bytes")
            yield image
    except BadInput:
        raise
    except Exception as error:
        what = f"{plain(str(who))} cannot be read ({_said(error)})"
        raise BadInput(f"{what}, expected a whole image file") from error


@functools.cache
def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _bare(data: bytes) -> bytes:
    """Leave out of a PNG what its pixels do not need; ValueError where a check sum of the rest is wrong."""
    parts, place = [SIGNATURE], len(SIGNATURE)
    while place + 12 <= len(data):
        name, end = data[place + 4 : place + 8], place + 12 + int.from_bytes(data[place : place + 4])
        body, told = data[place + 4 : end - 4], data[end - 4 : end]
        check = zlib.crc32(body).to_bytes(4)
        if name[:1].isupper() and told != check:
            raise ValueError(f"the part {name!r} is damaged" if end <= len(data) else "it is cut off")
        if name[:1].isupper() or name in KEPT:
            parts += [data[place : place + 4], body, check]
        place = end
    return b"".join(parts)


def _refused(image: Image.Image) -> str | None:
    """Say why rules.RULES refuse an image whose header is read."""
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return "is animated or has several pages, expected one image; save the one that is meant"
    if image.mode.startswith(("I", "F")) or _deep(image):
        return "has more than 8 bits a channel, expected 8; save it with 8 bits, in the way that is meant"
    return None


def _deep(image: Image.Image) -> bool:
    """Whether Pillow is about to cut channels of more than 8 bits to 8."""
    tiles = [tile[3] for tile in getattr(image, "tile", ())]
    if image.format == "PPM":
        return any(isinstance(part, int) and part > 255 for tile in tiles for part in tile)
    return any(DEEP.search(str(tile)) for tile in tiles)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except DAMAGED:  # metadata that says nothing
        return 1


def _said(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {PIXELS:,} pixels; make it smaller"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]


def size_of(file: Path) -> tuple[int, int]:
    """Read width and height, upright, of an image that read() can read."""
    with _opened(file, file) as image:
        return image.size[::-1] if _orientation(image) >= 5 else image.size


def shown(image: Image.Image) -> Image.Image:
    """Compose an image over white: L or RGB."""
    if image.mode in ("L", "RGB"):
        return image
    colours = image.convert(image.mode[:-1])
    return Image.composite(colours, Image.new(colours.mode, image.size, "white"), image.getchannel("A"))


def is_gray(pixels: NDArray[np.uint8]) -> bool:
    """Whether all pixels (H,W), (H,W,1) or (H,W,3) are gray."""
    return pixels.ndim == 2 or bool((pixels == pixels[:, :, :1]).all())


def all_gray(files: Iterable[tuple[str, Path | IO[bytes]]]) -> bool:
    """Whether no image has a colour; decodes up to the first that has, and none whose format says so."""
    return all(_one_gray(who, file) for who, file in files)


def _one_gray(who: str, file: Path | IO[bytes]) -> bool:
    with _opened(who, file) as image:
        if image.mode in GRAYS:
            return True
    if not isinstance(file, Path):
        file.seek(0)
    return is_gray(np.asarray(shown(read(who, file))))


def square(image: Image.Image, size: int) -> Image.Image:
    """Resize by rules.RULE; Pillow's resize widens its filter when it shrinks, which is the antialiasing."""
    short = min(image.size)
    w, h = (round(side * size / short) for side in image.size)
    if w * h > PIXELS:
        raise BadInput(
            f"is {image.width}x{image.height} pixels, too long to be brought to {size}; crop it first"
        )
    image = image.resize((w, h), Image.Resampling.BILINEAR)
    left, top = (w - size) // 2, (h - size) // 2
    return image.crop((left, top, left + size, top + size))


def stack(
    n: int,
    files: Iterable[tuple[str, Path | IO[bytes]]],
    fit: Callable[[Image.Image], Image.Image] | None = None,
    mend: str = "",
) -> Tensor:
    """Decode n images, each with a name for errors -> uint8 (n,C,H,W), one channel where all are gray.

    fit: brings a decoded image to the common size. mend: what a user can do about unequal sizes.
    """
    images: NDArray[np.uint8] = np.empty((n, 3, 0, 0), np.uint8)
    first, gray = "", True
    for row, (who, pixels) in enumerate(_decoded(files, fit)):
        if row == 0:
            _check_room(n, pixels.shape[:2], mend)
            first, images = who, np.empty((n, 3, *pixels.shape[:2]), np.uint8)
        elif pixels.shape[:2] != images.shape[2:]:
            raise BadInput(
                f"{who} is {pixels.shape[1]}x{pixels.shape[0]} pixels, "
                f"expected {images.shape[3]}x{images.shape[2]} as in {first}{mend}"
            )
        gray = gray and is_gray(pixels)
        images[row] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(images[:, :1].copy() if gray else images)


def pool(
    labels: Tensor,
    files: Callable[[Tensor], Iterable[tuple[str, Path | IO[bytes]]]],
    size: int | None = None,
    scheme: str = "",
) -> Pool:
    """Make a pool of encoded images, which files gives by rows; size: the side that all are brought to."""
    fit = functools.partial(square, size=size) if size else None
    mend = f"; {scheme}:DIR@S brings all to S x S" if scheme else ""
    read = lambda rows: stack(len(rows), files(rows), fit, mend)  # noqa: E731
    return Pool(labels, read, lambda: all_gray(files(torch.arange(len(labels)))))


def _check_room(n: int, size: tuple[int, ...], mend: str) -> None:
    """Raise BadInput where there is no memory for so many images of (H,W), before any is taken."""
    needed, free = 3 * n * math.prod(size), psutil.virtual_memory().available
    if needed > free:
        shown = f"{n} images of {size[1]}x{size[0]} pixels are {needed / MIB:,.0f} MiB"
        raise BadInput(f"{shown}, of which {free / MIB:,.0f} are free; expected fewer or smaller ones{mend}")


def _decoded(
    files: Iterable[tuple[str, Path | IO[bytes]]], fit: Callable[[Image.Image], Image.Image] | None
) -> Iterator[tuple[str, NDArray[Any]]]:
    for named, file in files:
        who, image = plain(named), shown(read(named, file))
        try:
            yield who, np.asarray(fit(image) if fit else image)
        except BadInput as error:
            raise BadInput(f"{who} {error}") from None
