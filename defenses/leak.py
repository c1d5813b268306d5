"""Leaked pairs: whoever has some images both clean and published learns to undo the perturbation of the rest.

No source. The threat is that of Wang et al., "BridgePure: Limited Protection Leakage Can Break Black-Box
Data Protection", 2024: whoever may use a protection service owns pairs. Two purifiers, fitted to k pairs,
published to clean, stand for its diffusion bridge: leak-{k}, a ridge regression on patches of 8x8 pixels, and
leak-unet-{k}, a U-Net of about 100,000 weights. The victim trains on all published images, purified. leak-0
has no pair and changes nothing, and so does a purifier of a method that changes nothing, clean for one: what
is learnt is clean minus published, beginning with 0.
Differs from the paper: it has a diffusion bridge, and trains on purified images alone that were not leaked;
here the leaked ones are among them, purified as the others are, not in their clean state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.pixels import to_float, to_uint8
from bench.core.rng import global_rng
from bench.core.train import Trainer
from bench.core.types import BadInput, Dataset, Recipe
from defenses._purifiers import Patchwise, UNet, patches

AT_ONCE = 2**17  # pixels of images that are worked on together
PENALTIES = tuple(10.0**power for power in range(-7, 1))  # of a patch's mean square
HELD_OUT = 5  # one pair in so many chooses among them


@dataclass(frozen=True)
class Leak(Undefended):
    """No pair is known: the images stay as they are."""

    leaks: int = 0  # published images whose clean originals are known

    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.leaks < 0:
            raise BadInput(f"{type(self).__name__}: leaks is {self.leaks}, expected 0 pairs or more")

    def unsuited(self, data: Dataset) -> str | None:
        if self.leaks < len(data.train):
            return None
        return f"{data.name} has {len(data.train)} training images, all of them would be leaked"

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        """Add to images what the purifier misses in them.

        Facts say how far apart the pairs are, before and after: it was fitted to these, others stay further.
        """
        if not self.leaks or kit.pairs is None:
            return images
        clean, published = (to_float(part) for part in kit.pairs)
        if len(clean) < self.leaks:
            raise BadInput(f"{len(clean)} images are offered, expected the {self.leaks} that were leaked")
        purifier = self.fitted(clean, published, kit)
        repaired = _added(purifier, published)
        kit.note(
            mse_of_pairs=float((published - clean).square().mean()),
            mse_of_pairs_purified=float((repaired - clean).square().mean()),
        )
        return torch.cat([to_uint8(_added(purifier, to_float(part))) for part in _parts(images)])

    def fitted(self, clean: Tensor, published: Tensor, kit: Kit) -> nn.Module:
        """Learn to give clean minus published, float32 (k,C,H,W), for published in [0,1]."""
        raise NotImplementedError


@torch.no_grad()
def _added(purifier: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([(part + purifier(part)).clamp(0, 1) for part in _parts(x)])


def _parts(images: Tensor) -> Iterator[Tensor]:
    yield from images.split(max(1, AT_ONCE // images[0, 0].numel()))


@dataclass(frozen=True)
class Ridge(Leak):
    """Ridge regression on patches; what overlapping patches say of a pixel is averaged."""

    leaks: int = 500
    side: int = 8  # of a patch, pixels

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("side",)

    def unsuited(self, data: Dataset) -> str | None:
        small = f"{data.name} has images of {data.size} pixels, patches have {self.side}"
        return small if data.size < self.side else super().unsuited(data)

    def fitted(self, clean: Tensor, published: Tensor, kit: Kit) -> nn.Module:
        """Solve for all pairs, with the penalty that is best for a fifth of them, left out."""
        held = len(clean) // HELD_OUT
        own = self._moments(published[held:], (clean - published)[held:])
        aside = self._moments(published[:held], (clean - published)[:held]) if held else own

        def missed(penalty: float) -> float:
            weights = solved(*own, penalty)
            return float((weights * (aside[0] @ weights - 2 * aside[1])).sum())

        best = min(PENALTIES, key=missed)
        kit.note(penalty=best)
        left, right = (a + b for a, b in zip(own, aside, strict=True))
        return Patchwise(solved(left, right, best).float(), self.side)

    def _moments(self, seen: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Sum seen times seen, (D,D), and seen times wanted over all patches, float64; the last of D is 1."""
        n = seen.shape[1] * self.side**2
        left, right = (seen.new_zeros(n + 1, width, dtype=torch.float64) for width in (n + 1, n))
        for x, target in zip(_parts(seen), _parts(wanted), strict=True):
            z = patches(x, self.side).double()
            z = torch.cat([z, z.new_ones(len(z), 1)], 1)
            left += z.T @ z
            right += z.T @ patches(target, self.side).double()
        return left, right


def solved(left: Tensor, right: Tensor, penalty: float) -> Tensor:
    """Give the weights of a ridge regression, (D,K); penalty: on all but the constant's, see PENALTIES."""
    decay = (penalty * left.diagonal()[:-1].mean() + 1e-9).expand(len(left)).clone()
    decay[-1] = 0
    weights: Tensor = torch.linalg.solve(left + torch.diag(decay), right)
    return weights


@dataclass(frozen=True)
class Network(Leak):
    """A U-Net, trained on the squared error of whole images."""

    leaks: int = 500
    training: Recipe = field(
        default=Recipe(epochs=1, batch=64, lr=1e-3, weight_decay=1e-2, optimiser="adamw", warmup=0.05)
    )  # each step on a batch drawn from the pairs; epochs are not counted
    steps: int = 4000  # of the training

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps",)
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"steps": 600, "training.batch": 32},
        "cifar-cpu": {"steps": 1000},
    }

    def fitted(self, clean: Tensor, published: Tensor, kit: Kit) -> nn.Module:
        with global_rng(kit.rng("init")):
            net = UNet(clean.shape[1]).to(clean.device)
        trainer, rng = Trainer(net, self.training), kit.rng("pairs")
        missing = clean - published

        def loss(rows: Tensor, progress: float) -> Tensor:
            return F.mse_loss(net(published[rows]), missing[rows])

        learn = trainer.learner(loss, (), steady=True)
        for step in range(self.steps):
            rows = torch.randint(len(clean), (self.training.batch,), generator=rng, device=clean.device)
            learn(rows, step / self.steps)
            kit.tick(step / self.steps, "purifier")
        return net


VARIANTS = {
    "leak-0": Leak(),
    "leak-50": Ridge(leaks=50),
    "leak-500": Ridge(),
    "leak-4000": Ridge(leaks=4000),
    "leak-unet-50": Network(leaks=50),
    "leak-unet-500": Network(),
    "leak-unet-4000": Network(leaks=4000),
}
PATTERNS = {
    "leak-{k}": lambda k: Ridge(leaks=int(k)),
    "leak-unet-{k}": lambda k: Network(leaks=int(k)),
}
CONTROLS = ("leak-0",)
ALL = ()
