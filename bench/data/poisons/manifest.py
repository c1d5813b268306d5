"""manifest.json: what lies beside published images and says what they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.core.errors import BadInput
from bench.core.files import write_atomically

NAME = "manifest.json"
SUITE = "ue-bench"
KIND = "published images"
SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """What a manifest says that reading needs."""

    method: str
    eps: float
    l2: float | None
    data: str  # name of the data set
    digest: str  # of the data set
    limit: int | None  # of the run that it is from
    rows: list[int]  # where the images stand among all training images
    pool: int  # how many training images there are in all
    images: list[str]  # sha256 of each image's pixels, see pixels()


def write(folder: Path, said: dict[str, Any]) -> None:
    """Write one line for each thing that is said: lists of thousands of images stay readable."""
    lines = [f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in said.items()]
    write_atomically(folder / NAME, "{\n" + ",\n".join(lines) + "\n}\n")


def pixels(image: Tensor) -> str:
    """Hash (sha256) one image, uint8 (C,H,W), row by row, channel after channel."""
    return hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()


def load(path: Path, who: str) -> Manifest | None:
    """Read the manifest beside the images of a folder; None where there is none of this suite.

    Raises BadInput where it is damaged.
    """
    file = path / NAME
    if not file.is_file():
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(said, dict) or (said.get("suite"), said.get("kind")) != (SUITE, KIND):
            return None
        if said["schema"] != SCHEMA:
            raise BadInput(f"{who}: {NAME} has schema {said['schema']!r}, this suite reads {SCHEMA}")
        data = said["data"]
        return Manifest(
            method=str(said["method"]["name"]),
            eps=float(said["eps"]),
            l2=None if said["l2"] is None else float(said["l2"]),
            data=str(data["name"]),
            digest=str(data["digest"]),
            limit=None if data["limit"] is None else int(data["limit"]),
            rows=[int(row) for row in said["rows"]],
            pool=int(said["pool"]),
            images=[str(digest) for digest in said["images"]],
        )
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, LookupError) as error:
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"{who}: {NAME} is damaged ({what}), expected what export wrote") from None
