"""Partial poisoning as a setting asks for it and rows say it: part of the images is published poisoned.

The method sees all training images and crafts once, at full strength; a share of what it made is
published, and the other images as they were. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bench.core.errors import BadInput

DEFAULTS: dict[str, Any] = {"share": 1.0, "drop_poisoned": False}


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


def inputs(setting: Partial) -> dict[str, Any]:
    """What keys take of it: only what is no default, so that rows from before keep their keys."""
    asked = {name: getattr(setting, name) for name in DEFAULTS}
    return {name: value for name, value in asked.items() if value != DEFAULTS[name]}


def completed(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A row's inputs with the defaults that it leaves unsaid."""
    return {**DEFAULTS, **inputs}
