"""CUDA against NumPy's draws and a plain convolution, image by image."""

from __future__ import annotations

import hashlib

import pytest
import torch
import torch.nn.functional as F

from bench.core.contract import published
from bench.core.pixels import to_float
from bench.core.types import Split
from methods.cuda import CUDA, filtered, filters
from support.toys import CLASSES, delta_of, noise, toy_lab, toy_split

CLEAN = toy_split(24, 0)


def test_filters_of_seed_0_are_the_official_ones() -> None:
    """Drawn by NumPy in the order of the official code; as doubles they are equal to the last bit."""
    found = filters(10, 0.3, 0)
    assert found[0].flatten().tolist() == pytest.approx(
        [0.164644, 0.214557, 1, 0.163465, 0.127096, 0.193768, 0.131276, 0.267532, 0.289099], abs=1e-6
    )
    assert hashlib.sha256(found.numpy().tobytes()).hexdigest()[:16] == "1d31e1f573630890"


def test_a_filter_has_one_entry_of_1_anywhere() -> None:
    """Not at its centre alone."""
    found = filters(200, 0.3, 7).flatten(1)
    assert ((found == 1).sum(1) == 1).all()
    assert found[found < 1].max() <= 0.3
    assert len((found == 1).nonzero()[:, 1].unique()) == 9


def test_an_image_is_filtered_on_black_ground_and_divided_by_its_largest_value() -> None:
    x, weights = noise(5, 3, 8, 8), noise(5, 3, 3, seed=2)
    found = filtered(x, weights)
    for image, weight, one in zip(x, weights, found, strict=True):
        plain = torch.stack([F.conv2d(c[None, None], weight[None, None], padding=1)[0, 0] for c in image])
        assert torch.allclose(one, plain / plain.max(), atol=1e-6)
    assert found.amax((1, 2, 3)).tolist() == pytest.approx([1.0] * 5)


def test_channels_share_a_filter_and_images_of_a_batch_do_not() -> None:
    """Gray images stay gray, in batches of any size."""
    clean = Split(CLEAN.images[:, :1].expand(-1, 3, -1, -1), CLEAN.labels)
    many, few = (CUDA(batch=size).craft(clean, toy_lab()) for size in (5, 100))
    assert torch.allclose(many, few, atol=1e-6)
    assert torch.equal(many[:, 0], many[:, 1]) and torch.equal(many[:, 0], many[:, 2])


def test_images_are_those_of_their_classs_filter() -> None:
    lab = toy_lab()
    weights = filters(CLASSES, 0.3, lab.order("filters") % 2**32).float()
    found = CUDA().craft(CLEAN, lab)
    assert torch.allclose(found, filtered(to_float(CLEAN.images), weights[CLEAN.labels]))


def test_an_image_that_is_black_stays_black() -> None:
    images = CLEAN.images.clone()
    images[3] = 0
    value, clean = CUDA(), Split(images, CLEAN.labels)
    found = published(value.threat, images, delta_of(value, clean, toy_lab()))
    assert not found[3].any() and found[2].any()
