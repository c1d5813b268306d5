"""Last-layer retraining on clean images: whether the features of a poisoned net are good all the same.

Sandoval-Segura et al., "What Can We Learn from Unlearnable Datasets?", NeurIPS 2023, who take deep feature
reweighting (Kirichenko et al., ICLR 2023, section 5) to unlearnable data: after training on the published
images, the last layer alone is fitted by L-BFGS to 5,000 clean ones, randomly cropped and mirrored.
dfr-random does the same with a net that was never trained: what is above it was learnt from published images.
Differs from the paper: L-BFGS minimises over 15 views of all clean images at once, from zero, where the
official code takes 20 steps of rate 0.5 on each batch of 1,024, 15 times over; batch norm keeps the averages
of the training, theirs move with the clean images (their net is in training mode), so that more than the last
layer adapts; in dfr-random they are those of no image (mean 0, variance 1), so that ours is weaker. The net
is that of the last epoch, theirs of every one of 60; the victim's recipe is the run's. The clean images are
none of the published ones; theirs are of the same training set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.rng import seed_for
from bench.core.train import accuracy
from bench.core.types import BadInput, Recipe, Split
from defenses._last_layer import fit_last_layer, head_of


@dataclass(frozen=True)
class LastLayer(Undefended):
    """Train as ever, then fit the last layer to clean images."""

    reference: int = 5000  # those clean images
    views: int = 15  # of each of them, cropped and mirrored at random
    steps: int = 300  # of L-BFGS, at most
    trained: bool = True  # whether the net below is; else it is as it was built

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("views", "steps")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {"quick": {"reference": 500}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference < 1:
            raise BadInput(f"last-layer retraining has {self.reference} clean images, expected some")

    def recipe(self, victim: Recipe) -> Recipe:
        return victim if self.trained else replace(victim, epochs=1)

    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        head_of(net)  # before hours of training

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        if not self.trained:
            net.load_state_dict(kit.build(seed_for(kit.seed, "untrained")).state_dict())
        kit.note(val_acc_before=accuracy(net, kit.val))
        fit_last_layer(net, kit.clean(), kit, views=self.views, steps=self.steps)


VARIANTS = {"dfr": LastLayer(), "dfr-random": LastLayer(trained=False)}
CONTROLS = ("dfr-random",)
ALL = ()
