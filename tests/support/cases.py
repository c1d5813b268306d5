"""Generators of cases: damaged image files, damaged poison files, mistaken command lines.

Tests draw some of each; tests/cases.py draws thousands and writes a summary.
"""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from PIL import Image, ImageCms

from bench.core.errors import BadInput
from bench.core.pixels import release, to_float
from bench.data import images, prepare
from bench.data.poisons.imported import Foreign
from bench.experiment.registry import imported
from support.toys import noise, toy_lab, toy_split

HANG = 20  # seconds that nothing may take


class Hang(BaseException):
    """A case took longer than any may."""


@contextlib.contextmanager
def no_hang(seconds: int = HANG) -> Iterator[None]:
    """End what is inside where it takes too long."""

    def end(number: int, frame: object) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def mutated(blob: bytes, draw: np.random.Generator) -> bytes:
    """Cut off somewhere, or with one to five bytes changed, anywhere or near the beginning."""
    found, how = bytearray(blob), draw.integers(3)
    if how == 0:
        return bytes(found[: draw.integers(len(found))])
    for place in draw.integers(min(len(found), 200 if how == 1 else len(found)), size=draw.integers(1, 6)):
        found[place] = draw.integers(256)
    return bytes(found)


# images

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def pictures() -> dict[str, bytes]:
    """One image in each of eleven forms, as far as this Pillow writes them."""
    tidy, exif = Image.fromarray(np.tile(PIXELS, (3, 3, 1))), Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    kinds = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "AVIF")
    found = {kind: encoded(tidy, kind) for kind in kinds if kind in images._formats()}
    found["TIFF with LZW"] = encoded(tidy, "TIFF", compression="tiff_lzw")
    found["GIF, interlaced"] = encoded(tidy.quantize(9), "GIF", interlace=True)
    found["JPEG with EXIF and ICC"] = encoded(tidy, "JPEG", exif=exif, icc_profile=profile)
    return found


def picture_case(kind: str, blob: bytes, draw: np.random.Generator) -> str:
    """Read one damaged image: refused by name, or read; a PNG, which has check sums, only as it was."""
    damaged = mutated(blob, draw)
    try:
        with no_hang():
            found = images.read("who", io.BytesIO(damaged))
    except BadInput as error:
        assert str(error).startswith("who ") and "\n" not in str(error), error
        return "refused"
    assert found.mode in ("L", "LA", "RGB", "RGBA"), found.mode
    if kind == "PNG":
        whole = images.read("who", io.BytesIO(blob))
        assert np.array_equal(np.asarray(images.shown(found)), np.asarray(images.shown(whole)))
    return "read"


# poisons

EPS = 8 / 255
ALL, OTHERS = toy_split(80, 80), toy_split(40, 40)
POOLS = [prepare.at_hand(part.images.numpy(), part.labels.numpy()) for part in (ALL, OTHERS)]
DATA = prepare.dataset(prepare.Source("toy", *POOLS, tuple("abcd"), flip=False), 60)
STEPS = (noise(80, 3, 16, 16, seed=5) * 17).floor() - 8  # whole grey levels, -8 to 8
DELTA = STEPS / 255
HERE = release(ALL.images, DELTA, EPS)


def _npy(at: Path) -> None:
    with at.open("wb") as file:
        np.save(file, DELTA.numpy())


def _npz(at: Path) -> None:
    with at.open("wb") as file:
        np.savez(file, delta=DELTA.numpy())


def _parquet(at: Path) -> None:
    rows = [{"bytes": encoded(Image.fromarray(image)), "path": ""} for image in _pixels()]
    at.mkdir()
    pq.write_table(pa.table({"image": rows, "label": ALL.labels.tolist()}), at / "train.parquet")


def _numbered(at: Path) -> None:
    at.mkdir()
    for index, image in enumerate(_pixels()):
        (at / f"{index}.png").write_bytes(encoded(Image.fromarray(image)))


def _pixels() -> Iterator[Any]:
    return (image.permute(1, 2, 0).numpy() for image in HERE)


POISONS: dict[str, Callable[[Path], object]] = {
    "npy": _npy,
    "npz": _npz,
    "torch": lambda at: torch.save(DELTA, at),
    "torch, old": lambda at: torch.save(DELTA, at, _use_new_zipfile_serialization=False),
    "safetensors": lambda at: safetensors.torch.save_file({"delta": DELTA}, at),
    "PNG by number": _numbered,
    "parquet": _parquet,
}
CHECKED = ("npz", "torch", "PNG by number")  # with check sums: what is read is what was written


def poison_case(kind: str, place: Path, draw: np.random.Generator) -> str:
    """Use one damaged poison: refused in one line, or within its budget; place: a folder of its own."""
    at = place / "p"
    POISONS[kind](at)
    files = sorted(at.iterdir()) if at.is_dir() else [at]
    chosen = files[draw.integers(len(files))]
    chosen.write_bytes(mutated(chosen.read_bytes(), draw))
    try:
        with no_hang():
            value: Foreign = imported(str(at)).value
            method = value.audited(DATA, {})
            crafted = method.craft(DATA.train, toy_lab())
    except BadInput as error:
        assert str(error).startswith("file:p: ") and "\n" not in str(error), error
        return "refused"
    delta = crafted - to_float(DATA.train.images) if method.maps_images else crafted
    assert delta.shape == DATA.train.images.shape and delta.isfinite().all()
    seen = release(DATA.train.images, delta, method.eps)
    if kind in CHECKED:
        assert torch.equal(seen, HERE[DATA.rows]), "other numbers than were written"
    return "used"
