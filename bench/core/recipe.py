"""How networks are trained, and what may be done to their images. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from bench.core.errors import BadInput

# Metadata of a plugin's field that came after rows were stored, and whose default is what there was before:
# no key takes it where it has its default, so that those rows keep theirs. The default never changes.
ADDED = {"added": True}
MOST_LR = 100  # beyond it no training is meant


def check_positive(thing: object, names: Iterable[str]) -> None:
    """BadInput unless these numbers of a plugin are above 0."""
    for name in names:
        value = getattr(thing, name)
        if not value > 0:
            raise BadInput(f"{type(thing).__name__}: {name} is {value:g}, expected above 0")


@dataclass(frozen=True)
class Augmentation:
    """What a data set says may be done to an image without changing its label."""

    pad: int = 4  # random crop after padding by so many zero pixels; 0: none
    flip: bool = True  # random mirror image, left to right


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; surrogates and victims each have one."""

    epochs: int = 30  # passes over the training images
    batch: int = 128  # images in a step
    lr: float = 0.1  # learning rate of SGD in the first step
    momentum: float = 0.9  # of SGD, in [0,1)
    weight_decay: float = 5e-4  # of all weights, at every step
    nesterov: bool = False  # whether momentum is Nesterov's
    schedule: Literal["cosine", "steps", "halvings", "constant"] = "cosine"  # set at every step
    # shares of the training at which lr drops, with "steps" to a tenth and with "halvings" to half
    milestones: tuple[float, ...] = ()
    final_lr: float = 0.0  # with "cosine": where it ends
    clip: float | None = None  # largest gradient norm
    optimiser: Literal["sgd", "adamw"] = field(default="sgd", metadata=ADDED)  # adamw: betas 0.9 and 0.999
    warmup: float = field(default=0.0, metadata=ADDED)  # share of the training in which lr rises from 0

    def __post_init__(self) -> None:
        check_positive(self, ("epochs", "batch", "lr"))
        if not 0 <= self.momentum < 1 or self.weight_decay < 0 or (self.nesterov and not self.momentum):
            raise BadInput(f"a recipe needs momentum in [0,1) and weight decay of 0 or more, got {self}")
        if self.lr > MOST_LR or not 0 <= self.final_lr <= MOST_LR:
            raise BadInput(f"a recipe's rates are {self.lr:g} to {self.final_lr:g}, expected 0 to {MOST_LR}")
        if wrong := [at for at in self.milestones if not 0 < at <= 1]:
            hint = f"; did you mean {wrong[0] / self.epochs:g}?" if 1 < wrong[0] <= self.epochs else ""
            raise BadInput(
                f"a recipe's milestone is {wrong[0]:g}, expected a share of the training, 0 to 1{hint}"
            )
        if not 0 <= self.warmup < 1:
            raise BadInput(f"a recipe's warmup is {self.warmup:g}, expected a share of 0 up to 1")
        if self.clip is not None and self.clip <= 0:
            raise BadInput(f"a recipe's clip is {self.clip:g}, expected above 0 or none")


def recipes(plugin: Any) -> dict[str, Recipe]:
    """Give the fields of a plugin that are recipes."""
    values = {f.name: getattr(plugin, f.name) for f in fields(plugin)}
    return {name: value for name, value in values.items() if isinstance(value, Recipe)}
