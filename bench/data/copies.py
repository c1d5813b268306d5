"""Copies: images that are there more than once, in several splits or under several labels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

from bench.core.errors import BadInput
from bench.core.types import Split

MOST = 0.01  # of the validation and test images may be copies of images in another split


def notes(name: str, train: Split, val: Split, test: Split, allowed: bool) -> Iterator[str]:
    """Say how many images are exact copies; BadInput where too many are, unless that is allowed."""
    labels = defaultdict[bytes, set[int]](set)
    seen = [_digests(split, labels) for split in (train, val, test)]
    learned, held = set(seen[0]), set(seen[1])
    again = sum(one in learned for one in seen[1]), sum(one in learned or one in held for one in seen[2])
    if any(again):
        said = (
            f"{name}: {again[0]} of {len(val)} validation and {again[1]} of {len(test)} test images are "
            "exact copies of images in another split"
        )
        if sum(again) > MOST * (len(val) + len(test)) and not allowed:
            raise BadInput(f"{said}, expected at most {MOST:.0%}; remove them, or give --allow-duplicates")
        yield said
    if torn := sum(len(those) > 1 for those in labels.values()):
        yield f"{name}: {torn} images are there under more than one label"


def _digests(split: Split, labels: dict[bytes, set[int]]) -> list[bytes]:
    found = [hashlib.sha256(image.tobytes()).digest() for image in split.images.numpy()]
    for one, label in zip(found, split.labels.tolist(), strict=True):
        labels[one].add(label)
    return found
