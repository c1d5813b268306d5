"""Toy images, nets and labs, and copies of plugins that run on them in a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.core.checkpoint import Checkpoint, OutOfTime
from bench.core.contract import check_form
from bench.core.defense import Undefended
from bench.core.errors import BadInput
from bench.core.kit import Kit
from bench.core.method import Lab, Method
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Augmentation, Dataset, Split
from bench.data.prepare import digest
from bench.experiment.overrides import change
from bench.experiment.registry import Plugin
from bench.nets import Net
from bench.nets import build as build_net

T = TypeVar("T")
CLASSES, SIZE = 4, 16
AUGMENTATION = Augmentation(pad=2, flip=False)  # a mirrored quadrant is another class
SMALLER = {  # field -> value, wherever a plugin has such a field
    "surrogate.epochs": 2,
    "surrogate.batch": 32,
    "batch": 40,  # so that the last batch is smaller
    "steps": 5,
    "step": 0.2,  # of eps
    "first_step": 0.1,
    "last_step": 0.1,
    "max_rounds": 4,
    "max_passes": 3,
    "restarts": 2,
    "epochs": 1,  # passes over a delta that would end at its bounds
    "linear.batch": 16,
    "reference": 40,
    "leaks": 8,
    "prior.epochs": 6,
    "prior.batch": 16,
    "training.epochs": 4,
    "training.batch": 16,
    "robust.steps": 2,
    "crops": 2,
}


def shrink(plugin: Plugin) -> Plugin:
    """Make a plugin run in a second: its fields that are known to cost time are set, by their names."""
    for path, value in SMALLER.items():
        if path == "step" and plugin.kind == "defenses":
            continue  # in pixels there
        if path == "leaks" and not getattr(plugin.value, path, 0):
            continue  # none are none
        try:
            plugin = replace(plugin, value=change(plugin.value, path, value, plugin.name))
        except BadInput:
            continue  # it has no such field
    return plugin


def delta_of(value: Method, clean: Split, lab: Lab) -> Tensor:
    """Craft what a method does, float32 (N,C,H,W), as a difference from the clean images."""
    found = value.craft(clean, lab)
    if not value.maps_images:
        return found
    check_form(found, clean.images, type(value).__name__)
    return found - to_float(clean.images)


def toy_split(n: int, seed: int, *, channels: int = 3, size: int = SIZE, contrast: int = 100) -> Split:
    """Class k has a bright quadrant k on noise: no defense of the suite removes that."""
    rng = generator(seed)
    labels = torch.randint(0, CLASSES, (n,), generator=rng)
    images = torch.randint(40, 120, (n, channels, size, size), generator=rng)
    half = size // 2
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = (half * (label // 2), half * (label % 2))
        image[:, row : row + half, column : column + half] += contrast
    return Split(images.to(torch.uint8), labels)


def toy_dataset(*, channels: int = 3) -> Dataset:
    train, val, test = (toy_split(n, n, channels=channels) for n in (64, 24, 40))
    names = tuple("abcd")
    true = digest((train, val, test), names, AUGMENTATION)
    return Dataset("toy", true, train, val, test, names, AUGMENTATION, synthetic=True)


def small_net(seed: int = 0, *, channels: int = 3) -> Net:
    device = torch.device("cpu")
    shape = {"channels": channels, "classes": CLASSES, "size": SIZE}
    return build_net("small", **shape, precision="fp32", seed=seed, device=device)


def toy_lab(seed: int = 1, checkpoint: Checkpoint | None = None) -> Lab:
    lab = Lab(CLASSES, AUGMENTATION, toy_split(24, 24), small_net, seed)
    lab.checkpoint = checkpoint or Checkpoint()
    return lab


def toy_kit(value: Undefended, offered: Split, seed: int = 1) -> Kit:
    """Give what a defense says that it uses: of the pairs, the image as it was is a little darker."""
    channels = offered.images.shape[1]
    build = partial(small_net, channels=channels)
    kit = Kit(CLASSES, AUGMENTATION, toy_split(24, 24, channels=channels), build, seed)
    if value.reference:
        kit.reference = toy_split(value.reference, 7, channels=channels)
    if value.leaks:
        leaked = offered.images[: value.leaks].clone()
        kit.pairs = leaked - leaked // 16, leaked
    return kit


def purified(value: Undefended, offered: Split) -> Split:
    """Purify images as a defense does, lent copies."""
    lent = offered.clone()
    return Split(value.purify(lent.images, lent.labels, toy_kit(value, offered)), offered.labels.clone())


def begun(value: Undefended, offered: Split) -> Net:
    """Build a net as it is before its first step, in training mode."""
    net = small_net(channels=offered.images.shape[1])
    value.begin(net, offered.clone(), toy_kit(value, offered))
    return net.train()


def overdue(path: Path) -> Checkpoint:
    """Make a checkpoint that ends the work at its first save."""
    return Checkpoint(path, seconds=0, deadline=time.monotonic() - 1)


def killed_at_every_save(work: Callable[[Checkpoint], T], path: Path) -> tuple[T, int]:
    """Run a work that is stopped at each save and started again; its result and how often that was."""
    for kills in range(200):
        try:
            return work(overdue(path)), kills
        except OutOfTime:
            continue
    raise AssertionError("200 attempts and no end")


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    """Bit-identical parameters and averages."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0,1]."""
    return torch.rand(shape, generator=generator(seed))
