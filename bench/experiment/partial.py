"""Partial poisoning as a setting asks for it and rows say it: part of the images is published poisoned.

The method sees all training images and crafts once, at full strength; a share of what it made is
published, and the other images as they were. Imports no torch.
"""

from __future__ import annotations

from typing import Protocol

from bench.core.errors import BadInput


class Partial(Protocol):
    """A setting, as far as it says what is published and what victims learn from."""

    @property
    def share(self) -> float: ...  # of the training images that are published poisoned, in [0,1]

    @property
    def drop_poisoned(self) -> bool: ...  # whether victims leave these out: a share's baseline


def check_share(share: float) -> None:
    if not 0 <= share <= 1:
        hint = f"; did you mean {share / 100:g}?" if 1 < share <= 100 else ""
        raise BadInput(f"share is {share:g}, expected 0 to 1 of the training images{hint}")


def check(setting: Partial) -> None:
    """BadInput where victims are to leave out every image."""
    if setting.drop_poisoned and setting.share == 1:
        raise BadInput("--drop-poisoned with share 1 leaves no training image, expected a --share below 1")


def poisoned(share: float, n: int) -> int:
    """How many of n training images are published poisoned."""
    return round(share * n)


def offered(setting: Partial, n: int) -> int:
    """How many of n training images the victims learn from."""
    return n - poisoned(setting.share, n) if setting.drop_poisoned else n
