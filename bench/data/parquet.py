"""A folder of parquet files, as data set hubs lay them out: DIR or DIR/data.

train.parquet and test.parquet, or shards train-00000-of-00002.parquet and so on, of one generation and
complete; --test-split validation tests on validation-*. Columns, unless --columns names them: image or img, a
struct with the field bytes, an encoded image; label, labels, fine_label or coarse_label, a whole number or a
name. Whole numbers that do not count from 0, and names, are numbered in their order. Schema metadata, all
optional: classes, names separated by commas or as a JSON list; flip, true or false. parquet:DIR@S brings
images of any size to S x S pixels; rules.py has the rules.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.stored import MIB
from bench.data import images
from bench.data.folder import sized
from bench.data.prepare import Pool, Source
from bench.data.rules import AS_RULED, RULE, Reading, plain
from bench.data.shards import shards

IMAGES = ("img", "image")  # what hubs call their columns; the first that is there
LABELS = ("label", "labels", "fine_label", "coarse_label")
UNREADABLE = (OSError, pa.ArrowException)
BATCH = 256  # rows whose bytes are in memory at once
EXPANDS = 100  # bytes that one on disk may stand for, beyond a mebibyte: images are packed already
SMALL = 64 * MIB  # bytes of a file whose repeated values stay one in memory
NAME = 256  # characters of a class
Columns = tuple[str, str]  # of images and of labels
Values = NDArray[Any]  # labels as they are stored: whole numbers or names


def source(place: str, reading: Reading = AS_RULED) -> Source:
    folder, size = sized("parquet", str(place))
    train, test = shards(folder, "train"), shards(folder, reading.test_split)
    columns = columns_of(train[0], reading.columns)
    names = agreed([*train, *test], columns)
    values = [np.concatenate([labels_of(file, columns) for file in files]) for files in (train, test)]
    labels, classes, said = numbered(str(folder), values, names)
    pools = pool(train, labels[0], columns, size), pool(test, labels[1], columns, size)
    flip = metadata(train[0]).get("flip", "true").lower()
    if flip not in ("true", "false"):
        raise BadInput(f"{train[0]}: the metadata says flip = {flip!r}, expected true or false")
    name = (plain(folder.resolve().name) or "parquet") + (f"@{size}" if size else "")
    rule = RULE.format(size) if size else "none"
    return Source(name, *pools, classes, flip=flip == "true", resize=rule, notes=said)


def whole(files: list[Path]) -> tuple[Tensor, Tensor]:
    """Read all images, uint8 (N,C,H,W), and their labels, int64 (N,), by the rules alone."""
    columns = columns_of(files[0])
    values = np.concatenate([labels_of(file, columns) for file in files])
    (labels,), _, _ = numbered(str(files[0]), [values], agreed(files, columns))
    return pool(files, labels, columns).read(torch.arange(len(labels))), labels


def pool(files: list[Path], labels: Tensor, columns: Columns, size: int | None = None) -> Pool:
    return images.pool(labels, lambda rows: encoded(files, rows, columns[0]), size, "parquet")


def columns_of(file: Path, stated: str | None = None) -> Columns:
    """Find the columns of images and labels; BadInput where there are none of the usual names."""
    there = schema(file).names
    if stated is None:
        found = [next((name for name in usual if name in there), usual[0]) for usual in (IMAGES, LABELS)]
    else:
        found = [name.strip() for name in stated.split(",")]
    if len(found) != 2:
        raise BadInput(f"--columns is {stated}, expected two names, IMAGE,LABEL")
    return found[0], found[1]


def check_columns(file: Path, columns: Columns) -> None:
    known = schema(file)
    types = dict(zip(known.names, known.types, strict=True))
    img, label = (types.get(name) for name in columns)
    image = img is not None and pa.types.is_struct(img) and img.get_field_index("bytes") >= 0
    if not (image and label is not None and (pa.types.is_integer(label) or is_name(label))):
        seen = ", ".join(f"{name} {kind}" for name, kind in types.items())
        raise BadInput(
            f"{file} has the columns {seen}; expected {columns[0]} struct<bytes, path> and {columns[1]} int "
            "or string; --columns IMAGE,LABEL names others"
        )


def is_name(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def labels_of(file: Path, columns: Columns) -> Values:
    check_columns(file, columns)
    check_declared(file, (columns[1], f"{columns[0]}.bytes"))
    named = [columns[1]] if is_name(schema(file).field(columns[1]).type) else None
    try:
        column = pq.read_table(file, columns=[columns[1]], read_dictionary=named).column(columns[1])
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    if column.null_count:
        raise BadInput(f"{file}: {column.null_count} rows have no label, expected one in every row")
    if not named:
        numbers: Values = column.to_numpy().astype(np.int64)
        return numbers
    if not pa.types.is_dictionary(column.type):  # as it was stored
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    names = whole.dictionary.to_pylist()
    if longest := next((name for name in names if len(name) > NAME), None):
        raise BadInput(f"{file}: a label has {len(longest)} characters, expected at most {NAME}")
    found: Values = np.array(names)[whole.indices.to_numpy()]
    return found


def check_declared(file: Path, columns: tuple[str, ...]) -> None:
    """Raise BadInput where a file says that it holds far more than its bytes can tell.

    Of few bytes a column can stand for gigabytes: a value a million times, or one of blanks.
    """
    try:
        said = pq.read_metadata(file)
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    held = file.stat().st_size
    parts = [said.row_group(i) for i in range(said.num_row_groups)]
    each = [group.column(j) for group in parts for j in range(group.num_columns)]
    whole = sum(one.total_uncompressed_size for one in each if one.path_in_schema in columns)
    rows = max(said.num_rows, sum(group.num_rows for group in parts))
    if rows > held or whole > MIB + EXPANDS * held:
        raise BadInput(
            f"{file} says that it holds {rows:,} rows of {whole:,} bytes, and has {held:,} bytes; expected a "
            f"row at most, and {EXPANDS} bytes, for each"
        )


def numbered(
    who: str, parts: Sequence[Values], names: tuple[str, ...]
) -> tuple[list[Tensor], tuple[str, ...], tuple[str, ...]]:
    """Give labels from 0, int64 (N,) of each part, the classes, and what was renumbered; BadInput.

    names: declared classes, which whole numbers are places in.
    """
    if any(not len(part) for part in parts):
        raise BadInput(f"{who}: there is a part without rows, expected images in each")
    kinds = {part.dtype.kind == "U" for part in parts}
    if len(kinds) > 1:
        raise BadInput(f"{who}: labels are whole numbers in one part and names in another, expected one kind")
    found = np.unique(np.concatenate(parts))
    if kinds == {False}:
        if int(found[0]) < 0:
            raise BadInput(f"{who}: a label is {found[0]}, expected 0 or more; -1 stands for a hidden label")
        if names or found[-1] == len(found) - 1:
            return [torch.from_numpy(part) for part in parts], names or tuple(map(str, found)), ()
    known = np.array(names) if names else found
    if len(strange := np.setdiff1d(found, known)):
        raise BadInput(f"{who}: a label is {str(strange[0])!r}, expected one of {shown(names)}")
    order = known.argsort()
    labels = [torch.from_numpy(order[np.searchsorted(known, part, sorter=order)]) for part in parts]
    said = ", ".join(f"{name} is {place}" for place, name in enumerate(known))
    return labels, tuple(map(str, known)), (f"{who}: labels are numbered in their order: {said}",)


def agreed(files: Sequence[Path], columns: Columns) -> tuple[str, ...]:
    """Read the class names that files declare; BadInput where two declare other ones, () where none does."""
    known: dict[tuple[str, ...], Path] = {}
    for file in files:
        if names := declared(metadata(file), columns[1]):
            known.setdefault(names, file)
    if len(known) > 1:
        (ours, one), (theirs, other), *_ = known.items()
        said = f"{one.name} has the classes {shown(ours)}, {other.name} {shown(theirs)}"
        raise BadInput(f"{one.parent}: {said}, expected the same")
    return next(iter(known), ())


def shown(classes: tuple[str, ...]) -> str:
    return ",".join(classes[:10]) + (",..." if len(classes) > 10 else "")


def schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except UNREADABLE as error:
        raise unreadable(file, error) from error


def metadata(file: Path) -> dict[str, str]:
    found = schema(file).metadata or {}
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}


def declared(meta: dict[str, str], label: str = "label") -> tuple[str, ...]:
    """Read class names from the key classes, or from what the hub writes; empty where there are none."""
    try:
        if "classes" in meta:
            text = meta["classes"].strip()
            named = json.loads(text) if text.startswith("[") else text.split(",")
            return tuple(str(name).strip() for name in named)
        return tuple(map(str, json.loads(meta["huggingface"])["info"]["features"][label]["names"]))
    except (KeyError, TypeError, json.JSONDecodeError, RecursionError):
        return ()


def encoded(files: list[Path], rows: Tensor, column: str) -> Iterator[tuple[str, io.BytesIO]]:
    """Read the encoded images of ascending rows, counted through all the files."""
    start = 0
    for file in files:
        for values in encodings(file, column):
            here = rows[(rows >= start) & (rows < start + len(values))]
            chosen = values.take(pa.array((here - start).numpy()))
            for row, one in zip(here.tolist(), chosen, strict=True):
                who, value = f"{file.name}, image {row}", one.as_py()
                if value is None:
                    raise BadInput(f"{who} is missing, expected bytes in every row")
                yield who, io.BytesIO(value)
            start += len(values)


def encodings(file: Path, column: str) -> Iterator[pa.Array]:
    """Read the bytes of all images, in batches; of a small file equal ones once, where that goes.

    It does not where a writer began with a dictionary of the values and gave it up, as they hardly repeat.
    """
    name, done = f"{column}.bytes", 0
    for alike in [[name]] * (file.stat().st_size <= SMALL) + [None]:
        start = 0
        try:
            for batch in pq.ParquetFile(file, read_dictionary=alike).iter_batches(BATCH, columns=[name]):
                values = batch.column(column).field("bytes").slice(min(max(done - start, 0), len(batch)))
                start += len(batch)
                if len(values):
                    yield values
                    done = start
            return
        except pa.ArrowNotImplementedError as error:
            if alike is None:
                raise unreadable(file, error) from error
        except UNREADABLE as error:
            raise unreadable(file, error) from error


def unreadable(file: Path, error: BaseException) -> BadInput:
    return BadInput(f"{file} cannot be read ({str(error).splitlines()[0]}), expected a whole parquet file")
