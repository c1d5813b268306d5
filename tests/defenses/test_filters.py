"""Low-pass filters are those of the libraries, and remove what they are for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.rng import generator
from defenses.filters import Bilateral, Blur, Filter, Median
from support.toys import toy_dataset

FILTERS = [Median(), Blur(), Bilateral()]


def drawn(n: int = 4, channels: int = 3, size: int = 20) -> Tensor:
    return torch.randint(0, 256, (n, channels, size, size), generator=generator(0)).to(torch.uint8)


def smooth(n: int = 8, size: int = 20) -> Tensor:
    """A gradient in every image, of one or two grey levels a pixel."""
    line = torch.arange(size)
    start = torch.randint(40, 160, (n, 3, 1, 1), generator=generator(1))
    return (start + line[:, None] + 2 * line).to(torch.uint8)


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Absolute difference, grey levels."""
    return (one.int() - other.int()).abs()


def left_of(change: Callable[[Tensor], Tensor], value: Filter) -> Tensor:
    """What the filter leaves of a change of smooth images."""
    clean = smooth()
    return apart(value.prepare(change(clean)), value.prepare(clean))


def test_median_is_pillows() -> None:
    images = drawn()
    for image, shown in zip(images, Median().prepare(images), strict=True):
        theirs = Image.fromarray(image.permute(1, 2, 0).numpy()).filter(ImageFilter.MedianFilter(3))
        assert np.array_equal(shown.permute(1, 2, 0).numpy(), np.asarray(theirs))


def test_blur_is_the_binomial_filter() -> None:
    images = drawn()
    weights = np.outer([1, 2, 1], [1, 2, 1])[None, None]
    sums = ndimage.correlate(images.numpy().astype(int), weights, mode="mirror")
    assert np.array_equal(Blur().prepare(images).numpy(), (sums + 8) // 16)


def test_bilateral_filter_is_opencvs() -> None:
    """Rows 0 and 4 as opencv-python-headless 5.0.0 gives them: bilateralFilter(image, 9, 75, 75)."""
    y, x, c = np.mgrid[:9, :9, :3]
    image = ((y * 37 + x * 91 + c * 53) % 256 // 2 + 60).astype(np.uint8)
    (shown,) = Bilateral().prepare(torch.from_numpy(image).permute(2, 0, 1)[None])
    top = [80, 106, 146, 86, 111, 150, 94, 115, 165], [102, 131, 164, 107, 136, 156, 113, 139, 93]
    middle = [121, 145, 99, 144, 86, 104, 148, 88, 108], [146, 96, 123, 162, 102, 129, 164, 106, 133]
    assert apart(shown[:2, 0], torch.tensor(top)).max() <= 1
    assert apart(shown[:2, 4], torch.tensor(middle)).max() <= 1


@pytest.mark.parametrize("value", FILTERS, ids=lambda value: type(value).__name__)
def test_flat_images_stay(value: Filter) -> None:
    flat = torch.arange(0, 256, 51).to(torch.uint8)[:, None, None, None].expand(6, 3, 12, 12).contiguous()
    assert torch.equal(value.prepare(flat), flat)


@pytest.mark.parametrize("place", [(0, 0), (0, 9), (7, 7), (19, 19)])
def test_median_undoes_one_pixel(place: tuple[int, int]) -> None:
    def pixel(images: Tensor) -> Tensor:
        images = images.clone()
        images[:, :, place[0], place[1]] = 255
        return images

    changed = apart(pixel(smooth()), smooth()).max()
    assert left_of(pixel, Median()).max() <= 3
    assert changed > 60
    assert left_of(pixel, Blur()).max() > 12  # a mean does not


def test_blur_undoes_a_chessboard() -> None:
    def chessboard(images: Tensor) -> Tensor:
        line = torch.arange(20)
        return (images.int() + 16 * ((line[:, None] + line) % 2) - 8).to(torch.uint8)

    assert left_of(chessboard, Blur()).max() <= 1


def test_bilateral_filter_undoes_noise_and_keeps_an_edge() -> None:
    def noisy(images: Tensor) -> Tensor:
        sign = torch.randint(0, 2, images.shape, generator=generator(2)) * 16 - 8
        return (images.int() + sign).to(torch.uint8)

    edge = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    edge[..., 10:] = 200
    assert torch.equal(Bilateral().prepare(edge), edge)
    assert apart(Blur().prepare(edge), edge).max() == 50
    assert left_of(noisy, Bilateral()).float().mean() < 2


@pytest.mark.parametrize("fields", [{"diameter": 8}, {"diameter": 1}, {"colour": 0}, {"space": -1}])
def test_bilateral_filter_without_meaning_is_refused(fields: dict[str, int]) -> None:
    with pytest.raises(BadInput, match=r"diameter|colour|space"):
        Bilateral(**fields)


def test_disc_that_leaves_the_mirrored_image_is_unsuited() -> None:
    assert Bilateral(diameter=31).unsuited(toy_dataset()) is None
    assert Bilateral(diameter=33).unsuited(toy_dataset()) == "toy has images of under 17 pixels a side"
