"""Every plugin in a test-sized copy; toy images, nets and labs are those of conform."""

from __future__ import annotations

from torch import Tensor

from bench.conform.toys import (
    AUGMENTATION,
    CLASSES,
    SIZE,
    SMALLER,
    begun,
    delta_of,
    equal_weights,
    killed_at_every_save,
    noise,
    overdue,
    purified,
    shrink,
    small_net,
    toy_dataset,
    toy_kit,
    toy_lab,
    toy_split,
)
from bench.core.method import Lab, Method
from bench.core.types import Recipe, Split
from bench.experiment.registry import Plugin, catalog
from bench.nets import Net

__all__ = [
    "AUGMENTATION",
    "CLASSES",
    "DEFENSES",
    "EXAMPLES",
    "METHODS",
    "RECIPE",
    "SIZE",
    "SMALLER",
    "begun",
    "delta_of",
    "equal_weights",
    "killed_at_every_save",
    "noise",
    "overdue",
    "purified",
    "shrink",
    "small_net",
    "toy_dataset",
    "toy_kit",
    "toy_lab",
    "toy_split",
    "with_surrogate",
]

EXAMPLES = {
    "methods": ("mi-ue-at2",),
    "defenses": ("at-3", "iss-jpeg50", "iss-bdr4", "leak-9", "leak-unet-9"),
}  # one instance a pattern


def _plugins(kind: str) -> dict[str, Plugin]:
    found = catalog(kind)
    return {name: shrink(found.get(name)) for name in (*found.variants, *EXAMPLES[kind])}


METHODS, DEFENSES = _plugins("methods"), _plugins("defenses")


def with_surrogate(value: Method, clean: Split, lab: Lab | None = None) -> tuple[Net, Tensor]:
    """The surrogate of a method in eval mode, and what was crafted with it as a delta."""
    lab, nets = lab or toy_lab(), list[Net]()
    lab.build = lambda seed: nets.append(small_net(seed)) or nets[-1]  # type: ignore[func-returns-value]
    delta = delta_of(value, clean, lab)
    nets[-1].eval()
    return nets[-1], delta


RECIPE = Recipe(epochs=2, batch=24, lr=0.05)
