"""A folder of image files: DIR/train/<class>/* and DIR/test/<class>/*.

folder:DIR@S, where DIR is a folder, brings images of any size to S x S pixels; rules.py has the rules.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.files import expanded
from bench.data import images
from bench.data.prepare import Pool, Source
from bench.data.rules import ENDINGS, RULE, plain

PASSED_OVER = ("thumbs.db", "desktop.ini", "__macosx")  # and hidden files; in any case of letters
SMALLEST = 8  # pixels


def source(place: str) -> Source:
    """List the images. place: the folder, with @S behind it or not."""
    folder, size = sized("folder", place)
    there = f"{folder}/train/CLASS and {folder}/test/CLASS"
    parted = {part: class_folders(existing(folder / part, there)) for part in ("train", "test")}
    train, test = ([plain(of.name) for of in folders] for folders in parted.values())
    if train != test:
        odd = sorted(set(train) ^ set(test))[0]
        where = "train" if odd in train else "test"
        raise BadInput(f"{folder}: class {odd!r} is in {where} only, expected it in train and test")
    name = (plain(folder.resolve().name) or "folder") + (f"@{size}" if size else "")
    files, labels = labelled(parted["train"])
    named = tuple(f"{plain(file.parent.name)}/{plain(file.name)}" for file in files)
    rule = RULE.format(size) if size else "none"
    pools = pool(files, labels, size), pool(*labelled(parted["test"]), size)
    return Source(name, *pools, tuple(train), resize=rule, names=named)


def sized(scheme: str, place: str) -> tuple[Path, int | None]:
    """Split DIR@S where DIR is a folder; BadInput where DIR@S is one as well."""
    parts = re.fullmatch(r"(.+)@(\d+)", place)
    folder, size = expanded(place), None
    if parts and expanded(parts[1]).is_dir():
        if folder.is_dir():
            raise BadInput(
                f"{scheme}:{place} is {parts[1]} at a size, and a folder; with a / behind it is that"
            )
        folder, size = expanded(parts[1]), int(parts[2])
    if size is not None and size < SMALLEST:
        raise BadInput(f"{scheme}:{place} asks for {size} pixels, expected at least {SMALLEST}")
    return folder, size


def existing(place: Path, expected: str) -> Path:
    if not place.is_dir():
        raise BadInput(f"{place} is not a folder, expected {expected}")
    return place


def class_folders(place: Path) -> list[Path]:
    """List the folders of classes; BadInput where there is anything else, or one class."""
    entries = visible(place)
    found = [entry for entry in entries if entry.is_dir()]
    if not found:
        raise BadInput(f"{place} has no class folders, expected one for each class, at least 2")
    if stray := [entry for entry in entries if entry not in found]:
        raise BadInput(f"{stray[0]} lies beside the class folders, expected only folders there")
    if len(found) < 2:
        raise BadInput(f"{place} has one class folder, {found[0].name!r}, expected at least 2")
    if all(entry.name.isdecimal() for entry in found):
        return sorted(found, key=lambda entry: int(entry.name))
    return found


def visible(place: Path) -> list[Path]:
    """List a folder in the order of names; BadInput where two differ in their spelling alone."""
    found: dict[str, Path] = {}
    for entry in place.iterdir():
        name = plain(entry.name)
        if name.startswith(".") or name.lower() in PASSED_OVER:
            continue
        if found.setdefault(name, entry) != entry:
            raise BadInput(f"{place} has two entries called {name!r} in Unicode's NFC, expected one; rename")
    return [found[name] for name in sorted(found)]


def pool(files: list[Path], labels: Tensor, size: int | None) -> Pool:
    """Make a pool of image files; size: the side that all are brought to."""
    return images.pool(
        labels, lambda rows: ((str(files[i]), files[i]) for i in rows.tolist()), size, "folder"
    )


def labelled(folders: list[Path]) -> tuple[list[Path], Tensor]:
    """List the image files class by class, with their labels, int64 (N,)."""
    files = [pictures(folder) for folder in folders]
    labels = torch.arange(len(folders)).repeat_interleave(torch.tensor([len(some) for some in files]))
    return [file for some in files for file in some], labels


def pictures(place: Path) -> list[Path]:
    files = visible(place)
    if not files:
        raise BadInput(f"{place} is empty, expected images in every class")
    for file in files:
        if file.suffix.lower() not in ENDINGS or file.is_dir():
            raise BadInput(f"{plain(str(file))} is not an image, expected only {', '.join(ENDINGS)}")
    return files
