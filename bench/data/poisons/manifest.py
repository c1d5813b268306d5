"""manifest.json: what lies beside published images and says what they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import MIB, converted, plain, read_or_say

NAME = "manifest.json"
SUITE = "ue-bench"
KIND = "published images"
SCHEMA = 1


LARGEST = 256 * MIB  # bytes, of some millions of images
Name = Annotated[str, Meta(min_length=1)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Index = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class Method(msgspec.Struct):
    """What made the images."""

    name: Name


class Images(msgspec.Struct):
    """What they were made of."""

    name: Name  # of the data set
    digest: Name
    limit: Count | None  # of the run that it is from


class Manifest(msgspec.Struct):
    """What a manifest says that reading needs; all else in it is for people."""

    method: Method
    eps: Annotated[float, Meta(ge=0, le=1)]
    l2: Annotated[float, Meta(ge=0)] | None
    data: Images
    rows: list[Index]  # where the images stand among all training images
    pool: Count  # how many training images there are in all
    images: list[Digest]  # sha256 of each image, uint8 (C,H,W), row by row, channel after channel
    labels: list[Index] | None = None

    @property
    def contradiction(self) -> str | None:
        """Say what cannot be true of one manifest."""
        lengths = {"rows": len(self.rows), "images": len(self.images)}
        lengths |= {} if self.labels is None else {"labels": len(self.labels)}
        if len({*lengths.values()}) > 1:
            counted = ", ".join(f"{length} {name}" for name, length in lengths.items())
            return f"it has {counted}, expected as many of each"
        if len({*self.rows}) < len(self.rows):
            return "rows has a number twice, expected each once"
        if self.rows and max(self.rows) >= self.pool:
            return f"rows has {max(self.rows)}, expected numbers below pool, which is {self.pool}"
        return None


def write(folder: Path, said: dict[str, Any]) -> None:
    """Write one line for each thing that is said: lists of thousands of images stay readable."""
    lines = [f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in said.items()]
    write_atomically(folder / NAME, "{\n" + ",\n".join(lines) + "\n}\n")


def load(path: Path, who: str) -> Manifest | None:
    """Read the manifest beside the images of a folder; None where there is none of this suite.

    Raises BadInput where it is damaged.
    """
    file, where = path / NAME, f"{who}: {NAME}"
    if not path.is_dir() or not os.path.lexists(file):
        return None
    try:
        said = plain(read_or_say(file, "what export wrote", LARGEST), where)
        if not isinstance(said, dict) or (said.get("suite"), said.get("kind")) != (SUITE, KIND):
            return None
        if said.get("schema") != SCHEMA:
            raise BadInput(f"{where}: schema is {said.get('schema')!r}, this suite reads {SCHEMA}")
        found = converted(said, Manifest, where)
        if found.contradiction:
            raise BadInput(f"{where}: {found.contradiction}")
    except BadInput as error:
        said_of_it = str(error).removeprefix(f"{where}: ")
        raise BadInput(f"{where} is damaged ({said_of_it}), expected what export wrote") from None
    return found
