"""Principal components: keep the directions in which published images vary most, and no others.

Bhagoji et al., "Enhancing Robustness of Machine Learning Systems via Data Transformations", CISS 2018,
section on dimensionality reduction; there against adversarial test images. Class means are not removed, so
that patterns of whole classes stay, which vary much between images.
Differs from the paper: components are those of the published images, which alone are projected, once, and
rounded; test images are left as they are. The rank, which the paper varies, is the power of two from 8 on
with which a linear classifier, fitted by least squares to the projected images and their labels, is right
most often on clean validation images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from scipy.linalg import eigh
from torch import Tensor

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.pixels import to_float, to_uint8
from bench.core.types import Dataset, Split, check_positive

PART = 1000  # images projected at once
VALUES = 3 * 64 * 64  # of an image, at most: minutes and a gigabyte
LEAST = 8  # rank


@dataclass(frozen=True)
class PCA(Undefended):
    """The projection on a few components of all published images."""

    rank: int | None = None  # components that are kept; None: as a linear classifier does best
    most: int = 512  # components among which it chooses

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("most",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank is not None:
            check_positive(self, ("rank",))

    def unsuited(self, data: Dataset) -> str | None:
        values = data.channels * data.size**2
        return None if values <= VALUES else f"{data.name} has {values} values an image, above {VALUES}"

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        mean = torch.stack([part.sum(0) for part in flat(images)]).sum(0) / len(images)
        basis = components(images, mean, self.rank or self.most)
        rank = self.rank or best_rank(Split(images, labels), mean, basis, kit)
        kept = basis[:, :rank]
        kit.note(rank=kept.shape[1])
        parts = [(x - mean) @ kept @ kept.T + mean for x in flat(images)]
        return to_uint8(torch.cat(parts)).view(images.shape)


def flat(images: Tensor) -> Iterator[Tensor]:
    """Give uint8 (N,C,H,W) in parts, float32 (B,D) in [0,1]."""
    return (to_float(part.flatten(1)) for part in images.split(PART))


def components(images: Tensor, mean: Tensor, rank: int) -> Tensor:
    """Find the directions of largest variance, largest first: (D,K), K at most rank, each of length 1."""
    n, d = len(images), len(mean)
    covariance = torch.zeros(d, d, device=images.device)
    for x in flat(images):
        covariance.addmm_((x - mean).T, x - mean, alpha=1 / n)
    last = min(rank, d, n - 1)
    variances, basis = eigh(covariance.cpu().numpy(), subset_by_index=[d - last, d - 1])
    some = variances > 1e-6 * variances[-1]  # others are rounding
    return torch.from_numpy(basis[:, some][:, ::-1].copy()).to(images.device)


def best_rank(published: Split, mean: Tensor, basis: Tensor, kit: Kit) -> int:
    """Choose a rank by the classifier that least squares fit to the coordinates in the basis.

    Coordinates are uncorrelated, so that a larger rank adds weights to those of a smaller one.
    """
    x, seen = (torch.cat([(x - mean) @ basis for x in flat(s.images)]) for s in (published, kit.val))
    y = F.one_hot(published.labels, kit.classes).float()
    weights = x.T @ (y - y.mean(0)) / x.square().sum(0)[:, None]
    ranks = [LEAST << i for i in range(32) if LEAST << i <= basis.shape[1]] or [basis.shape[1]]
    scores = y.mean(0).expand(len(kit.val), -1)
    found = dict[int, float]()
    for before, rank in zip([0, *ranks], ranks, strict=False):
        scores = scores + seen[:, before:rank] @ weights[before:rank]
        found[rank] = float((scores.argmax(1) == kit.val.labels).double().mean())
    best = max(found, key=lambda rank: found[rank])
    kit.note(probe_val_acc=found[best])
    return best


VARIANTS = {"pca": PCA()}
ALL = ()
