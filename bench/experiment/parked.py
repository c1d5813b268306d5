"""The images of a data set in the cache folder, where worker processes map them into memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench.core.errors import BadInput
from bench.core.files import replacing
from bench.core.types import Dataset, Split
from bench.data.prepare import digest

SPLITS = ("train", "val", "test")


def park(data: Dataset, cache: Path) -> Dataset:
    """Write the images under their digest, unless they are there, whole; gives the data set without them."""
    empty: dict[str, Any] = {name: _emptied(getattr(data, name)) for name in SPLITS}
    parked, path = replace(data, **empty), _path(data, cache)
    try:
        fetch(parked, cache)
    except BadInput:  # absent or damaged
        with replacing(path) as temporary:
            torch.save({name: vars(getattr(data, name)) for name in SPLITS}, temporary)
    return parked


def fetch(data: Dataset, cache: Path) -> Dataset:
    """The parked data set with its images; processes of one machine share their memory.

    Raises BadInput where the file is not what was parked.
    """
    path = _path(data, cache)
    try:
        seen = digest(_mapped(path).values(), data.classes, data.augmentation)
    except Exception as error:  # absent, torn, or no such file at all
        raise BadInput(f"{path} cannot be read ({type(error).__name__}); remove it and run again") from error
    if seen != data.digest:
        raise BadInput(f"{path} has other images than its name says; remove it and run again")
    splits: dict[str, Any] = _mapped(path)  # anew: what has been read of a mapping counts as memory
    return replace(data, **splits)


def _mapped(path: Path) -> dict[str, Split]:
    stored = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return {name: Split(**stored[name]) for name in SPLITS}


def _emptied(split: Split) -> Split:
    none = slice(0)
    return Split(split.images[none].clone(), split.labels[none].clone())  # a view would take all along


def _path(data: Dataset, cache: Path) -> Path:
    return cache / "images" / f"{data.digest[:32]}.pt"
