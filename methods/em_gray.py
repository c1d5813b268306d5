"""EM with gray augmentation: error-minimising noise without colour, found on gray images.

Liu, Zhao, Kolmus, Berns, van Laarhoven, Heskes, Larson, "Going Grayscale: The Road to Understanding and
Improving Unlearnable Examples", arXiv 2111.13244: ULEO-GrayAugs.
Differs from the paper: as EM does, see there. As in the official code, the surrogate learns from gray images
that are cropped and flipped before the noise is added, which stays in place; what is perturbed is cropped and
flipped so, too, anew in each round; a step is the sum of the channels' signs, so three times as long; the
error is measured on coloured images. There they are cropped for that, too, the noise is brought to the
pixel range after it is made gray, and not before, and all is taken in the data set's order. Smaller profiles
crop and flip what the surrogate learns from after the noise is added, as EM's do, and perturb images as they
are; they have smaller batches and fewer rounds and steps, quick a lower learning rate. Images of one channel
lose nothing by being gray. The authors take multi-layer perceptrons as surrogates, too; here it is the
setting's net.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.augment import crop_flip
from bench.core.method import Lab
from bench.core.pgd import pgd
from bench.core.pixels import luminance, to_float
from bench.core.types import Split
from methods._rounds import Rounds


@dataclass(frozen=True)
class EMGray(Rounds):
    """Error-minimising noise that is the same in all channels, one perturbation an image."""

    moved: bool = True  # whether images are cropped and flipped before they are perturbed

    revision: ClassVar[int] = 1
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {
            "surrogate.batch": 64,
            "surrogate.lr": 0.05,
            "augment": True,
            "moved": False,
            "steps": 5,
            "step": 0.1,
            "max_rounds": 40,
        },
        "cifar-cpu": {"surrogate.batch": 64, "augment": True, "moved": False, "steps": 7, "max_rounds": 30},
        "reference": {"surrogate.batch": 64, "augment": True, "moved": False, "steps": 7, "max_rounds": 30},
    }

    def learnt(self, clean: Split, rows: Tensor, delta: Tensor, lab: Lab, rng: Generator) -> Tensor:
        z = (luminance(self._images(clean, rows, lab, rng)) + delta).clamp_(0, 1)
        return crop_flip(z, lab.augmentation, rng) if self.augment else z

    def perturb(
        self, net: nn.Module, clean: Split, searched: Tensor, delta: Tensor, lab: Lab, rng: Generator
    ) -> None:
        for rows in searched.split(self.batch):
            x, y = self._images(clean, rows, lab, rng), clean.labels[rows]
            delta[rows] = self._gray(net, x, y, delta[rows])

    def _images(self, clean: Split, rows: Tensor, lab: Lab, rng: Generator) -> Tensor:
        x = to_float(clean.images[rows])
        return crop_flip(x, lab.augmentation, rng) if self.moved else x

    def _gray(self, net: nn.Module, x: Tensor, y: Tensor, delta: Tensor) -> Tensor:
        """Lower the net's loss on the gray image; delta, as it comes and goes, is equal in all channels."""
        for _ in range(self.steps):
            delta = pgd(
                lambda z: F.cross_entropy(net(luminance(z)), y, reduction="sum"),
                x,
                delta,
                eps=self.eps,
                step=x.shape[1] * self.step * self.eps,
                steps=1,
            )
            delta = luminance(delta)
        return delta.clamp(-self.eps, self.eps)  # weights of float32 do not quite sum to 1


VARIANTS = {"em-gray": EMGray()}
ALL = ()
