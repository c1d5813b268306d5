"""PIL: subtract what a linear net takes for the class, so that nets learn that, linearly, and not the image.

Liu, Chen, Zhang, "Perturbation-Induced Linearization: Constructing Unlearnable Data with Solely Linear
Classifiers", ICLR 2026; the recipe is its official code's.
Differs from the paper: the linear net's learning rate falls at every step, not once an epoch; its batches
are shuffled, where the official code takes them in the data set's order; perturbed images are in the pixel
range throughout the attack, where the official code cuts them at its end. The linear net is the official
two layers without bias, and sees pixels in [0,1] as they are. Smaller profiles have smaller batches, for
about as many steps as 50,000 images give it: with fewer it is a net at random.
quick also crops and mirrors what the linear net learns from and is attacked on, as the data set declares,
and has ten times the learning rate for it: what is learnt in place alone does not survive the victim's own
crops (1,900 photographs: accuracy 45 % where clean's is 53, and that of noise which moves is 23; one poison
each). On drawn digits victims learn in spite of either (95 %): strokes are stronger than such noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.augment import crop_flip
from bench.core.method import Lab, Method, Need
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.rng import generator, global_rng
from bench.core.types import ADDED, Augmentation, Recipe, Split

SURROGATE = Recipe(epochs=30, batch=512, lr=0.003, weight_decay=0.0)
STILL = Augmentation(pad=0, flip=False)
TAKEN = 0.95  # share of the noise that the net takes for its class, below which the attack failed
BETTER = 2  # times as good as chance on clean images, below which the linear net has learnt next to nothing


@dataclass(frozen=True)
class PIL(Method):
    """Noise that a linear net trained on clean images takes for its class, taken away from the image."""

    surrogate: Recipe = field(default=SURROGATE)
    share: float = 0.9  # weight of the noise's own class against that of the image's being nothing
    steps: int = 30  # sign steps on every image
    step: float = 0.1  # of eps, a step
    batch: int = 512  # images perturbed at once
    # whether the net learns from images that are cropped and mirrored, and noise is sought on such ones
    augment: bool = field(default=False, metadata=ADDED)

    revision: ClassVar[int] = 1
    of_net: ClassVar[tuple[str, ...]] = ()  # its nets are its own
    needs: ClassVar[tuple[Need, ...]] = ("labels",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"surrogate.batch": 32, "surrogate.lr": 0.03, "augment": True},
        "cifar-cpu": {"surrogate.batch": 128},
        "reference": {"surrogate.batch": 128},
    }

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        pixels = clean.images[0].numel()

        def linear(seed: int) -> nn.Module:
            with global_rng(generator(seed)):
                one, two = (nn.Linear(width, lab.classes, bias=False) for width in (pixels, lab.classes))
            return nn.Sequential(nn.Flatten(), one, two).to(clean.images.device)

        moved = lab.augmentation if self.augment else STILL
        net = frozen(replace(lab, build=linear, augmentation=moved).trained(clean, self.surrogate))
        delta, first, rng = torch.zeros(clean.images.shape, device=clean.images.device), 0, lab.rng("attack")
        if state := lab.checkpoint.load():
            delta, first = state["delta"].to(delta), state["first"]
            rng.set_state(state["rng"])
        while first < len(clean):
            rows = slice(first, first + self.batch)
            x, y = to_float(clean.images[rows]), clean.labels[rows]
            start = torch.empty_like(x).uniform_(-self.eps, self.eps, generator=rng)
            delta[rows] = pgd(
                lambda z, x=x, y=y: self.objective(net, *alike(z, x - z, moved, rng), y),  # type: ignore[misc]
                x,
                (x - start).clamp_(0, 1).sub_(x),
                eps=self.eps,
                step=self.step * self.eps,
                steps=self.steps,
            )
            first += self.batch
            if lab.checkpoint.due():
                lab.checkpoint.save({"delta": delta, "first": first, "rng": rng.get_state()})
            lab.tick(0.5 + 0.5 * min(first / len(clean), 1), "perturbing")
        found, told = lab.note_surrogate(net), self._told(net, delta, clean.labels)
        if found < (least := BETTER / lab.classes):
            lab.unreached(
                f"the linear net reads {100 * found:.0f} % of clean images rightly, expected "
                f"{100 * least:.0f} or more: its noise is that of a net at random"
            )
        elif told < TAKEN:
            lab.unreached(
                f"the linear net takes {100 * told:.0f} % of the noise for its class, expected "
                f"{100 * TAKEN:.0f} or more"
            )
        return delta

    def _told(self, net: nn.Module, delta: Tensor, labels: Tensor) -> float:
        """Share of what was taken away that the net takes for its class, in [0,1]."""
        hits = torch.zeros((), dtype=torch.int64, device=delta.device)  # read once: it waits
        with torch.inference_mode():
            for noise, y in zip((-delta).split(self.batch), labels.split(self.batch), strict=True):
                hits = hits + (net(noise).argmax(1) == y).sum()
        return int(hits) / len(labels)

    def objective(self, net: nn.Module, z: Tensor, noise: Tensor, y: Tensor) -> Tensor:
        """Sum over images of the noise's loss for its class, and of how sure the net is of what is left.

        z: published images (B,C,H,W). noise: what was taken away from them. The second term is the divergence
        of the net's prediction from the uniform one, KL(uniform || prediction).
        """
        read = net(z).log_softmax(1)
        uniform = torch.full_like(read, 1 / read.shape[1])
        own = F.cross_entropy(net(noise), y, reduction="sum")
        return self.share * own + (1 - self.share) * F.kl_div(read, uniform, reduction="sum")


def alike(z: Tensor, noise: Tensor, moved: Augmentation, rng: Generator) -> tuple[Tensor, Tensor]:
    """Crop and mirror images and their noise (B,C,H,W), both alike."""
    one, two = crop_flip(torch.cat([z, noise], 1), moved, rng).chunk(2, 1)
    return one, two


VARIANTS = {"pil": PIL()}
ALL = ()
