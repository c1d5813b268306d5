"""Poisons, trained victims and images on disk, by content key, for all defenses, runs and processes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from bench.core.checkpoint import DAMAGED, check_whole, written
from bench.core.errors import BadInput
from bench.core.files import replacing, write_atomically
from bench.core.pixels import digest
from bench.core.stored import MIB, check_regular, plain, read, say_wrong, sealed
from bench.core.types import Dataset, Split
from bench.data.prepare import digest as data_digest
from bench.experiment.locks import Locks
from bench.results.rows import Row

CHECKSUM = "checksum"
LARGEST = 64 * MIB  # bytes of a manifest
SPLITS = ("train", "val", "test", "reference")


def _mapped(path: Path) -> tuple[Tensor, str]:
    """Map an array that processes share, with its digest; what one of them writes to it stays its own.

    The digest is the file's bytes', not the mapping's, whose pages would count as this process's memory.
    """
    with path.open("rb") as file:
        header = np.lib.format
        header.read_magic(file)
        shape, _, dtype = header.read_array_header_1_0(file)
        start = file.tell()
        images = np.memmap(file, dtype, "c", start, shape)
        file.seek(start)
        return torch.from_numpy(images), hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Poison:
    """What a method published, and what is known of it."""

    images: Tensor  # uint8 (N,C,H,W), or a delta in float32; on the CPU, mapped where it comes from disk
    manifest: dict[str, Any]  # see craft() in cell.py


def manifest(folder: Path) -> dict[str, Any] | None:
    """Read what is said of the poison in a folder; None if nothing is, or what was said of another.

    Its checksum is of the folder's name, too, which is a key: a poison in another's place is none.
    """
    path = folder / "manifest.json"
    try:
        said = plain(read(path, LARGEST), str(path))
        if not isinstance(said, dict):
            raise BadInput(f"{path} is no object")
        checksum = said.pop(CHECKSUM, None)
    except FileNotFoundError:
        return None
    except (OSError, BadInput) as error:
        say_wrong(folder, error)
        return None
    if checksum == sealed(_place(folder), said):
        return said
    say_wrong(folder, "its checksum")
    return None


def _place(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def load(folder: Path) -> Poison | None:
    """Map the poison in a folder; None if it is not there or not what its manifest says."""
    said = manifest(folder)
    if said is None:
        return None
    try:
        check_regular(folder / "published.npy")
        images, seen = _mapped(folder / "published.npy")
    except DAMAGED as error:
        say_wrong(folder, error)
        return None
    if said.get("published") == seen:
        return Poison(images, said)
    say_wrong(folder, "its images' digest")
    return None


def save(folder: Path, poison: Poison) -> None:
    """Write a whole folder or none. Where another process was faster with the same poison, that one stays."""
    try:
        with replacing(folder) as temporary:
            temporary.mkdir()
            np.save(temporary / "published.npy", poison.images.contiguous().numpy())
            said = poison.manifest | {CHECKSUM: sealed(_place(folder), poison.manifest)}
            (temporary / "manifest.json").write_text(json.dumps(said, indent=1), encoding="utf-8")
            if load(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)  # damaged
    except OSError:
        if load(folder) is None:
            raise


def prepared(folder: Path, make: Callable[[], tuple[Tensor, dict[str, Any]]]) -> Poison:
    """Keep what make() returns, uint8 images and facts, in a folder: made once, again where it is damaged.

    While another process is at it, this one waits: a lock goes with its owner.
    """
    if (kept := load(folder)) is not None:
        return kept
    locks, name = Locks(folder.parent), f".{folder.name}.lock"
    locks.take(name, seconds=-1)
    try:
        if (kept := load(folder)) is None:
            images, facts = make()
            kept = Poison(images.cpu(), {"published": digest(images), "facts": facts})
            save(folder, kept)
        return kept
    finally:
        locks.drop(name)


def _victim_path(cache: Path, key: str) -> Path:
    return cache / "victims" / f"{key[:32]}.safetensors"


def keep_victim(net: nn.Module, cache: Path, key: str, test_acc: float) -> None:
    """Write the net's weights, their digest and its test accuracy, so that no other is taken for it.

    key: of its row.
    """
    weights = {name: value.cpu().contiguous() for name, value in net.state_dict().items()}
    said = {"key": key, "test_acc": repr(test_acc), "weights": _weights_digest(weights)}
    write_atomically(_victim_path(cache, key), save_tensors(weights, said))


def load_victim(cache: Path, row: Row) -> dict[str, Tensor] | None:
    """Read the weights of the row's victim, to the CPU; None if they are not there, or not the row's."""
    path = _victim_path(cache, row.key)
    try:
        check_regular(path)
        with safe_open(path, framework="pt") as kept:
            said = kept.metadata() or {}
            weights = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, BadInput) as error:
        say_wrong(path, error)
        return None
    expected = {"key": row.key, "test_acc": repr(row.test_acc), "weights": _weights_digest(weights)}
    if said == expected:
        return weights
    say_wrong(path, "its checksum")
    return None


def drop_victim(cache: Path, key: str) -> None:
    """Remove the weights that were kept, if they were."""
    _victim_path(cache, key).unlink(missing_ok=True)


def _weights_digest(weights: dict[str, Tensor]) -> str:
    seen = hashlib.sha256()
    for name, value in sorted(weights.items()):
        seen.update(name.encode() + value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return seen.hexdigest()


def share(data: Dataset, cache: Path) -> Dataset:
    """Write the images under their digest, unless they are there, whole; return the data set without them."""
    splits = {name: part for name in SPLITS if (part := getattr(data, name)) is not None}
    empty: dict[str, Any] = {name: split.take(torch.arange(0)) for name, split in splits.items()}
    shared, path = replace(data, **empty), _images_path(data, cache)
    try:
        open_shared(shared, cache)
    except BadInput:  # absent or damaged
        with replacing(path) as temporary, written():
            torch.save({name: vars(split) for name, split in splits.items()}, temporary)
    return shared


def open_shared(data: Dataset, cache: Path) -> Dataset:
    """Map the images of a shared data set into memory, which processes of one machine have in common.

    Raises BadInput where the file is not what was shared.
    """
    path = _images_path(data, cache)
    try:
        stored = _mapped_splits(path)
        own = [stored[name] for name in SPLITS[:3]]
        seen = data_digest(own, data.classes, data.augmentation)
        further = [stored[name] for name in SPLITS[3:] if name in stored]
        seen_further = data_digest(further, data.classes, data.augmentation) if further else None
    except Exception as error:  # absent, torn, or no such file at all
        raise BadInput(f"{path} cannot be read ({type(error).__name__}); remove it and run again") from error
    if (seen, seen_further) != (data.digest, data.reference_digest):
        raise BadInput(f"{path} has other images than its name says; remove it and run again")
    splits: dict[str, Any] = _mapped_splits(path)  # anew: what has been read of a mapping counts as memory
    return replace(data, **splits)


def _mapped_splits(path: Path) -> dict[str, Split]:
    check_regular(path)
    stored = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    found = {name: Split(**stored[name]) for name in SPLITS if name in stored}
    for split in found.values():
        check_whole(split.images, split.labels)
    return found


def _images_path(data: Dataset, cache: Path) -> Path:
    of = f"-{data.reference_digest[:16]}" if data.reference_digest else ""
    return cache / "images" / f"{data.digest[:32]}{of}.pt"
