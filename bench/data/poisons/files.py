"""Reading poisons made elsewhere: arrays in files, and folders of numbered PNGs. Nothing here runs code
that a file brings along."""

from __future__ import annotations

import hashlib
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from bench.core.checkpoint import DAMAGED, check_whole
from bench.core.errors import BadInput
from bench.core.stored import check_regular
from bench.data.images import stack
from bench.data.poisons import manifest
from bench.data.poisons.outputs import outputs

PICKLES = (".pkl", ".pickle", ".p", ".joblib", ".dill")
SAVE_AS = "save the array with numpy.save as .npy, or with safetensors"
INDEXED = re.compile(r"(\d+)\.png", re.IGNORECASE)
NUMBERS = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
)


@dataclass(frozen=True)
class Content:
    """What a file holds, before anything is read into its numbers."""

    values: Tensor  # four axes, numbers of the file's own type
    format: str
    notes: tuple[str, ...] = ()  # what was passed over
    labels: Tensor | None = None  # int64, of each entry, where the file has some


def read(path: Path, who: str) -> Content:
    """Read the numbers in a file or folder; BadInput where there are none that may be read."""
    if path.is_dir():
        return _folder(path, who)
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise BadInput(f"{who}: {path.name} is a pickle, which can run code when it is read; {SAVE_AS}")
    if suffix not in READERS:
        raise BadInput(
            f"{who}: {path.name} is of no known format, expected {', '.join(READERS)}, "
            "or a folder of 0.png, 1.png, ..., of train*.parquet, or of images by their originals' names"
        )
    try:
        check_regular(path)
        with path.open("rb") as stream:
            page = stream.read(256).lstrip().startswith(b"<")
        if page:  # what hosts of files send in the place of one
            raise BadInput(f"{who}: {path.name} is a web page and no file of numbers; download it again")
        content = READERS[suffix](path, who)
    except OSError as error:
        raise BadInput(f"{who}: {path.name} cannot be read ({error.strerror or 'damaged'})") from None
    if content.values.ndim != 4:
        raise BadInput(
            f"{who}: {path.name} has the shape {tuple(content.values.shape)}, "
            "expected (count, channels, height, width) or (count, height, width, channels)"
        )
    if 0 in content.values.shape:
        raise BadInput(f"{who}: {path.name} has the shape {tuple(content.values.shape)}: it is empty")
    return content


def digest(path: Path) -> str:
    """Hash (sha256) a file, or of the names and bytes of a folder's images in the order of their numbers."""
    seen = hashlib.sha256()
    parts = [file for _, file in _numbered(path)] or _shards(path) if path.is_dir() else [path]
    for file in parts:
        if file is not path:
            seen.update(file.name.encode())
        with file.open("rb") as stream:
            hashlib.file_digest(stream, lambda: seen)
    return seen.hexdigest()


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Index and file of {index}.png: 10.png comes after 9.png, whatever the listing says."""
    found = [(INDEXED.fullmatch(file.name), file) for file in folder.iterdir()]
    return sorted((int(match[1]), file) for match, file in found if match)


def _shards(folder: Path) -> list[Path]:
    whole = folder / "train.parquet"
    return [whole] if whole.is_file() else sorted(folder.glob("train-*.parquet"))


def _parquet(files: list[Path], who: str) -> Content:
    """Read what hubs hold: encoded images with labels, in the order of the rows."""
    from bench.data import parquet

    try:
        pool = parquet.pool(files)
        images = pool.read(torch.arange(len(pool.labels)))
    except BadInput as error:
        raise BadInput(f"{who}: {error}") from None
    return Content(images, "parquet of images by row", labels=pool.labels)


def is_folder_of_outputs(path: Path) -> bool:
    """Whether images lie there by names, and neither by numbers nor in parquet files."""
    return path.is_dir() and not _numbered(path) and not _shards(path) and bool(outputs(path).files)


def _folder(folder: Path, who: str) -> Content:
    if shards := _shards(folder):
        return _parquet(shards, who)
    files = _numbered(folder)
    if not files:
        raise BadInput(f"{who}: {folder.name} holds no 0.png, 1.png, ..., expected one for each image")
    for place, (index, file) in enumerate(files):
        if index < place:
            raise BadInput(f"{who}: {file.name} and {files[place - 1][1].name} have the same number")
        if index > place:
            raise BadInput(
                f"{who}: {place}.png is missing: {len(files)} files, the last is {files[-1][1].name}; "
                "expected every number from 0 on"
            )
    known = {file for _, file in files} | {folder / manifest.NAME}
    others = sorted(p.name for p in folder.iterdir() if p not in known and not p.name.startswith("."))
    notes = (f"passed over: {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}",) if others else ()
    pixels = stack(len(files), ((f"{who}: {file.name}", file) for _, file in files))
    return Content(pixels, "folder of PNGs by index", notes)


def _npy(path: Path, who: str) -> Content:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # no memory for what the file does not hold
    except DAMAGED as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise BadInput(f"{who}: {path.name} is no whole .npy file") from None
        why = "holds Python objects, which can run code when they are read"
        raise BadInput(f"{who}: {path.name} {why}; expected an array of numbers: {SAVE_AS}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        kind = getattr(array, "dtype", type(array).__name__)
        raise BadInput(f"{who}: {path.name} is of type {kind}, expected integers or floats")
    wider = {"u2": "i4", "u4": "i8", "u8": "i8", "f16": "f8"}  # what torch does not know, or not well
    wanted = wider.get(array.dtype.str[1:], array.dtype.newbyteorder("="))
    return Content(torch.from_numpy(array.astype(wanted)), "npy")


def _torch(path: Path, who: str) -> Content:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BadInput(
            f"{who}: {path.name} holds more than tensors, and reading that can run code; "
            f"expected what weights-only loading reads: {SAVE_AS}"
        ) from None
    except (*DAMAGED, AttributeError, IndexError):
        raise BadInput(f"{who}: {path.name} is no whole file of torch.save") from None
    return _only(stored if isinstance(stored, dict) else {"": stored}, "torch", path, who)


def _safetensors(path: Path, who: str) -> Content:
    try:
        return _only(safetensors.torch.load_file(path), "safetensors", path, who)
    except safetensors.SafetensorError:
        raise BadInput(f"{who}: {path.name} is no whole safetensors file") from None


def _only(stored: dict[Any, Any], form: str, path: Path, who: str) -> Content:
    """Pick the one tensor of a file."""
    if len(stored) != 1:
        names = ", ".join(map(str, [*stored][:5])) or "nothing"
        raise BadInput(f"{who}: {path.name} holds {len(stored)} things ({names}), expected one tensor")
    ((name, value),) = stored.items()
    if isinstance(value, list | tuple):
        raise BadInput(
            f"{who}: {path.name} is a list of {len(value)}, expected one tensor; where it is [delta, ids] "
            "in normalised units, multiply by the standard deviations and save delta alone, in training order"
        )
    if not isinstance(value, Tensor):
        raise BadInput(f"{who}: {path.name} holds a {type(value).__name__}, expected one tensor")
    if value.layout != torch.strided or value.dtype not in NUMBERS or value.is_meta:
        kinds = ", ".join(str(kind).removeprefix("torch.") for kind in NUMBERS)
        raise BadInput(f"{who}: {path.name} is a tensor of {value.dtype}, expected a dense one of {kinds}")
    try:
        check_whole(value)
    except ValueError as error:
        raise BadInput(f"{who}: {path.name} has {error}; expected all of them in the file") from None
    return Content(value.detach(), form, (f"the tensor is called {name!r}",) if name else ())


READERS = {
    ".parquet": lambda path, who: _parquet([path], who),
    ".npy": _npy,
    ".pt": _torch,
    ".pth": _torch,
    ".safetensors": _safetensors,
}
