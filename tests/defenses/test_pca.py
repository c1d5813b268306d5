"""The projection is scikit-learn's, its rank is that of the best probe, and faint noise is removed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import decomposition
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.kit import Kit
from bench.core.rng import generator
from bench.core.types import Dataset, Split
from defenses.pca import PCA
from support.toys import AUGMENTATION, CLASSES, SIZE, small_net, toy_dataset, toy_split

LABELS = torch.arange(120) % CLASSES
D = 3 * SIZE * SIZE


def kit_of(val: Split) -> Kit:
    return Kit(CLASSES, AUGMENTATION, val, small_net, 1)


def shown_by(value: PCA, published: Split, val: Split) -> tuple[Tensor, Kit]:
    kit = kit_of(val)
    return value.purify(published.images, published.labels, kit), kit


def plain(n: int, seed: int) -> Split:
    """Sums of eight directions, of which the first three or so tell the class."""
    rng = generator(seed)
    directions = torch.linalg.qr(torch.randn(D, 8, generator=generator(0))).Q.T
    weights = torch.randn(n, 8, generator=rng) * 200
    weights[:, :3] += 900 * (torch.eye(4)[:, :3] - 0.25)[LABELS[:n]]
    x = 128 + weights @ directions
    return Split(x.round().clamp(0, 255).to(torch.uint8).view(n, 3, SIZE, SIZE), LABELS[:n])


def added(split: Split, delta: Tensor) -> Split:
    return Split((split.images.int() + delta).clamp(0, 255).to(torch.uint8), split.labels)


@pytest.mark.parametrize("rank", [5, 20])
def test_the_projection_is_scikit_learns(rank: int) -> None:
    published = toy_split(64, 0)
    shown, kit = shown_by(PCA(rank=rank), published, toy_split(24, 24))
    x = published.images.flatten(1).double().numpy()
    pca = decomposition.PCA(rank, svd_solver="full")
    expected = torch.from_numpy(pca.inverse_transform(pca.fit_transform(x))).clamp(0, 255).view(shown.shape)
    assert (shown - expected).abs().max() < 0.51 and kit.facts == {"rank": rank}


def test_noise_in_many_directions_is_removed() -> None:
    clean = plain(120, 1)
    sign = torch.randint(0, 2, clean.images.shape, generator=generator(2)) * 8 - 4
    published = added(clean, sign)
    shown, kit = shown_by(PCA(), published, plain(40, 3))
    left = (shown.int() - clean.images.int()).float().abs().mean()
    assert kit.facts["rank"] == 8 and left < 0.5 * sign.float().abs().mean()


def test_a_pattern_of_a_whole_class_stays() -> None:
    """The limit of what it is for: the classes' own differences have that direction now."""
    clean = plain(120, 1)
    pattern = torch.randint(-1, 2, (CLASSES, 3, SIZE, SIZE), generator=generator(4)) * 4
    shown, _ = shown_by(PCA(rank=8), added(clean, pattern[LABELS]), plain(40, 3))
    means = torch.stack([(shown - clean.images.float())[k == LABELS].mean(0) for k in range(CLASSES)])
    own, other = ((part - part.mean(0)).flatten(1) for part in (pattern.float(), means))
    assert torch.cosine_similarity(own, other).min() > 0.8


def test_the_rank_is_that_of_the_best_classifier() -> None:
    """Fitted anew at each rank by numpy, with the constant."""
    published, val = toy_split(100, 0, contrast=4), toy_split(60, 24, contrast=4)
    _, kit = shown_by(PCA(), published, val)
    x, seen = (s.images.flatten(1).double().numpy() / 255 for s in (published, val))
    y, found = np.eye(CLASSES)[published.labels.numpy()], {}
    for rank in (8, 16, 32, 64):
        pca = decomposition.PCA(rank, svd_solver="full").fit(x)
        z, other = (np.c_[np.ones(len(part)), pca.transform(part)] for part in (x, seen))
        weights = np.linalg.lstsq(z, y, rcond=None)[0]
        found[rank] = float(np.mean((other @ weights).argmax(1) == val.labels.numpy()))
    assert len({*found.values()}) > 2
    assert kit.facts["probe_val_acc"] == max(found.values()) == found[int(kit.facts["rank"] or 0)]


def test_few_images_have_few_components() -> None:
    _, kit = shown_by(PCA(), toy_split(6, 0), toy_split(24, 24))
    assert kit.facts["rank"] == 5


def test_pca_without_meaning_is_refused() -> None:
    for fields in ({"rank": 0}, {"most": 0}):
        with pytest.raises(BadInput, match="PCA"):
            PCA(**fields)


def test_large_images_are_unsuited() -> None:
    data = toy_dataset()
    assert PCA().unsuited(data) is None
    large = Split(torch.zeros(1, 3, 65, 65, dtype=torch.uint8), LABELS[:1])
    many = Dataset("large", data.digest, large, large, large, data.classes, data.augmentation)
    assert PCA().unsuited(many) == "large has 12675 values an image, above 12288"
