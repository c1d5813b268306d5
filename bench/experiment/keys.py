"""Identity of results: names, declared revisions, parameters, images, nets, recipes, seeds; never code.

A key must not change where behaviour does not: so no source, module path or file name is in it. It must
change where behaviour does: whoever changes what comes out raises a revision, here or on a method, defense,
net or metric, and records new golden numbers (tests/golden), without which a test fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from bench.core.types import Dataset
from bench.data.prepare import digest
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.nets import architecture
from bench.results.identity import key_of, parameters

REVISIONS = {
    "data": 1,  # how images are read, chosen, held out and digested
    "crafting": 1,  # what a method is lent, how its delta becomes uint8, which images stay clean
    "training": 1,  # the training loop, crop and flip, PGD, and what a victim is seeded with
    "evaluation": 1,  # accuracy, learning curve, distances
    "mi": 3,  # of a row's MI: images, estimators and pairs; until 2 another estimator, which had no ceiling
}
_DIGESTS: dict[tuple[str | None, int], str] = {}  # of references and how many of their images
# Fields of the setting that a row's key takes beside those that a poison's takes
OF_VICTIMS = (
    "net",
    "eps",
    "prepare_test",
    "points",
    "victim",
    "mi",
    "share",
    "drop_poisoned",
    "robust_images",
)


def crafting(data: Dataset, setting: Setting, method: Plugin, poison_rep: int) -> dict[str, Any]:
    """Say what decides a delta: variants that only publish it otherwise share it."""
    return {**_shared(data, setting), "method": method.crafting, "poison_rep": poison_rep}


def publication(data: Dataset, setting: Setting, method: Plugin, poison_rep: int) -> dict[str, Any]:
    """Say what decides published images."""
    return {**_shared(data, setting), "method": method.inputs, "poison_rep": poison_rep}


def setting_inputs(data: Dataset, setting: Setting) -> dict[str, Any]:
    """Say what the rows of one table share: all that decides a row but method, defense and repetitions."""
    shared, chosen = _shared(data, setting), parameters(setting)
    revisions = shared["revisions"] | {name: REVISIONS[name] for name in ("evaluation", "mi")}
    nets = _versions({"surrogate": setting.surrogate, "net": setting.net}, revisions)
    return {**shared, **{name: chosen[name] for name in OF_VICTIMS if name in chosen}, **nets}


@dataclass(frozen=True)
class Identity:
    """What decides a row's numbers."""

    inputs: dict[str, Any]
    setting: str  # the key of what the rows of one table share

    @cached_property
    def key(self) -> str:
        return key_of(self.inputs)


def cell(
    data: Dataset, setting: Setting, method: Plugin, defense: Plugin, poison_rep: int, rep: int
) -> Identity:
    used = {"reference_digest": _reference(data, n)} if (n := defense.value.reference) else {}
    own = {"method": method.inputs, "defense": defense.inputs | used, "poison_rep": poison_rep, "rep": rep}
    shared = setting_inputs(data, setting)
    return Identity({**shared, **own}, key_of(shared))


def _reference(data: Dataset, n: int) -> str | None:
    """Digest the clean images that a defense uses: the first n, whatever others of the run use."""
    if data.reference is None or n == len(data.reference):
        return data.reference_digest
    known = data.reference_digest, n
    if known not in _DIGESTS:
        _DIGESTS[known] = digest([data.reference.take(torch.arange(n))], data.classes, data.augmentation)
    return _DIGESTS[known]


def images(data: Dataset, setting: Setting) -> str:
    """Make a key of the images and of how nets compute on them."""
    return key_of(_shared(data, setting))


def _shared(data: Dataset, setting: Setting) -> dict[str, Any]:
    """Give the images, how to compute on them, and the surrogate: what a poison's and a row's key take."""
    revisions = {name: REVISIONS[name] for name in ("data", "crafting", "training")}
    nets = _versions({"surrogate": setting.surrogate}, revisions)
    seen = {name: getattr(data, name) for name in ("name", "digest", "limit", "resize")}
    seen |= {"train_images": len(data.train), "augmentation": parameters(data.augmentation)}
    if data.imbalance != 1:
        seen["imbalance"] = data.imbalance
    chosen = {name: getattr(setting, name) for name in ("surrogate", "precision", "seed")}
    return {**nets, "data": seen, **chosen}


def _versions(nets: Mapping[str, str], revisions: Mapping[str, int]) -> dict[str, Any]:
    """Say the revisions of nets beside others, and of drafts, which have none, their code."""
    used = {part: architecture(name) for part, name in nets.items()}
    declared = {part: net.revision for part, net in used.items() if net.revision is not None}
    drafts = {part: net.code for part, net in used.items() if net.revision is None}
    return {"revisions": {**revisions, **declared}, **({"drafts": drafts} if drafts else {})}
