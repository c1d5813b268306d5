"""purified:DIR, a defense like any other: published images that were purified elsewhere, as they are.

Diffusion purification for one needs weights that cannot come with the suite. DIR is what export wrote, its
images replaced by purified ones, or a folder of such folders: one for each poison, and one of clean images,
without which nobody knows what a purifier costs. By manifest.json each published image finds its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.defense import Kit, Undefended
from bench.core.errors import BadInput
from bench.core.files import expanded
from bench.core.pixels import digest
from bench.core.stored import digest_of
from bench.data.poisons import files, manifest
from bench.data.poisons.manifest import NAME, Manifest

ABOUT = "images that were purified elsewhere"
Place = tuple[Path, int]  # a folder, and the number of an image in it


@dataclass(frozen=True)
class Purified(Undefended):
    """What somebody else's purifier made of the published images."""

    digest: str = ""  # sha256 over names and bytes of all purified images and their manifests
    path: Path = field(default=Path(), compare=False)  # where to find them, which is no part of what they are

    revision: ClassVar[int] = 1

    @property
    def who(self) -> str:
        """Say what rows call it: never a path."""
        plain = re.sub(r"[^\w-]+", "-", self.path.name).strip("-")
        return f"purified:{plain or 'images'}"

    @property
    def place(self) -> str:
        return str(self.path)

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        """Give each image its purified one; ValueError where one has none, or another shape or label."""
        if whole(self.path) != self.digest:
            raise ValueError(f"{self.who}: the files have changed since the run began")
        known = dict(exports(self.path, self.who))
        places = list(self._places(images.cpu(), labels.tolist(), known))
        read = {folder: self._read(folder, images.shape[1:]) for folder in {folder for folder, _ in places}}
        kit.note(purified_from=", ".join(sorted({known[folder].method.name for folder in read})))
        return torch.stack([read[folder][at] for folder, at in places]).to(images.device)

    def _places(self, images: Tensor, labels: list[int], known: dict[Path, Manifest]) -> Iterator[Place]:
        """Find for each published image the purified one, by the pixels and the label in the manifests."""
        listed: dict[str, dict[int | None, Place]] = {}
        for folder, made in known.items():
            for at, each in enumerate(made.images):
                listed.setdefault(each, {})[made.labels[at] if made.labels else None] = folder, at
        found = [listed.get(digest(image), {}) for image in images]
        where = f"{NAME} of {', '.join(folder.name for folder in known)}"
        if absent := found.count({}):
            raise ValueError(
                f"{self.who}: {absent} of {len(found)} published images are none of those that the {where} "
                "lists; expected an export of this poison, with the images of this run"
            )
        for own, label in zip(found, labels, strict=True):
            if None not in own and label not in own:
                raise ValueError(
                    f"{self.who}: an image of class {label} has class {next(iter(own))} in the {where}, "
                    "expected the same labels"
                )
            yield own[label] if label in own else own[None]

    def _read(self, folder: Path, shape: torch.Size) -> Tensor:
        """Read a folder's images, uint8 (N,C,H,W); ValueError where they are of another shape."""
        images = files.read(folder, f"{self.who}, {folder.name}").values
        if images.shape[1] == 1:  # of files none of which has a colour
            images = images.expand(-1, shape[0], -1, -1)
        if images.shape[1:] != shape or images.dtype != torch.uint8:
            raise ValueError(
                f"{self.who}: images in {folder.name} are {tuple(images.shape[1:])}, expected {tuple(shape)}"
            )
        return images


def exports(path: Path, who: str) -> Iterator[tuple[Path, Manifest]]:
    """Find the folder's manifest, or those of the folders in it; BadInput where images are not there."""
    inside = sorted(entry for entry in path.iterdir() if entry.is_dir())
    for folder in [path] if (path / NAME).is_file() else inside:
        made = manifest.load(folder, who)
        if made is None:
            continue
        if (count := len(files.numbered(folder))) != len(made.images):
            raise BadInput(
                f"{who}: {folder.name} has {count} images 0.png, 1.png, ..., expected the {len(made.images)} "
                f"that {NAME} lists"
            )
        yield folder, made


def whole(path: Path) -> str:
    """Hash (sha256) names and bytes of all images and manifests."""
    found = sorted(file for file in path.rglob("[!.]*") if file.name == NAME or file.suffix == ".png")
    return digest_of((f"{file.relative_to(path).as_posix()}\0", file) for file in found)


def at(place: str) -> Purified:
    """Find a folder of purified images; BadInput where there is none with the manifest of its export."""
    path = expanded(place).absolute()  # worker processes may stand elsewhere
    if not path.is_dir():
        raise BadInput(f"purified:{place}: there is no such folder")
    found = Purified(path=path)
    if not dict(exports(path, found.who)):
        raise BadInput(
            f"{found.who}: there is no {NAME} in it or in the folders in it, expected that of the export "
            "whose images were purified"
        )
    return Purified(digest=whole(path), path=path)


EXAMPLE = Purified()
