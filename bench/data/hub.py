"""A data set of Hugging Face's hub, through `datasets`: hf:NAME, or hf:NAME:CONFIGURATION.

NAME: as on the hub, such as uoft-cs/cifar10, or a folder that `datasets` can load. Without a network what is
in its cache is read. Columns: image or img; label, labels, fine_label or coarse_label. Images for testing:
the split test, or validation; encoded images are decoded as those of every other source are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bench.core.errors import BadInput
from bench.data.images import pool
from bench.data.parquet import numbered
from bench.data.prepare import Source

COLUMNS = (("image", "img"), ("label", "labels", "fine_label", "coarse_label"))
TESTS = ("test", "validation", "valid", "val")  # the first that is there
BATCH = 1024  # rows whose bytes are in memory at once


def source(place: str, download: bool = True) -> Source:
    """Open the data set. download: whether what is not in the cache may be fetched. BadInput."""
    name, _, configuration = place.partition(":")
    splits = _loaded(name, configuration or None, download)
    held = next((split for split in TESTS if split in splits), None)
    if "train" not in splits or held is None:
        raise BadInput(
            f"hf:{place} has the splits {', '.join(splits)}, expected train and test (or validation)"
        )
    train, test = (_images_and_labels(place, splits[split]) for split in ("train", held))
    called = Path(name).name if Path(name).is_absolute() else name.strip("./").replace("/", "-")
    names, theirs = (tuple(map(str, getattr(of.features["label"], "names", ()))) for of in (train, test))
    if names != theirs:
        raise BadInput(f"hf:{place}: train and {held} have other classes, expected the same")
    values = [np.asarray(of["label"][:]) for of in (train, test)]
    labels, classes, said = numbered(f"hf:{place}", values, names)
    pools = pool(labels[0], partial(_encoded, place, train)), pool(labels[1], partial(_encoded, place, test))
    return Source("-".join(filter(None, (called, configuration))), *pools, classes, notes=said)


def _loaded(name: str, configuration: str | None, download: bool) -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise BadInput("--data hf:NAME needs datasets, expected after: pip install 'ue-bench[hf]'") from None
    how = datasets.DownloadConfig(local_files_only=not download)
    try:
        return datasets.load_dataset(name, configuration, download_config=how)
    except Exception as error:  # of any kind: network, cache, files, names
        said = (str(error).splitlines() or [type(error).__name__])[0]
        where = "a name of the hub, in its cache or with a network" if download else "it in the hub's cache"
        raise BadInput(f"hf:{name} cannot be loaded ({said}), expected {where}") from None


def _images_and_labels(place: str, split: Any) -> Any:
    """Give a split with two columns, image and label, whose images are encoded."""
    import datasets

    found = [next((name for name in known if name in split.features), None) for known in COLUMNS]
    image, label = found
    if image is None or label is None or not isinstance(split.features[image], datasets.Image):
        seen = ", ".join(f"{name} ({type(of).__name__})" for name, of in split.features.items())
        wanted = " and ".join(" or ".join(known) for known in COLUMNS)
        raise BadInput(f"hf:{place} has the columns {seen}; expected images in {wanted}")
    split = split.select_columns([image, label])
    split = split.rename_columns(
        {old: new for old, new in ((image, "image"), (label, "label")) if old != new}
    )
    return split.cast_column("image", datasets.Image(decode=False))


def _encoded(place: str, split: Any, rows: Tensor) -> Iterator[tuple[str, io.BytesIO]]:
    """Read the encoded images of these rows."""
    for some in rows.split(BATCH):
        numbers = some.tolist()
        for row, image in zip(numbers, split[numbers]["image"], strict=True):
            who, data = f"hf:{place}, image {row}", image["bytes"]
            if data is None and not image["path"]:
                raise BadInput(f"{who} is missing, expected one in every row")
            yield who, io.BytesIO(Path(image["path"]).read_bytes() if data is None else data)
