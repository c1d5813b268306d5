"""From labels and encoded images to a Dataset: limit, validation cut, checks, digest.

Rows are chosen from the labels alone, so that only the images that are used are decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from bench.core.errors import BadInput
from bench.core.rng import generator, seed_for
from bench.core.types import Augmentation, Dataset, Split
from bench.data import copies

EXACT = 1e-9  # 500 / 10 may be a little less than 50
HELD_OUT = 20  # one training image in so many goes to validation


@dataclass(frozen=True)
class Pool:
    """Labels at hand, images on demand."""

    labels: Tensor  # int64 (N,)
    read: Callable[[Tensor], Tensor]  # ascending rows -> uint8 (n,C,H,W)
    gray: Callable[[], bool] = lambda: True  # whether none has a colour, where those that are read have none


@dataclass(frozen=True)
class Source:
    """A data set as it lies on disk; nothing of it is chosen or held out yet."""

    name: str
    train: Pool
    test: Pool
    classes: tuple[str, ...]
    flip: bool = True
    pad: int | None = None  # None: an eighth of the side
    synthetic: bool = False
    resize: str = "none"
    names: tuple[str, ...] | None = None  # of the training images, class/file, where they are files
    notes: tuple[str, ...] = ()  # what its reader has to say
    further: Callable[[int], Pool] | None = None  # so many images that are in neither; None: train's own rest


def at_hand(images: NDArray[Any], labels: Iterable[int] | NDArray[Any]) -> Pool:
    """Make a pool whose images, uint8 (N,C,H,W), are in memory already."""
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    return Pool(torch.as_tensor(np.asarray(labels), dtype=torch.int64), lambda rows: pixels[rows])


def dataset(
    source: Source,
    limit: int | None,
    reference: int = 0,
    imbalance: float = 1.0,
    allow_duplicates: bool = False,
) -> Dataset:
    """Choose, hold out and check. reference: clean images to be there beside those that are published.

    allow_duplicates: whether many copies across the splits are no error. A limit above the data is the data.
    """
    limit = None if limit is None else min(limit, len(source.train.labels))
    for part, pool in (("train", source.train), ("test", source.test)):
        check_labels(f"{source.name}, {part}", pool.labels, source.classes)
    chosen = choose(source.name, source.train.labels, source.classes, limit)
    if imbalance != 1:
        chosen = chosen[
            long_tailed(source.name, source.train.labels[chosen], source.classes, limit, imbalance)
        ]
    train = take(source.train, chosen)
    test = take(source.test, torch.arange(len(source.test.labels)))
    further = [_reference(source, chosen, reference)] if reference else []
    train, test, *further = alike(source.name, train, test, *further)
    rest = len(chosen) < len(source.train.labels)  # gray is what the set is, not what the limit leaves
    if rest and train.images.shape[1] == 1 and not source.train.gray():
        train, test, *further = (coloured(split) for split in (train, test, *further))
    held = hold_out(train.labels, len(source.classes))
    train, val, rows = train.take(~held), train.take(held), chosen[~held]
    said = copies.notes(source.name, train, val, test, allow_duplicates)
    pad = train.images.shape[-1] // 8 if source.pad is None else source.pad
    augmentation = Augmentation(pad=pad, flip=source.flip)
    return Dataset(
        name=source.name,
        digest=digest((train, val, test), source.classes, augmentation),
        train=train,
        val=val,
        test=test,
        classes=source.classes,
        augmentation=augmentation,
        synthetic=source.synthetic,
        resize=source.resize,
        reference=further[0] if further else None,
        reference_digest=digest(further, source.classes, augmentation) if further else None,
        limit=limit,
        imbalance=imbalance,
        rows=rows,
        pool=len(source.train.labels),
        names=source.names,
        notes=(*source.notes, *said),
    )


def _reference(source: Source, chosen: Tensor, n: int) -> Split:
    """Draw n images beside the chosen ones; the classes take turns, so that fewer are as balanced."""
    if source.further is not None:
        pool, rest = source.further(n), torch.arange(n)  # as drawn: the first of more are the same
    else:
        pool, left = source.train, torch.ones(len(source.train.labels), dtype=torch.bool)
        left[chosen] = False
        rest = left.nonzero()[:, 0]
        rest = rest[torch.randperm(len(rest), generator=generator(seed_for(0, "reference")))]
    labels = pool.labels[rest]
    turn = torch.zeros_like(labels)
    for k in range(len(source.classes)):
        turn[labels == k] = torch.arange(int((labels == k).sum()))
    fewest = int(labels.bincount(minlength=len(source.classes)).min()) * len(source.classes)
    if fewest < n:
        raise BadInput(
            f"{source.name}: {n} clean images are asked for beside the {len(chosen)} of --limit, which leave "
            f"{fewest} with as many of each class; expected a smaller --limit or --reference"
        )
    order = rest[(turn * len(source.classes) + labels).argsort()[:n]]
    images, back = order.sort()
    found = take(pool, images)
    return found.take(back.argsort())


def take(pool: Pool, rows: Tensor) -> Split:
    images = pool.read(rows)
    assert images.dtype == torch.uint8 and len(images) == len(rows)
    return Split(images, pool.labels[rows])


def choose(name: str, labels: Tensor, classes: tuple[str, ...], limit: int | None) -> Tensor:
    """Choose ascending rows of a class-balanced subset; a smaller limit gives a subset of a larger one's."""
    counts = labels.bincount(minlength=len(classes))
    fewest = int(counts.argmin())
    if int(counts[fewest]) < 2:
        raise BadInput(
            f"{name}: class {classes[fewest]!r} has one training image, "
            "expected at least 2, because one goes to validation"
        )
    if limit is not None:
        check_limit(name, limit, len(labels), len(classes))
    if limit is None or limit == len(labels):
        return torch.arange(len(labels))
    quota = torch.tensor([(limit + k) // len(classes) for k in range(len(classes))])
    short = (counts < quota).nonzero()
    if len(short):
        k = int(short[0])
        raise BadInput(
            f"{name}: --limit {limit} needs {int(quota[k])} training images of class {classes[k]!r}, "
            f"which has {int(counts[k])}; expected at most {int(counts.min()) * len(classes)}"
        )
    return draw(labels, quota, generator(seed_for(0, "limit")))


def within(source: Source, limit: int | None) -> int | None:
    """Bring a limit down to what is there: to all images (None), or to a class-balanced subset of them.

    Reference images are no part of it: cells that use none train on the same images beside those that do.
    """
    labels, classes = source.train.labels, len(source.classes)
    check_labels(f"{source.name}, train", labels, source.classes)
    balanced = int(labels.bincount(minlength=classes).min()) * classes
    if limit is None or limit <= balanced:
        return limit
    return None if limit >= len(labels) else balanced


def long_tailed(
    name: str, labels: Tensor, classes: tuple[str, ...], limit: int | None, imbalance: float
) -> Tensor:
    """Choose ascending rows of a long tail: class k of K keeps a share of imbalance ** (-k / (K-1)).

    Of n images a class the first keeps n and the last n / imbalance, whole numbers from below; a larger
    imbalance gives a subset of a smaller one's. Raises BadInput where a class would keep fewer than 2 images,
    one of which goes to validation.
    Source: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 5.1.
    """
    counts = labels.bincount(minlength=len(classes)).double()
    shares = imbalance ** -(torch.arange(len(classes), dtype=torch.float64) / (len(classes) - 1))
    quota = (counts * shares + EXACT).long()
    few = int(quota.argmin())
    if int(quota[few]) < 2:
        raise BadInput(
            f"{name}: --imbalance {imbalance:g} leaves {int(quota[few])} of the {int(counts[few])} training "
            f"images of class {classes[few]!r}, expected at least 2; give a smaller one"
            + ("" if limit is None else ", or a larger --limit")
        )
    return draw(labels, quota, generator(seed_for(0, "imbalance")))


def check_limit(name: str, limit: int, available: int, classes: int) -> None:
    if not 2 * classes <= limit <= available:
        raise BadInput(
            f"{name}: --limit is {limit}, expected {2 * classes} (2 for each class, one of them for "
            f"validation) to {available} training images"
        )


def hold_out(labels: Tensor, classes: int) -> Tensor:
    """Choose the validation images, bool (N,): the same share of every class, and at least one."""
    total = labels.bincount(minlength=classes).cumsum(0)
    ends = (total + HELD_OUT // 2) // HELD_OUT  # rounding the sums keeps the whole share right
    quota = ends.diff(prepend=ends.new_zeros(1)).clamp_(min=1)
    held = torch.zeros(len(labels), dtype=torch.bool)
    held[draw(labels, quota, generator(seed_for(0, "validation")))] = True
    return held


def draw(labels: Tensor, quota: Tensor, rng: Generator) -> Tensor:
    """Draw quota[k] random rows of every class k, ascending."""
    order = torch.randperm(len(labels), generator=rng)
    order = order[labels[order].argsort(stable=True)]  # class by class, shuffled within each
    counts = labels.bincount(minlength=len(quota))
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    return order[rank < quota[labels[order]]].sort().values


def check_labels(who: str, labels: Tensor, classes: tuple[str, ...]) -> None:
    if len(classes) < 2:
        raise BadInput(f"{who}: {len(classes)} class, expected at least 2")
    wrong = labels[(labels < 0) | (labels >= len(classes))]
    if len(wrong):
        raise BadInput(f"{who}: a label is {int(wrong[0])}, expected 0 to {len(classes) - 1}")
    empty = (labels.bincount(minlength=len(classes)) == 0).nonzero()
    if len(empty):
        raise BadInput(f"{who}: class {classes[int(empty[0])]!r} has no image, expected at least one")


def alike(name: str, *splits: Split) -> list[Split]:
    """Bring splits to one shape; gray becomes colour where another split has colour."""
    sizes = [(split.images.shape[3], split.images.shape[2]) for split in splits]
    if len({*sizes}) > 1 or sizes[0][0] != sizes[0][1]:
        seen = " and ".join(f"{w}x{h}" for w, h in sorted(set(sizes)))
        raise BadInput(
            f"{name}: images of {seen} pixels, expected squares of one size; folder:DIR@S makes them so"
        )
    channels = max(split.images.shape[1] for split in splits)
    return [Split(split.images.expand(-1, channels, -1, -1).contiguous(), split.labels) for split in splits]


def coloured(split: Split) -> Split:
    return Split(split.images.repeat(1, 3, 1, 1), split.labels)


def digest(splits: Iterable[Split], classes: tuple[str, ...], augmentation: Augmentation) -> str:
    """Hash (sha256) all that decides what a network can learn from a data set."""
    seen = hashlib.sha256(repr((classes, augmentation)).encode())
    for split in splits:
        seen.update(repr(tuple(split.images.shape)).encode())
        seen.update(split.images.numpy().data)
        seen.update(split.labels.numpy().astype("<i8").data)
    return seen.hexdigest()
