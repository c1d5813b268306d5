"""An L2 radius that a paper gives for one size of images, on images of another."""

from __future__ import annotations

from collections.abc import Callable

from bench.core.types import Dataset

VALUES = 3 * 32 * 32  # of an image of 32 pixels a side, in colour


def of_size(radius: float, data: Dataset) -> float:
    """Give the radius, pixels in [0,1], at which noise has the root mean square of that on 3,072 values."""
    values: int = data.train.images[0].numel()
    return float(radius * (values / VALUES) ** 0.5)


def say_size(name: str, radius: float, data: Dataset, say: Callable[[str], None]) -> None:
    """Say where a method keeps a radius that was chosen for 3,072 values on images that have others."""
    values = data.train.images[0].numel()
    if values != VALUES:
        say(
            f"{name}: its L2 radius of {radius:.4g} is that of images of {VALUES:,} values, and these have "
            f"{values:,}; the same root mean square has --set {name}.radius={of_size(radius, data):.4g}"
        )
