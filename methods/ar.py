"""AR: add a pattern in which each pixel is a sum of its neighbours, weighted by a rule of the class.

Sandoval-Segura, Singla, Geiping, Goldblum, Goldstein, Jacobs, "Autoregressive Perturbations for Data
Poisoning", NeurIPS 2022, section 3 and its appendix on the search for coefficients.
Differs from the paper: coefficients are searched anew for each poison, by the official code's rule and
bounds, where the paper publishes one set for 10 and one for 100 classes; a process that diverges in any of
its trials is refused, where the official search looks for nan in the last alone; channels that pass alone
are combined, which leaves accepted processes as they were and finds them sooner; the published images stay
within the radius after they are rounded. The radius is 1 at every size, where STL-10's, of 96 pixels a side,
is 3. The search's field has 36 pixels a side, whatever the images have, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from bench.core.contract import sizes
from bench.core.method import Lab, Method, Need
from bench.core.threat import Threat
from bench.core.types import Dataset, Split
from methods._radius import say_size

WINDOW = 3  # pixels; the last of a window is the sum of the others
CUT = 4  # first rows and columns of a field, which are nearer to noise
FIELD = 36  # side of the fields of a search
RADIUS = 1.0
FEW = 10  # classes up to which filters have to respond strongly
DRAWN = 1024  # channels' coefficients drawn at once


@dataclass(frozen=True)
class AR(Method):
    """Autoregressive noise, a draw for every image by its class's coefficients."""

    eps: float = 1.0  # no L-inf bound
    radius: float = RADIUS  # L2 norm of every image's noise, pixels in [0,1]
    bound: float = 50.0  # of the L2 norm of a pattern before it is scaled: one that diverges is beyond it
    trials: int = 3  # patterns that have to be within the bound
    response: float = 10.0  # least sum of what another class's filter answers a pattern, up to 10 classes
    response_many: float = 3.0  # the same of more classes
    draws: int = 4000  # of 1,024 channels, after which the search has failed
    batch: int = 2048  # images perturbed at once

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ("labels",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("radius", "bound", "trials", "draws", "batch")

    @property
    def threat(self) -> Threat:
        return Threat("l2", self.radius)

    def resolved(self, data: Dataset, say: Callable[[str], None]) -> AR:
        if self.radius == RADIUS:
            say_size("ar", self.radius, data, say)
        return self

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        n, channels, height, width = clean.images.shape
        device, rng = clean.images.device, lab.rng("noise")
        taps = self.search(lab.classes, channels, lab).to(device)
        delta = torch.empty(clean.images.shape, device=device)
        for rows in torch.arange(n, device=device).split(self.batch):
            field = torch.empty(height + CUT, width + CUT, len(rows), channels, device=device)
            own = taps[:, :, clean.labels[rows]]
            delta[rows] = recur(field.normal_(generator=rng), own)[CUT:, CUT:].permute(2, 3, 0, 1)
            lab.tick(0.5 + 0.5 * (int(rows[-1]) + 1) / n, "patterns")
        delta *= (self.radius / sizes(self.threat, delta)).view(-1, 1, 1, 1)
        return delta

    def search(self, classes: int, channels: int, lab: Lab) -> Tensor:
        """Find coefficients, float32 (3,3,classes,channels): those of each class's process.

        A process is kept where no pattern diverges, and where the filters of all that are kept already answer
        its pattern. Raises ValueError after too many draws.
        """
        least = self.response if classes <= FEW else self.response_many
        kept = torch.empty(WINDOW, WINDOW, 0, channels)
        for taps, pattern in self._stable(channels, lab.rng("coefficients")):
            if kept.shape[2] and float(answers(kept, pattern).amin()) < least:
                continue
            kept = torch.cat([kept, taps[:, :, None]], 2)
            lab.tick(0.5 * kept.shape[2] / classes, "coefficients")
            if kept.shape[2] == classes:
                return kept
        raise ValueError(
            f"ar: {kept.shape[2]} processes found in {self.draws * DRAWN:,} draws, expected {classes} whose "
            f"filters answer each other's patterns with {least:g} or more; lower the response, or raise draws"
        )

    def _stable(self, channels: int, rng: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw processes (3,3,C) whose patterns stay within the bound, each with one of norm 1, (C,32,32)."""
        for _ in range(self.draws):
            taps = torch.randn(WINDOW, WINDOW, DRAWN, generator=rng, device=rng.device)
            taps[-1, -1] = 0
            taps /= taps.sum((0, 1))  # more of them are stable
            field = torch.randn(FIELD, FIELD, self.trials, DRAWN, generator=rng, device=rng.device)
            found = recur(field, taps[:, :, None].expand(-1, -1, self.trials, -1))[CUT:, CUT:].cpu()
            norms = found.square().sum((0, 1)).sqrt()  # (trials, DRAWN); what is nan is within no bound
            alone = (norms <= self.bound).all(0).nonzero()[:, 0]
            for process in alone[: len(alone) // channels * channels].view(-1, channels):
                joint = norms[:, process].norm(dim=1)
                if (joint <= self.bound).all():
                    pattern = found[:, :, -1, process].permute(2, 0, 1) / joint[-1]
                    yield taps[..., process.to(taps.device)].cpu(), pattern


def recur(field: Tensor, taps: Tensor) -> Tensor:
    """Replace each pixel, in the order of reading, by the sum of its window weighted with the taps; in place.

    field: (H,W,...). taps: (3,3,...), the last of them 0, with the same dimensions at the end.
    """
    height, width = field.shape[:2]
    for i in range(WINDOW, height + 1):
        for j in range(WINDOW, width + 1):
            field[i - 1, j - 1] = (field[i - WINDOW : i, j - WINDOW : j] * taps).sum((0, 1))
    return field


def answers(taps: Tensor, pattern: Tensor) -> Tensor:
    """Sum the positive values of what each process's filter gives for a pattern, over its channels together.

    taps: (3,3,K,C). pattern: (C,H,W). Returns (K,).
    """
    filters = taps.permute(2, 3, 0, 1).clone()
    filters[:, :, -1, -1] = -1  # 0 everywhere on a pattern of its own
    return F.conv2d(pattern[None], filters)[0].relu().sum((1, 2))


VARIANTS = {"ar": AR()}
ALL = ()
