"""What a victim may do about its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.pixels import check_like
from bench.core.types import Dataset, Recipe, Split, check_positive

Kit = Any  # a bench.core.kit.Kit, which knows the loop that trains with defenses


@dataclass(frozen=True)
class Undefended:
    """The defense `none`, and the base of all others: override exactly the hook you need.

    The order is fixed: purify (prepare), once for all victims of a poison -> begin, once for each victim ->
    crop and flip -> augment -> loss -> net, which normalises -> finish, after the last step.
    """

    # Raised by whoever changes what a victim learns from, on the class itself: a class below that says none
    # is a draft, which rows tell by its code.
    revision: ClassVar[int] = 1
    of_net: ClassVar[tuple[str, ...]] = ()  # recipes of the victim's net, which may bring its own
    of_shown: ClassVar[tuple[str, ...]] = ()  # recipes of nets that learn from the shown images
    POSITIVE: ClassVar[tuple[str, ...]] = ()  # fields that must be above 0
    # Whether the class's augment and loss do the same tensor operations at every step, whatever progress is,
    # draw from rng alone and wait for no value: a GPU then records a training step and replays it. It is
    # said beside the hooks, and holds for no class below that has hooks of its own.
    STEADY: ClassVar[bool] = True
    prepares_tests: ClassVar[bool] = False  # whether validation and test images pass prepare() as well
    # L-inf radius, pixels in [0,1], at which victims that train adversarially are attacked; None: they do not
    robust: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        check_positive(self, self.POSITIVE)

    @property
    def reference(self) -> int:
        """Clean images that the defense uses, beside those that are published; most have a field for it."""
        return 0

    @property
    def leaks(self) -> int:
        """Published images whose clean originals the defense knows, too."""
        return 0

    @property
    def cost(self) -> float:
        """Seconds of an epoch against an undefended one, roughly; only for time estimates.

        How many epochs there are is recipe's to say.
        """
        return 1.0

    @property
    def only_together(self) -> bool:
        """Whether it purifies all published images at once, and prepares no image by itself."""
        own = type(self)
        return own.purify is not Undefended.purify and own.prepare is Undefended.prepare

    def unsuited(self, data: Dataset) -> str | None:
        """Why this defense means nothing for these images; None if it does."""
        return None

    def prepare(self, images: Tensor) -> Tensor:
        """Once: uint8 (N,C,H,W) -> uint8 (N,C,H,W), what the victim is shown."""
        return images

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        """Prepare with more than the images themselves: labels (N,), and what the kit has."""
        return self.prepare(images)

    def recipe(self, victim: Recipe) -> Recipe:
        """Say how the victim is trained, which by itself would be as victim says."""
        return victim

    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        """Before the first step, and again before a training goes on: change the net in place.

        What it adds to the net as a module is trained with it. The same kit gives the same net.
        """

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        """After the last step: change the trained net, in eval mode, in place."""

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        """Each batch: float32 (B,C,H,W) in [0,1] -> the same."""
        return x

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        """Each step: the scalar that training lowers. progress: share of the training done, in [0,1)."""
        return F.cross_entropy(net(x), y)


def is_steady(defense: Undefended) -> bool:
    """Whether a training step may be recorded: the class that has the hooks says so itself."""
    for own in type(defense).__mro__:
        if "STEADY" in vars(own):
            return bool(defense.STEADY)
        if {"augment", "loss"} & vars(own).keys():
            return False
    return False


def trains_otherwise(defense: Undefended) -> bool:
    """Whether a defense acts before or after the training, or changes how it goes."""
    return any(
        getattr(type(defense), hook) is not getattr(Undefended, hook)
        for hook in ("recipe", "begin", "finish")
    )


def check_prepared(shown: Tensor, images: Tensor, who: str) -> None:
    """Raise ValueError unless a defense returned images of the same shape and type, in the same place."""
    check_like(shown, images, torch.uint8, f"defense {who!r} prepared")


def check_augmented(found: Tensor, x: Tensor, who: str) -> None:
    """Raise ValueError unless a defense returned a batch of the same shape, type and place, in [0,1]."""
    check_like(found, x, x.dtype, f"defense {who!r} augments to")
    if not bool(((found >= 0) & (found <= 1)).all()):
        low, high = float(found.min()), float(found.max())
        raise ValueError(f"defense {who!r} augments to values from {low:g} to {high:g}, expected [0,1]")


def does_nothing(
    defense: Undefended, net: nn.Module, images: Tensor, x: Tensor, y: Tensor, rng: Generator
) -> bool:
    """Whether every hook of a defense is the identity on this batch (net's averages are moved).

    images: uint8 (B,C,H,W), x: the same images in [0,1], y: their labels.
    """
    same_images = torch.equal(defense.prepare(images.clone()), images)
    if not same_images or not torch.equal(defense.augment(x.clone(), rng), x):
        return False
    net.train()
    plain = Undefended().loss(net, x, y, rng, 0.0)
    return all(torch.equal(defense.loss(net, x, y, rng, at), plain) for at in (0.0, 0.5, 0.99))
