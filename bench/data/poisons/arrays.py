"""Arrays in files. Nothing here runs code that a file brings along."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import safetensors
import torch
from torch import Tensor

from bench.core.checkpoint import DAMAGED, check_whole
from bench.core.errors import BadInput
from bench.core.stored import MIB

SAVE_AS = "save the array with numpy.save as .npy, or with safetensors"
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
    decoded: bool = False  # from image files, which are gray where none has a colour


DEFLATE = 1100  # bytes that one can stand for
HEADERS: dict[int, Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    1: np.lib.format.read_array_header_1_0,
    2: np.lib.format.read_array_header_2_0,
}
Reader = Callable[[Path, str, str], Content]  # path, who, name of the array, where there are several


def npy(path: Path, who: str, name: str) -> Content:
    # in memory is only what the file holds
    return _array(lambda: np.load(path, mmap_mode="r", allow_pickle=False), "npy", path, who)


def npz(path: Path, who: str, name: str) -> Content:
    try:
        _check_packed(path)
        stored = np.load(path, allow_pickle=False)
    except DAMAGED:
        raise BadInput(f"{who}: {path.name} is no whole .npz file") from None
    with stored:
        one = chosen(stored.files, name, path, who)
        return _array(lambda: stored[one], "npz", path, who, (f"the array is called {one!r}",))


def _check_packed(path: Path) -> None:
    """Raise BadZipFile where an archive, or an array in it, says that it is larger than its bytes are."""
    with ZipFile(path) as archive:
        for part in archive.infolist():
            if part.file_size > DEFLATE * part.compress_size + MIB:
                raise BadZipFile(part.filename)
            if part.filename.endswith(".npy"):
                with archive.open(part) as file:
                    major, _ = np.lib.format.read_magic(file)  # type: ignore[arg-type]
                    shape, _, kind = HEADERS[major](file)
                    if math.prod(shape) * kind.itemsize > part.file_size:
                        raise BadZipFile(part.filename)


def _array(load: Callable[[], Any], form: str, path: Path, who: str, notes: tuple[str, ...] = ()) -> Content:
    try:
        array = load()
    except DAMAGED as error:
        if "pickle" not in str(error) and "Python objects" not in str(error):
            raise BadInput(f"{who}: {path.name} is no whole .{form} file") from None
        why = "holds Python objects, which can run code when they are read"
        raise BadInput(f"{who}: {path.name} {why}; expected an array of numbers: {SAVE_AS}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        kind = getattr(array, "dtype", type(array).__name__)
        raise BadInput(f"{who}: {path.name} is of type {kind}, expected integers or floats")
    wider = {"u2": "i4", "u4": "i8", "u8": "i8", "f16": "f8"}  # what torch does not know, or not well
    wanted = wider.get(array.dtype.str[1:], array.dtype.newbyteorder("="))
    return Content(torch.from_numpy(array.astype(wanted)), form, notes)


def torch_file(path: Path, who: str, name: str) -> Content:
    try:
        if is_zipfile(path):
            _check_packed(path)
        if bad := _damaged(path):
            raise BadInput(f"{who}: {path.name} is damaged: the check sum of {bad} in it is wrong; {SAVE_AS}")
        with path.open("rb") as file:  # of a path the ending would count
            stored = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BadInput(
            f"{who}: {path.name} holds more than tensors, and reading that can run code; "
            f"expected what weights-only loading reads: {SAVE_AS}"
        ) from None
    except (*DAMAGED, AttributeError, IndexError):
        raise BadInput(f"{who}: {path.name} is no whole file of torch.save") from None
    if isinstance(stored, dict):
        one = chosen([*map(str, stored)], name, path, who)
        return _dense({str(key): value for key, value in stored.items()}[one], one, "torch", path, who)
    if name:
        raise BadInput(f"{who}: {path.name} holds one thing without a name, expected no #{name}")
    return _dense(stored, "", "torch", path, who)


def _damaged(path: Path) -> str | None:
    """Name a part of a zip file whose check sum is wrong, which torch does not look at."""
    if not is_zipfile(path):
        return None
    with ZipFile(path) as whole:
        return whole.testzip()


def safetensors_file(path: Path, who: str, name: str) -> Content:
    try:
        with safetensors.safe_open(path, "pt") as stored:
            one = chosen([*stored.keys()], name, path, who)
            return _dense(stored.get_tensor(one), one, "safetensors", path, who)
    except safetensors.SafetensorError:
        raise BadInput(f"{who}: {path.name} is no whole safetensors file") from None


def chosen(names: list[str], name: str, path: Path, who: str) -> str:
    """Choose the array that is asked for, or the only one; BadInput."""
    known = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") or "nothing"
    if name and name not in names:
        raise BadInput(f"{who}: {path.name} has no {name!r}; it holds {known}")
    if not name and len(names) != 1:
        raise BadInput(
            f"{who}: {path.name} holds {len(names)} things ({known}), expected one; file:PATH#NAME names it"
        )
    return name or names[0]


def _dense(value: Any, name: str, form: str, path: Path, who: str) -> Content:
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
