"""CutMix and Mixup: learn from pairs of images, pasted or faded together, and from both their labels.

Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV
2019, section 3; Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section 2. Both with
Beta(1,1), which is uniform, in the two readings of evaluations of unlearnable examples: with probability a
half and twice an image (EM, ISS), and each image once (kornia's V2 defaults: APBench, MI-UE: -kornia).
Differs from the paper: each image draws its own share, as in those evaluations; partners are a permutation
of the batch, which in EM's and ISS's code are any images of the data set. EM's Mixup adds the partner
times one minus itself; ours is ISS's, which mends that. kornia waits for the device at every batch, ours
does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.defense import Undefended
from bench.core.types import BadInput


@dataclass(frozen=True)
class Mixing(Undefended):
    """Cross-entropy of mixed images with labels mixed alike: subclasses say how images are."""

    p: float = 0.5  # probability of each mix of an image
    mixes: int = 2  # one after the other, each with another image of the batch as it was

    POSITIVE: ClassVar[tuple[str, ...]] = ("p", "mixes")
    STEADY: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.p > 1:
            raise BadInput(f"{type(self).__name__} has p {self.p:g}, expected a probability")

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        x, labels, shares = self.mixed(x, y, rng)
        logits: Tensor = net(x)
        target = (F.one_hot(labels, logits.shape[1]) * shares[:, :, None]).sum(0)
        return F.cross_entropy(logits, target.to(logits.dtype))

    def mixed(self, x: Tensor, y: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Mix a batch: (B,C,H,W), labels (M,B) and the share that each has in an image: (M,B), sums of 1."""
        z, labels, shares = x, y[None], torch.ones(1, len(x), device=x.device)
        for _ in range(self.mixes):
            partner = torch.rand(len(x), generator=rng, device=x.device).argsort()
            chosen = torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device) < self.p
            taken = self.taken(x, rng) * chosen
            z = z * (1 - taken) + x[partner] * taken
            share = taken.mean((1, 2, 3))
            labels, shares = (
                torch.cat([labels, y[partner][None]]),
                torch.cat([shares * (1 - share), share[None]]),
            )
        return z, labels, shares

    def taken(self, x: Tensor, rng: Generator) -> Tensor:
        """Draw the part of each pixel that is the partner's: (B,1,H,W) or (B,1,1,1) in [0,1]."""
        raise NotImplementedError


@dataclass(frozen=True)
class CutMix(Mixing):
    """A box of the partner in the place of the image's."""

    inside: bool = False  # the whole box lies in the image; else its centre does, and its border is cut

    revision: ClassVar[int] = 1

    def taken(self, x: Tensor, rng: Generator) -> Tensor:
        b, _, h, w = x.shape
        side = torch.rand(b, generator=rng, device=x.device).sqrt()  # of one minus a uniform share
        rows, columns = self._line(side, h, rng), self._line(side, w, rng)
        return (rows[:, None, :, None] & columns[:, None, None, :]).to(x.dtype)

    def _line(self, side: Tensor, length: int, rng: Generator) -> Tensor:
        """Draw where a box of that share of a side lies: bool (B,length)."""
        cut, place = (side * length).floor(), torch.rand(len(side), generator=rng, device=side.device)
        if self.inside:
            first = (place * (length - cut + 1)).floor().minimum(length - cut)
            last = first + cut
        else:
            centre, half = (place * length).floor(), (cut / 2).floor()
            first, last = centre - half, centre + half
        line = torch.arange(length, device=side.device)
        return (line >= first[:, None]) & (line < last[:, None])


@dataclass(frozen=True)
class MixUp(Mixing):
    """The mean of both images, weighted by a uniform share."""

    revision: ClassVar[int] = 1

    def taken(self, x: Tensor, rng: Generator) -> Tensor:
        return torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device)


VARIANTS = {
    "cutmix": CutMix(),
    "cutmix-kornia": CutMix(p=1.0, mixes=1, inside=True),
    "mixup": MixUp(),
    "mixup-kornia": MixUp(p=1.0, mixes=1),
}
ALL = ()
