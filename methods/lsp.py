"""LSP: add a coarse pattern of a class's cluster, such that a linear model tells the classes by it.

Yu, Zhang, Chen, Yin, Liu, "Availability Attacks Create Shortcuts", KDD 2022, section 4.
Differs from the paper: clusters are drawn from the poison's seed (the official code has seed 1) and as many
for each class as the largest has images, where the official code draws as many as there are images, for
SVHN twice that; the published images are rounded to uint8 and stay within the radius, where the official
code cuts them, which makes them darker by half a grey level, and leaves it. The paper says L-inf 6/255:
that is the noise's root mean square; its largest values are more than twice that. The radius and four patches
a side are those of 32x32 pixels in colour, whatever the images have, where the official code's radius grows
with the number of values and its patches have 8 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.contract import sizes
from bench.core.method import Lab, Method, Need
from bench.core.threat import Threat
from bench.core.types import Dataset, Split
from methods._radius import VALUES, say_size

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

SEEDS = 2**32  # that scikit-learn takes
RADIUS = 6 / 255 * VALUES**0.5


@dataclass(frozen=True)
class LSP(Method):
    """Linearly separable patches, of one L2 norm."""

    eps: float = 1.0  # no L-inf bound
    radius: float = RADIUS  # L2 norm of every image's noise, pixels in [0,1]: 1.304
    side: int = 4  # patches along a side of the image
    separation: float = 10.0  # half the side of the cube at whose corners clusters have their centres

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ("labels",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("radius", "side", "separation")

    @property
    def threat(self) -> Threat:
        return Threat("l2", self.radius)

    def resolved(self, data: Dataset, say: Callable[[str], None]) -> LSP:
        if self.radius == RADIUS:
            say_size("lsp", self.radius, data, say)
        return self

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        n, channels, *size = clean.images.shape
        counts = torch.bincount(clean.labels, minlength=lab.classes)
        most, seed = int(counts.max()), lab.order("clusters") % SEEDS
        points, of = clusters(most, lab.classes, channels * self.side**2, self.separation, seed)
        labels, found = clean.labels.cpu(), torch.empty(n, points.shape[1])
        for label in range(lab.classes):
            own = labels == label
            found[own] = torch.from_numpy(points[of == label]).float()[: int(own.sum())]
        cells = found.view(n, self.side, self.side, channels).permute(0, 3, 1, 2).to(clean.images.device)
        delta = F.interpolate(cells, size, mode="nearest")
        delta *= (self.radius / sizes(self.threat, delta)).view(-1, 1, 1, 1)
        return delta


def clusters(
    each: int, classes: int, features: int, separation: float, seed: int
) -> tuple[NDArray[float64], NDArray[int64]]:
    """Draw points (each * classes, features) in one cluster for each class, and their classes."""
    from sklearn.datasets import make_classification

    points, of = make_classification(
        each * classes,
        features,
        n_informative=features,
        n_redundant=0,
        n_classes=classes,
        n_clusters_per_class=1,
        class_sep=separation,
        flip_y=0.0,
        random_state=seed,
    )
    return points, of


VARIANTS = {"lsp": LSP()}
ALL = ()
