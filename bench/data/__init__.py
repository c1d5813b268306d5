"""Data sets by name: every image of the suite comes in through load()."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import BadInput, unknown
from bench.core.installed import Installed, installed
from bench.core.texts import bad_names
from bench.data.rules import AS_RULED, Reading

if TYPE_CHECKING:  # torch comes in with load(), not with names()
    from bench.core.types import Dataset
    from bench.data.prepare import Source

DOWNLOADED = ("cifar10", "cifar100", "svhn")
PLACED = ("parquet:DIR", "folder:DIR", "imagenet100:DIR", "tinyimagenet:DIR", "hf:NAME")
HUB = "hf"  # whose names are no places of a machine


def names() -> list[str]:
    return ["glyphs", *DOWNLOADED, *PLACED, *added()]


def added() -> dict[str, Installed]:
    """Give what packages add, by name; BadInput where a name cannot be, or two packages have it."""
    found: dict[str, Installed] = {}
    for own in installed("data"):
        if wrong := next(bad_names([own.name]), None):
            raise BadInput(f"{own.package}: {wrong}")
        if own.name in {"glyphs", *DOWNLOADED, *(place.partition(":")[0] for place in PLACED), *found}:
            raise BadInput(f"{own.package}: the name {own.name!r} is already taken")
        found[own.name] = own
    return found


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
    a limit beyond what is there becomes the largest that is; else it is refused.
    """
    from bench.data import prepare

    found = source(spec, root, limit, cache, writes, reading)
    if follow:
        limit = prepare.within(found, limit)
    return prepare.dataset(found, limit, reference, imbalance, reading.allow_duplicates)


def source(
    spec: str,
    root: Path | None,
    limit: int | None,
    cache: Path,
    writes: bool = True,
    reading: Reading = AS_RULED,
) -> Source:
    from bench.data import folder, glyphs, imagenet, torchvision_sets

    kind, _, place = spec.partition(":")
    if kind != "parquet" and replace(reading, allow_duplicates=False) != AS_RULED:
        raise BadInput(f"--columns and --test-split are of parquet files, and the data set is {spec}")
    if spec == "glyphs":
        return glyphs.glyph_source(limit, cache / "glyphs", writes)
    if spec in DOWNLOADED:
        return torchvision_sets.source(spec, root or cache / "data", writes)
    if kind == "parquet" and place:
        from bench.data import parquet

        return parquet.source(place, reading)
    if kind == "folder" and place:
        return folder.source(place)
    if kind in ("imagenet100", "tinyimagenet") and place:
        return imagenet.hundred(place) if kind == "imagenet100" else imagenet.tiny(place)
    return _from_others(spec, writes)


def _from_others(spec: str, writes: bool) -> Source:
    """Open a data set of the hub, or one that an installed package adds."""
    name, _, place = spec.partition(":")
    if name == HUB and place:
        from bench.data import hub

        return hub.source(place, writes)
    if name not in added():
        raise unknown("data set", spec, names())
    from bench.data import others

    return others.source(added()[name], place)
