"""Data sets by name: every image of the suite comes in through load()."""

from __future__ import annotations

import difflib
import hashlib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch comes in with load(), not with names()
    from bench.core.errors import BadInput
    from bench.core.types import Dataset
    from bench.data.prepare import Pool, Source

DOWNLOADED = ("cifar10", "cifar100", "svhn")
GLYPHS = 2_000  # training images unless --limit asks for another number, and test images
MOST_GLYPHS = 50_000


def names() -> list[str]:
    return ["glyphs", *DOWNLOADED, "parquet:DIR", "folder:DIR"]


def load(spec: str, *, root: Path | None, limit: int | None, cache: Path, writes: bool = True) -> Dataset:
    """The data set called spec, on the CPU.

    root: where the user keeps downloaded data sets. limit: training images to keep, validation included.
    writes: whether what is drawn or downloaded may be kept; else nothing is downloaded.
    """
    from bench.data import prepare

    return prepare.dataset(source(spec, root, limit, cache, writes), limit)


def source(spec: str, root: Path | None, limit: int | None, cache: Path, writes: bool = True) -> Source:
    kind, _, place = spec.partition(":")
    if spec == "glyphs":
        return glyph_source(limit, cache / "glyphs", writes)
    if spec in DOWNLOADED:
        from bench.data import torchvision_sets

        return torchvision_sets.source(spec, root or cache / "data", writes)
    if kind == "parquet" and place:
        from bench.data import parquet

        return parquet.source(Path(place).expanduser())
    if kind == "folder" and place:
        from bench.data import folder

        return folder.source(place)
    raise unknown(spec)


def unknown(spec: str) -> BadInput:
    from bench.core.errors import BadInput

    near = difflib.get_close_matches(spec.lower(), names(), n=1, cutoff=0.5)
    guess = f", did you mean {near[0]!r}?" if near else ";"
    return BadInput(f"unknown data set {spec!r}{guess} there are: {', '.join(names())}")


def glyph_source(limit: int | None, cache: Path, writes: bool = True) -> Source:
    """Images drawn here: a training pool of exactly the size asked for."""
    from bench.data import glyphs
    from bench.data.prepare import Source, check_limit

    if limit is not None:
        check_limit("glyphs", limit, MOST_GLYPHS, len(glyphs.CLASSES))
    train = rendered(cache, limit or GLYPHS, 1, writes)
    test = rendered(cache, GLYPHS, 2, writes)
    return Source("glyphs", train, test, tuple(glyphs.CLASSES), flip=False, pad=2, synthetic=True)


def rendered(cache: Path, n: int, seed: int, writes: bool = True) -> Pool:
    """What render(n, seed) draws, kept on disk under a name that changes with all that draws it."""
    import numpy as np

    from bench.data import glyphs
    from bench.data.prepare import at_hand

    drawing = f"{version('pillow')}/{version('matplotlib')}/".encode() + Path(glyphs.__file__).read_bytes()
    path = cache / f"{hashlib.sha256(drawing).hexdigest()[:16]}-seed{seed}-n{n}.npz"
    try:
        with np.load(path) as kept:
            return at_hand(kept["images"], kept["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # absent or damaged
        images, labels = glyphs.render(n, seed)
    if writes:
        keep(path, images=images, labels=labels)
    return at_hand(images, labels)


def keep(path: Path, **arrays: Any) -> None:
    """Write arrays to path whole or not at all."""
    import numpy as np

    from bench.core.errors import BadInput
    from bench.core.files import replacing

    try:
        with replacing(path) as temporary:
            np.savez(temporary, **arrays)
    except OSError as error:
        raise BadInput(f"cannot write {path} ({error}), expected a cache folder to write to") from error
