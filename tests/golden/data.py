"""A small run of data sets: drawing, choosing, holding out, digests, and every format on a made-up folder."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from bench.data import load
from bench.data import torchvision_sets as downloads
from bench.data.folder import source as folder_source
from bench.data.glyphs import glyph_source, render
from bench.data.parquet import source as parquet_source
from bench.data.prepare import Source, at_hand, choose, dataset, hold_out
from golden.inputs import CLASSES, LABELS, hashed, split
from golden.numbers import Numbers

DRAWN = 24  # glyphs
FEW = 40  # glyphs of a data set


def data() -> Numbers:
    """Of all readers."""
    numbers = Numbers()
    _choices(numbers)
    with tempfile.TemporaryDirectory() as place:
        _files(numbers, Path(place))
        _parquet(numbers, Path(place))
        _downloads(numbers, Path(place))
    return numbers


def glyphs() -> Numbers:
    """Of the images that the suite draws."""
    numbers = Numbers()
    images, labels = render(DRAWN, 1)
    numbers.same("labels of glyphs", torch.from_numpy(labels))
    numbers.tensor("glyphs", torch.from_numpy(images).float(), 0.05, "grey levels")  # edges are FreeType's
    with tempfile.TemporaryDirectory() as cache, patch.dict(glyph_source.__globals__, GLYPHS=FEW):
        made = load("glyphs", root=None, limit=None, cache=Path(cache))
    shape = f"{made.augmentation}, classes {','.join(made.classes)}, synthetic {made.synthetic}"
    numbers.add("the data set glyphs", f"{made.name}, {len(made.train)} + {len(made.val)}, {shape}")
    for name, part in (("training", made.train), ("test", made.test)):
        numbers.tensor(f"{name} glyphs", part.images.float(), 0.05, "grey levels")
    return numbers


def _choices(numbers: Numbers) -> None:
    labels = LABELS.repeat(50)[hashed(300, 3).argsort()]
    for limit in (None, 40, 41):
        rows = choose("golden", labels, CLASSES, limit)
        counts = labels[rows].bincount(minlength=3).tolist()
        numbers.add(f"chosen of each class, limit {limit}", " ".join(map(str, counts)))
        numbers.same(f"chosen rows, limit {limit}", rows)
    held = hold_out(labels, 3)
    numbers.add("held out of each class", " ".join(map(str, labels[held].bincount(minlength=3).tolist())))
    numbers.same("held-out rows", held.nonzero())
    train, test = (split(n, n) for n in (90, 12))
    pools = [at_hand(part.images.numpy(), part.labels.numpy()) for part in (train, test)]
    for flip, pad, limit in ((True, None, None), (False, 3, 40)):
        made = dataset(Source("golden", *pools, CLASSES, flip=flip, pad=pad), limit)
        numbers.add(f"digest of a data set, limit {limit}", made.digest[:16])
        assert made.rows is not None
        numbers.same(f"its rows, limit {limit}", made.rows)
        numbers.add(f"its augmentation, limit {limit}", str(made.augmentation))


def _shown(numbers: Numbers, name: str, source: Source, tolerance: float = 0.0) -> None:
    """What a source says and reads. tolerance: grey levels, where decoding or shrinking may round."""
    said = (source.name, source.classes, source.flip, source.pad, source.synthetic, source.resize)
    numbers.add(f"{name}, source", str(said))
    for part, pool in (("train", source.train), ("test", source.test)):
        rows = torch.arange(0, len(pool.labels), 2)
        numbers.same(f"{name}, {part} labels", pool.labels)
        images: Tensor = pool.read(rows)
        numbers.add(f"{name}, {part} shape", str(tuple(images.shape)))
        if tolerance:
            numbers.tensor(f"{name}, {part} images", images.float(), tolerance, "grey levels")
        else:
            numbers.same(f"{name}, {part} images", images)


def _draw(folder: Path, mode: str, ending: str, size: tuple[int, int]) -> None:
    """Pictures of two classes; the names are not in the order of their writing."""
    for part, count in (("train", 5), ("test", 3)):
        for salt, name in enumerate(("zebra", "ant")):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(count):
                width, height = (side + 3 * i * (size[0] != size[1]) for side in size)
                pixels = hashed(3 * width * height, 10 * salt + i).view(height, width, 3) % 256
                picture = Image.fromarray(pixels.to(torch.uint8).numpy()).convert(mode)
                picture.save(place / f"{(7 * i + 4) % 10}{ending}")


def _files(numbers: Numbers, place: Path) -> None:
    for name, mode, ending, size, asked, tolerance in (
        ("colour", "RGB", ".png", (12, 12), "", 0.0),
        ("gray", "L", ".png", (12, 12), "", 0.0),
        ("palette", "P", ".png", (12, 12), "", 0.0),
        ("lossy", "RGB", ".jpg", (16, 16), "", 0.1),
        ("unequal", "RGB", ".png", (14, 21), "@8", 0.1),
    ):
        _draw(place / name, mode, ending, size)
        _shown(numbers, f"folder of {name} files", folder_source(f"{place / name}{asked}"), tolerance)


def _parquet(numbers: Numbers, place: Path) -> None:
    """Two shards of training images, one file of test images."""
    folder = place / "hub"
    folder.mkdir()
    for salt, name in enumerate(("train-00000", "train-00001", "test")):
        rows = []
        for i in range(5):
            file = io.BytesIO()
            pixels = hashed(3 * 100, 20 * salt + i).view(10, 10, 3) % 256
            Image.fromarray(pixels.to(torch.uint8).numpy()).save(file, "PNG")
            rows.append({"img": {"bytes": file.getvalue(), "path": None}, "label": (i + salt) % 3})
        meta = {"classes": '["a", "b", "c"]', "flip": "false"}
        pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(meta), folder / f"{name}.parquet")
    _shown(numbers, "parquet files", parquet_source(folder))


def _downloads(numbers: Numbers, place: Path) -> None:
    """As torchvision hands them over."""
    for name in ("cifar10", "cifar100", "svhn"):
        images = (hashed(6 * 3 * 64, 30) % 256).to(torch.uint8).numpy()
        shape = (6, 3, 8, 8) if name == "svhn" else (6, 8, 8, 3)
        labels = np.array([0, 2, 1, 1, 0, 2])
        part = SimpleNamespace(
            data=images.reshape(shape), targets=list(labels), labels=labels, classes=list(CLASSES)
        )
        with patch.object(downloads, "raw", lambda *asked, part=part: part):
            _shown(numbers, name, downloads.source(name, place))
