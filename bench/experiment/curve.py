"""What a victim is tested on, and points of its learning curve."""

from __future__ import annotations

import math

import torch
from torch import nn

from bench.core.defense import Undefended
from bench.core.rng import generator, seed_for
from bench.core.train import Point, accuracy
from bench.core.types import Dataset, Split
from bench.experiment.settings import Setting

IMAGES = 1000  # of the test set


class HeldOut:
    """Validation and test images as the victim meets them, and points of its learning curve."""

    def __init__(self, data: Dataset, setting: Setting, defense: Undefended) -> None:
        self.val, self.test = (
            Split(defense.prepare(s.images.clone()), s.labels) if setting.prepare_test else s
            for s in (data.val, data.test)
        )
        order = torch.randperm(len(self.test), generator=generator(seed_for(0, "curve", data.digest)))
        self.subset = self.test.take(order[:IMAGES].to(data.test.labels.device))
        epochs, points = setting.victim.epochs, setting.points
        self.epochs = {math.ceil(epochs * (i + 1) / points) for i in range(points)}

    def measure(self, net: nn.Module, epoch: int) -> Point | None:
        if epoch not in self.epochs:
            return None
        return {"epoch": epoch, "val_acc": accuracy(net, self.val), "test_acc": accuracy(net, self.subset)}
