"""Mixed images are what their labels say, and their shares are those of the libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.augmentation import RandomCutMixV2, RandomMixUpV2
from scipy.stats import ks_2samp
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.rng import generator, global_rng
from defenses.mixing import VARIANTS, CutMix, Mixing, MixUp
from support.toys import SIZE, small_net, toy_split

N = 3000


def numbered(n: int = N) -> tuple[Tensor, Tensor]:
    """Flat images whose grey is the image's number, and that number as its label."""
    y = torch.arange(n)
    return (y / n)[:, None, None, None].expand(n, 1, SIZE, SIZE).contiguous(), y


def shares(value: Mixing, seed: int = 0) -> Tensor:
    """What each image keeps of itself: (N,)."""
    kept: Tensor = value.mixed(*numbered(), generator(seed))[2][0]
    return kept


@pytest.mark.parametrize("name", VARIANTS)
def test_labels_have_the_share_of_their_images(name: str) -> None:
    """The mean grey of a mixed image is that of its labels, but for boxes that a later box covers."""
    value, (x, y) = VARIANTS[name], numbered()
    z, labels, parts = value.mixed(x, y, generator(0))
    assert torch.allclose(parts.sum(0), torch.ones(N)) and parts.min() >= 0
    off = ((labels / N * parts).sum(0) - z.mean((1, 2, 3))).abs()
    boxes = isinstance(value, CutMix) and value.mixes > 1
    assert off[(parts[1:] == 0).any(0) if boxes else ...].max() < 1e-5
    assert labels[1:].ne(y).float().mean() > 0.99  # another image, nearly always
    assert (labels[1:].sort(1).values == y).all()  # each is a partner once


@pytest.mark.parametrize("name", VARIANTS)
def test_the_loss_is_cross_entropy_with_mixed_labels(name: str) -> None:
    value, net, split = VARIANTS[name], small_net().eval(), toy_split(32, 0)
    x, y = to_float(split.images), split.labels
    z, labels, parts = value.mixed(x, y, generator(3))
    each = torch.stack([F.cross_entropy(net(z), own, reduction="none") for own in labels])
    assert torch.allclose(value.loss(net, x, y, generator(3), 0.0), (each * parts).sum(0).mean(), atol=1e-6)


@pytest.mark.parametrize("kind", [CutMix, MixUp])
def test_without_a_mix_it_is_plain_cross_entropy(kind: type[Mixing]) -> None:
    net, split = small_net().eval(), toy_split(32, 0)
    x, y = to_float(split.images), split.labels
    found = kind(p=1e-9).loss(net, x, y, generator(0), 0.0)
    assert torch.allclose(found, F.cross_entropy(net(x), y), atol=1e-6)


def by_kornia(name: str) -> np.ndarray:  # type: ignore[type-arg]
    """What images keep of themselves in kornia's transform, without arguments."""
    make = {"cutmix-kornia": RandomCutMixV2, "mixup-kornia": RandomMixUpV2}[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transform = make(data_keys=["input", "class"])
    with global_rng(generator(7)):
        _, said = transform(*numbered())
    kept: np.ndarray = 1 - said.reshape(-1, 3)[:, 2].numpy()  # type: ignore[type-arg]
    return kept


@pytest.mark.parametrize("name", ["cutmix-kornia", "mixup-kornia"])
def test_shares_are_kornias(name: str) -> None:
    assert ks_2samp(shares(VARIANTS[name]).numpy(), by_kornia(name)).pvalue > 1e-3


def by_the_loop(rng: np.random.Generator) -> float:
    """What an image keeps under EM's and ISS's CutMix, drawn by itself."""
    kept = 1.0
    for _ in range(2):
        if rng.random() > 0.5:
            continue
        side, centres = int(SIZE * np.sqrt(1 - rng.beta(1, 1))), rng.integers(SIZE, size=2)
        low, high = np.clip(centres - side // 2, 0, SIZE), np.clip(centres + side // 2, 0, SIZE)
        kept *= 1 - np.prod(high - low) / SIZE**2
    return kept


def test_shares_of_the_other_reading() -> None:
    rng = np.random.default_rng(0)
    theirs = np.array([by_the_loop(rng) for _ in range(N)])
    assert ks_2samp(shares(VARIANTS["cutmix"]).numpy(), theirs).pvalue > 1e-3
    whole = (shares(VARIANTS["mixup"]) == 1).float().mean()
    assert abs(float(whole) - 0.25) < 0.04  # neither of two mixes of probability a half


def test_boxes_are_boxes_all_over_the_image() -> None:
    for inside in (False, True):
        masks = CutMix(inside=inside).taken(numbered()[0], generator(0))[:, 0].bool()
        for mask in masks[:200]:
            assert mask.sum() == mask.any(0).sum() * mask.any(1).sum()
        rows = masks.any(2)
        sides = rows.sum(1)
        if inside:  # a square of any size
            assert torch.equal(masks.any(1).sum(1), sides)
            assert {*range(2, SIZE)} <= {*sides.tolist()}
        else:  # cut at the border
            assert (masks.any(1).sum(1) != sides).float().mean() > 0.2
        covered = masks.float().mean(0)
        assert covered.min() > 0.05 and covered.max() < 0.8


@pytest.mark.parametrize("name", ["cutmix-kornia", "mixup-kornia"])
def test_halves_of_two_poisoned_images_are_in_one(name: str) -> None:
    """What they are for: no batch shows a pattern of a whole image with its label alone."""
    x, y = numbered()
    z, _, _ = VARIANTS[name].mixed(x, y, generator(0))
    assert (z - x).abs().amax((1, 2, 3)).gt(1 / 255).float().mean() > 0.9


@pytest.mark.parametrize("fields", [{"p": 0}, {"p": 1.5}, {"mixes": 0}])
def test_mixing_without_meaning_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="CutMix"):
        CutMix(**fields)  # type: ignore[arg-type]
