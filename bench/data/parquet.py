"""A folder of parquet files, as data set hubs lay them out.

train.parquet and test.parquet, or shards train-*.parquet and test-*.parquet. Columns: img or
image, a struct with the field bytes, an encoded image; label, a whole number. Schema metadata, all optional:
classes, names separated by commas or as a JSON list; flip, true or false.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from bench.core.errors import BadInput
from bench.data.images import all_gray, stack
from bench.data.prepare import Pool, Source

IMAGES = ("img", "image")  # what hubs call their column
UNREADABLE = (OSError, pa.ArrowException)
BATCH = 4096  # rows whose bytes are in memory at once


def source(place: Path) -> Source:
    train, test = shards(place, "train"), shards(place, "test")
    meta, test_meta = metadata(train[0]), metadata(test[0])
    pools = pool(train), pool(test)
    classes, test_classes = declared(meta), declared(test_meta)
    if classes and test_classes and classes != test_classes:
        raise BadInput(
            f"{place}: train has the classes {shown(classes)}, test {shown(test_classes)}, expected the same"
        )
    numbers = torch.cat([pool.labels for pool in pools]).unique().tolist()
    classes = classes or test_classes or tuple(map(str, numbers))
    flip = meta.get("flip", "true").lower()
    if flip not in ("true", "false"):
        raise BadInput(f"{train[0]}: the metadata says flip = {flip!r}, expected true or false")
    return Source(place.resolve().name or "parquet", *pools, classes, flip=flip == "true")


def shown(classes: tuple[str, ...]) -> str:
    return ",".join(classes[:10]) + (",..." if len(classes) > 10 else "")


def shards(place: Path, part: str) -> list[Path]:
    whole = place / f"{part}.parquet"
    found = [whole] if whole.is_file() else sorted(place.glob(f"{part}-*.parquet"))
    if not found:
        raise BadInput(f"{place}: no {part}.parquet and no {part}-*.parquet, expected one or the other")
    return found


def metadata(file: Path) -> dict[str, str]:
    try:
        found = pq.read_schema(file).metadata or {}
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}


def declared(meta: dict[str, str]) -> tuple[str, ...]:
    """Read class names from the key classes, or from what the hub writes; empty where there are none."""
    try:
        if "classes" in meta:
            text = meta["classes"].strip()
            named = json.loads(text) if text.startswith("[") else text.split(",")
            return tuple(str(name).strip() for name in named)
        return tuple(json.loads(meta["huggingface"])["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, json.JSONDecodeError):
        return ()


def pool(files: list[Path]) -> Pool:
    labels = torch.cat([labels_of(file) for file in files])
    rows = torch.arange(len(labels))
    return Pool(
        labels, lambda rows: stack(len(rows), encoded(files, rows)), lambda: all_gray(encoded(files, rows))
    )


def labels_of(file: Path) -> Tensor:
    try:
        schema = pq.read_schema(file)
        check_columns(file, schema)
        column = pq.read_table(file, columns=["label"]).column("label")
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    if column.null_count:
        raise BadInput(f"{file}: {column.null_count} rows have no label, expected one in every row")
    return torch.tensor(column.to_numpy(), dtype=torch.int64)


def check_columns(file: Path, schema: pa.Schema) -> str:
    """Return the name of the column of images; BadInput where there is none, or no labels."""
    types = dict(zip(schema.names, schema.types, strict=True))
    name = next((name for name in IMAGES if name in types), IMAGES[0])
    img, label = types.get(name), types.get("label")
    encoded = img is not None and pa.types.is_struct(img) and img.get_field_index("bytes") >= 0
    if not (encoded and label is not None and pa.types.is_integer(label)):
        seen = ", ".join(f"{name} {kind}" for name, kind in types.items())
        raise BadInput(f"{file} has the columns {seen}; expected img struct<bytes, path> and label int")
    return name


def encoded(files: list[Path], rows: Tensor) -> Iterator[tuple[str, io.BytesIO]]:
    """Read the encoded images of ascending rows, counted through all the files."""
    start = 0
    for file in files:
        for values in encodings(file):
            here = rows[(rows >= start) & (rows < start + len(values))]
            column = values.take(pa.array((here - start).numpy()))
            for row, value in zip(here.tolist(), column.to_pylist(), strict=True):
                who = f"{file.name}, image {row}"
                if value is None:
                    raise BadInput(f"{who} is missing, expected bytes in every row")
                yield who, io.BytesIO(value)
            start += len(values)


def encodings(file: Path) -> Iterator[pa.Array]:
    """Read the bytes of all images, in batches."""
    try:
        name = check_columns(file, pq.read_schema(file))
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=[f"{name}.bytes"]):
            yield batch.column(name).field("bytes")
    except UNREADABLE as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: BaseException) -> BadInput:
    return BadInput(f"{file} cannot be read ({str(error).splitlines()[0]}), expected a whole parquet file")
