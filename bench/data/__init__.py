"""Data sets by name: every image of the suite comes in through load()."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import BadInput, unknown
from bench.data.rules import AS_RULED, Reading

if TYPE_CHECKING:  # torch comes in with load(), not with names()
    from bench.core.types import Dataset
    from bench.data.prepare import Source

DOWNLOADED = ("cifar10", "cifar100", "svhn")
PLACED = ("parquet:DIR", "folder:DIR", "imagenet100:DIR", "tinyimagenet:DIR", "hf:NAME")
HUB = "hf"  # whose names are no places of a machine


def names() -> list[str]:
    return ["glyphs", *DOWNLOADED, *PLACED]


def load(
    spec: str,
    *,
    root: Path | None,
    limit: int | None,
    cache: Path,
    writes: bool = True,
    reference: int = 0,
    imbalance: float = 1.0,
    reading: Reading = AS_RULED,
    follow: bool = False,
) -> Dataset:
    """Load the data set called spec, on the CPU; BadInput where there is none.

    root: where the user keeps downloaded data sets. limit: training images to keep, validation included.
    writes: whether what is drawn or downloaded may be kept; else nothing is downloaded. reference: clean
    images to have beside them, for defenses that use some. imbalance: of the training images that are kept,
    see prepare.long_tailed(); 1: as they are. reading: what is stated of how files are read. follow: whether
    a limit beyond what is there becomes the largest that is, with reference images beside it; else it is
    refused.
    """
    from bench.data import prepare

    found = source(spec, root, limit, cache, writes, reading)
    if follow:
        limit = prepare.within(found, limit, reference)
    return prepare.dataset(found, limit, reference, imbalance, reading.allow_duplicates)


def source(
    spec: str,
    root: Path | None,
    limit: int | None,
    cache: Path,
    writes: bool = True,
    reading: Reading = AS_RULED,
) -> Source:
    kind, _, place = spec.partition(":")
    if kind != "parquet" and replace(reading, allow_duplicates=False) != AS_RULED:
        raise BadInput(f"--columns and --test-split are of parquet files, and the data set is {spec}")
    if spec == "glyphs":
        from bench.data import glyphs

        return glyphs.glyph_source(limit, cache / "glyphs", writes)
    if spec in DOWNLOADED:
        from bench.data import torchvision_sets

        return torchvision_sets.source(spec, root or cache / "data", writes)
    if kind == "parquet" and place:
        from bench.data import parquet

        return parquet.source(place, reading)
    if kind == "folder" and place:
        from bench.data import folder

        return folder.source(place)
    if kind in ("imagenet100", "tinyimagenet") and place:
        from bench.data import imagenet

        return imagenet.hundred(place) if kind == "imagenet100" else imagenet.tiny(place)
    if kind == HUB and place:
        from bench.data import hub

        return hub.source(place, writes)
    raise unknown("data set", spec, names())
