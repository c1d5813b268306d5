"""Low frequencies are scipy's, sharpening is a convolution, and a blur or a fine pattern is undone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy.fft import dctn, idctn
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.pixels import to_float, to_uint8
from bench.core.rng import generator
from defenses.frequency import LowFrequencies, RandomSharpening, low_pass
from support.toys import noise, toy_dataset, toy_split

LOW = LowFrequencies()
SHARP = RandomSharpening(deviation=0.0)


def far(one: Tensor, other: Tensor) -> float:
    """Mean absolute difference."""
    return float((one.float() - other.float()).abs().mean())


@pytest.mark.parametrize("percent", [13, 30, 75])
def test_low_frequencies_are_those_of_the_cosine_transform(percent: int) -> None:
    images = toy_split(4, 0, size=20).images
    waves = dctn(to_float(images).double().numpy(), axes=(2, 3), norm="ortho")
    kept = 20 * percent // 100
    waves[:, :, kept:], waves[:, :, :, kept:] = 0, 0
    expected = torch.from_numpy(idctn(waves, axes=(2, 3), norm="ortho")).clamp(0, 1)
    assert torch.equal(LowFrequencies(percent).prepare(images), to_uint8(expected))


def test_it_undoes_a_pattern_of_high_frequency_and_keeps_a_slow_one() -> None:
    images = toy_split(16, 0).images
    line = torch.arange(16)
    fast = images.int() + 16 * ((line[:, None] + line) % 2) - 8
    slow = images.int() + (8 * torch.cos(torch.pi * (line + 0.5) / 16)).round().int()
    shown = LOW.prepare(images)
    assert far(LOW.prepare(fast.to(torch.uint8)), shown) < 0.7
    assert far(LOW.prepare(slow.to(torch.uint8)), shown) > 4


def test_what_was_kept_is_kept_again() -> None:
    x = 0.4 + 0.2 * noise(4, 3, 16, 16)
    once = low_pass(x, 30)
    assert torch.allclose(low_pass(once, 30), once, atol=1e-6) and far(once, x) > 0.01


def test_sharpening_is_a_convolution_of_the_repeated_border() -> None:
    x = noise(4, 3, 12, 12)
    cross = torch.tensor([[0, -0.375, 0], [-0.375, 2.5, -0.375], [0, -0.375, 0]]).expand(3, 1, 3, 3)
    expected = F.conv2d(F.pad(x, (1,) * 4, mode="replicate"), cross, groups=3).clamp(0, 1)
    assert torch.allclose(SHARP.augment(x, generator(0)), expected, atol=1e-6)


def test_weights_are_drawn_for_each_image() -> None:
    """Centre 2.5 with deviation 0.1; each neighbour about (centre - 1) / 4, with the same deviation."""
    x = torch.zeros(4000, 1, 5, 5)
    x[:, :, 2, 2] = 0.3
    seen = RandomSharpening().augment(x, generator(0))[:, 0, 2, 2] / 0.3
    assert abs(float(seen.mean()) - 2.5) < 0.01 and abs(float(seen.std()) - 0.1) < 0.01
    flat = RandomSharpening().augment(torch.full((4000, 1, 5, 5), 0.4), generator(0))[:, 0, 2, 2] / 0.4
    assert abs(float(flat.mean()) - 1) < 0.02 and abs(float(flat.std()) - 0.2) < 0.02  # of four of them


def test_sharpening_undoes_a_blur_of_some_classes() -> None:
    """What it is for: blurred images are nearer to what they were."""
    clean = blurred = 0.3 + 0.4 * F.interpolate(noise(8, 3, 8, 8), scale_factor=2, mode="bilinear")
    for _ in range(2):
        beside = [blurred.roll(step, axis) for step in (1, -1) for axis in (2, 3)]
        blurred = (blurred + torch.stack(beside).sum(0)) / 5
    sharp = SHARP.augment(blurred, generator(0))
    inner = (..., slice(3, -3), slice(3, -3))
    assert far(sharp[inner], clean[inner]) < 0.65 * far(blurred[inner], clean[inner])


def test_both_are_one_after_the_other() -> None:
    x = noise(4, 3, 16, 16)
    both = RandomSharpening(percent=30).augment(x, generator(0))
    assert torch.equal(both, low_pass(RandomSharpening().augment(x, generator(0)), 30))


@pytest.mark.parametrize("percent", [0, 100])
def test_nothing_and_all_are_no_low_frequencies(percent: int) -> None:
    for kind in (LowFrequencies, RandomSharpening):
        with pytest.raises(BadInput, match="1 to 99"):
            kind(percent=percent)


def test_sharpening_without_meaning_is_refused() -> None:
    for fields in ({"centre": 0.9}, {"deviation": -1.0}):
        with pytest.raises(BadInput, match="centre"):
            RandomSharpening(**fields)


def test_images_without_so_low_frequencies_are_unsuited() -> None:
    few, data = LowFrequencies(6), toy_dataset()
    assert few.unsuited(data) == "6 % of toy's 16 rows are none" == RandomSharpening(percent=6).unsuited(data)
    assert LowFrequencies(7).unsuited(data) is None
