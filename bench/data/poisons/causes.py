"""Usual mistakes that explain a change over budget."""

from __future__ import annotations

import torch
from torch import Tensor


def named(published: Tensor, clean: Tensor, cap: int) -> str | None:
    """Name the mistake without which all images are within budget; None where none is known.

    published, clean: uint8 (N,C,H,W). cap: the budget in grey levels.
    """
    steps = published.int() - clean

    def within(change: Tensor) -> bool:
        return bool(change.abs().max() <= cap)

    if published.shape[1] == 3 and within(published.flip(1).int() - clean):
        return "the channels are blue, green, red (BGR), expected red, green, blue: save them in that order"
    if within((steps + 128) % 256 - 128):
        return "sums wrapped around in uint8, 255 + 3 became 2: add in a wider type, and clip to 0..255"
    if within(published.view(torch.int8).int()):
        return "these are deltas that wrapped around in uint8, -3 became 253: save them as int8 or int16"
    return None
