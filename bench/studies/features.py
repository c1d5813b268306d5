"""Features on disk, beside a study's records: estimators can change without a victim, without images.

Two files a measured pair: the net's features of clean images, which all of its poisons share, and of the
published ones. Half precision in units of each dimension's largest value, compressed, with a digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.core.checkpoint import DAMAGED
from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import MIB, read, say_wrong
from bench.metrics import Subject
from bench.results.identity import key_of
from bench.results.rows import Row
from bench.studies.study import FORM, IMAGES, images_of

MOST = 512 * MIB  # bytes of a file
CLEAN_SIDE = "clean"  # in the place of a poison's digest


@dataclass(frozen=True)
class _Side:
    """What one net makes of one set of images."""

    halves: NDArray[np.float16]  # (n,d), in units of largest
    largest: NDArray[np.float32]  # (d,), above 0
    labels: NDArray[np.int64]  # (n,)
    said: dict[str, str | int]

    @property
    def features(self) -> Tensor:
        """Float32 (n,d)."""
        return torch.from_numpy(self.halves.astype(np.float32) * self.largest)

    @property
    def digest(self) -> str:
        """Over all that measures take from it."""
        seen = hashlib.sha256(json.dumps(self.said, sort_keys=True).encode())
        for part in (self.halves, self.largest, self.labels):
            seen.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        return seen.hexdigest()


class Features:
    """The kept features of a study in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, net: Row, poison: Row, seen: Subject) -> Subject:
        """Keep what the net makes of both; returns the subject with its features as they were kept."""
        pair = (CLEAN_SIDE, seen.clean_features), (images_of(poison), seen.published_features)
        clean, published = (self._save(net, images, features, seen) for images, features in pair)
        both = {"clean_features": clean.features, "published_features": published.features}
        return Subject(**{**vars(seen), **both})

    def load(self, net: Row, poison: Row) -> Subject | None:
        """Give a subject without images; None where its features are not there whole."""
        clean, published = (self._load(net, images) for images in (CLEAN_SIDE, images_of(poison)))
        if clean is None or published is None:
            return None
        nothing = torch.empty((len(clean.labels), 0), dtype=torch.uint8)
        labels, said = torch.from_numpy(clean.labels), clean.said
        both = clean.features, published.features
        return Subject(nothing, nothing, labels, int(said["classes"]), *both, int(said["seed"]))

    def _save(self, net: Row, images: str, features: Tensor, seen: Subject) -> _Side:
        exact: NDArray[np.float32] = features.numpy()
        if not np.isfinite(exact).all():
            raise ValueError(f"features of {net.method} {net.key[:8]} are not all finite, expected numbers")
        largest = np.abs(exact).max(axis=0)
        largest[largest == 0] = 1
        said: dict[str, str | int] = {**_inputs(net, images), "classes": seen.classes, "seed": seen.seed}
        side = _Side((exact / largest).astype(np.float16), largest, seen.labels.numpy(), said)
        path = self._path(net, images)
        if not path.exists() or self._load(net, images) is None:
            packed = io.BytesIO()
            parts = {name: getattr(side, name) for name in ("halves", "largest", "labels")}
            np.savez_compressed(packed, said=json.dumps(said | {"digest": side.digest}), **parts)
            write_atomically(path, packed.getvalue())
        return side

    def _load(self, net: Row, images: str) -> _Side | None:
        try:
            content = read(self._path(net, images), MOST)
            with np.load(io.BytesIO(content), allow_pickle=False) as kept:
                said = json.loads(str(kept["said"]))
                digest = said.pop("digest")
                side = _Side(kept["halves"], kept["largest"], kept["labels"], said)
        except FileNotFoundError:
            return None
        except (*DAMAGED, BadInput, zlib.error) as error:
            say_wrong(self._path(net, images), error)
            return None
        expected = _inputs(net, images)
        whole = digest == side.digest and {name: said.get(name) for name in expected} == expected
        if not whole:
            say_wrong(self._path(net, images), "its digest, or what it is of")
        return side if whole else None

    def _path(self, net: Row, images: str) -> Path:
        return self.folder / f"{net.key[:16]}-{key_of(_inputs(net, images))[:16]}.npz"


def _inputs(net: Row, images: str) -> dict[str, str | int]:
    return {"net": net.key, "images": images, "most": IMAGES, "form": FORM}
