"""What someone takes back from published images who knows some of them as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from bench.core.defense import check_prepared
from bench.core.kit import Kit
from bench.core.pixels import to_float
from bench.core.rng import generator, seed_for
from bench.core.types import Split
from bench.experiment.context import RunContext
from bench.experiment.isolation import isolated
from bench.experiment.registry import Plugin

FEWEST = 4  # images below which nothing is measured


@dataclass(frozen=True)
class Leak:
    """The perturbation of images that did not leak, after a defense that knows others of them."""

    defense: str
    pairs: int  # known both clean and published
    images: int  # on which it is measured: all others
    left: float  # of the perturbation's energy: 0 all is undone, 1 nothing; above 1 it does harm

    def __str__(self) -> str:
        back = f"undoes {100 * (1 - self.left):.0f} %" if self.left < 1 else "undoes nothing"
        return (
            f"warning: whoever has {self.pairs} of these images as they were {back} of the perturbation's "
            f"energy in the other {self.images} ({self.defense}); keep the originals to yourself"
        )


def leak(context: RunContext, published: Split, defenses: list[Plugin]) -> Leak | None:
    """Measure it under the defense that needs the fewest pairs, of half of the images at most.

    published: on the device, as the context's training images. None where no defense knows any pair, where
    it means nothing for these images, or where these are fewer than FEWEST.
    """
    data, n = context.data, len(published)
    knowing = sorted((d for d in defenses if d.value.leaks), key=lambda d: (d.value.leaks, d.name))
    if not knowing or n < FEWEST:
        return None
    pairs = min(knowing[0].value.leaks, n // 2)
    value = replace(knowing[0].at(context.profile).value, leaks=pairs)
    if value.unsuited(data) is not None:
        return None
    seed = seed_for(context.setting.seed, "leak", data.name, knowing[0].name)
    order = torch.randperm(n, generator=generator(seed)).to(published.labels.device)
    known, others = order[:pairs], order[pairs:]
    build = lambda s: context.build(context.setting.net, s)  # noqa: E731
    kit = Kit(len(data.classes), data.augmentation, data.val, build, seed)
    kit.pairs = data.train.images[known], published.images[known]
    offered = published.take(others)
    with isolated(seed_for(seed, "global"), context.device, kit.left):
        purified = value.purify(offered.images.clone(), offered.labels.clone(), kit)
    check_prepared(purified, offered.images, knowing[0].name)
    clean = to_float(data.train.images[others])
    before, after = (float((to_float(x) - clean).square().sum()) for x in (offered.images, purified))
    return Leak(knowing[0].name, pairs, len(others), after / before) if before else None
