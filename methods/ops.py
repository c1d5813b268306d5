"""OPS: set one pixel of all images of a class to one colour, where that changes them most and most alike.

Wu, Chen, Xie, Huang, "One-Pixel Shortcut: on the Learning Preference of Deep Neural Networks", ICLR 2023,
section 3.
Differs from the paper: ops has the official code's score, mean over standard deviation of the distances
from the colour, of all images and channels; ops-paper has that of the paper's equation, mean over variance
of an image's sum over its channels, which chooses other pixels. A pixel that has the colour in all images
already has no score (of the official code, which divides zero by zero, it has the highest); one that is
equally far from it in all images has the highest. Of equal scores the first place and colour is taken,
where the official code leaves that to the sort.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.core.method import Form, Lab, Method, Need
from bench.core.pixels import to_float
from bench.core.threat import Threat
from bench.core.types import Split


@dataclass(frozen=True)
class OPS(Method):
    """One pixel for each class, found by trying all places and all colours with channels of 0 or 1."""

    eps: float = 1.0  # no L-inf bound
    score: Literal["code", "paper"] = "code"  # mean / deviation, or mean / variance of the channels' sum

    revision: ClassVar[int] = 1
    form: ClassVar[Form] = "class-wise"
    maps_images: ClassVar[bool] = True
    needs: ClassVar[tuple[Need, ...]] = ("labels",)

    @property
    def threat(self) -> Threat:
        return Threat("l0", 1)

    @property
    def seeded(self) -> bool:
        return False  # nothing is drawn

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        changed = to_float(clean.images).flatten(2)
        colours = torch.tensor([*product((0.0, 1.0), repeat=changed.shape[1])], device=changed.device)
        taken = torch.zeros(len(colours), changed.shape[2], dtype=torch.bool, device=changed.device)
        for label in range(lab.classes):
            own = (clean.labels == label).nonzero()[:, 0]
            if len(own):
                scores = self.scores(changed[own], colours).masked_fill(taken, -1)
                colour, place = (scores == scores.amax()).nonzero()[0].tolist()
                taken[colour, place] = True  # no pair serves two classes
                changed[own, :, place] = colours[colour]
            lab.tick((label + 1) / lab.classes, f"class {label + 1}")
        return changed.view(clean.images.shape)

    def scores(self, x: Tensor, colours: Tensor) -> Tensor:
        """Score every colour at every place of a class's images; 0 where it is there already.

        x: (n,C,H*W) in [0,1]. colours: (K,C). Returns float32 (K,H*W), each 0 or more, perhaps infinite.
        """
        found = []
        for colour in colours:
            far = (x - colour[:, None]).abs().double()
            if self.score == "code":
                mean, spread = far.mean((0, 1)), far.std((0, 1), correction=0)
            else:
                mean, spread = far.sum(1).mean(0), far.sum(1).var(0, correction=0)
            found.append((mean / spread).where(mean > 0, 0.0).float())
        return torch.stack(found)


VARIANTS = {"ops": OPS(), "ops-paper": OPS(score="paper")}
ALL = ()
