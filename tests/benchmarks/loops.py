"""What is timed: our loop, the bare step, and the usual loop; rates are in images per second."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from functools import cache

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip, ToTensor

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.train import Streams, Trainer, fit
from bench.core.types import Augmentation, Recipe, Split
from bench.nets import Net, build
from bench.nets.body import Shape
from bench.nets.resnet import resnet18

CPU = torch.device("cpu")
WIDTHS = {"resnet18": 64, "resnet18-slim": 16}


def images(n: int) -> Split:
    rng = generator(0)
    pixels = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return Split(pixels, torch.randint(0, 10, (n,), generator=rng))


@cache
def net_of(name: str, precision: str) -> Net:
    return build(name, channels=3, classes=10, size=32, precision=precision, seed=0, device=CPU)


def bare(name: str, precision: str, batch: int) -> Callable[[int], None]:
    """Forward, backward and optimiser on one batch that lies in memory."""
    data, net = images(batch), net_of(name, precision)
    trainer, x = Trainer(net, Recipe(lr=0.01)), to_float(data.images)

    def steps(n: int) -> None:
        net.train()
        for _ in range(n):
            trainer.step(F.cross_entropy(net(x), data.labels), 0.0)

    return steps


def ours(
    name: str, precision: str, batch: int, steps: int, defense: Undefended | None = None
) -> Callable[[], None]:
    """An epoch of the suite's loop."""
    data, net, recipe = images(batch * steps), net_of(name, precision), Recipe(epochs=1, batch=batch, lr=0.01)
    if defense is not None and type(defense).begin is not Undefended.begin and not defense.reference:
        net = deepcopy(net)
        defense.begin(net, data, kit(name, data, defense))
    return lambda: void(fit(net, data, recipe, Streams.of(0, 0, CPU), Augmentation(), defense=defense))


def kit(name: str, data: Split, defense: Undefended) -> Kit:
    """What a defense is given beside the images, some of which pass for what it knows besides."""
    found = Kit(10, Augmentation(), data.take(torch.arange(min(len(data), 100))), lambda seed: fresh(name), 0)
    found.reference = (
        data.take(torch.arange(min(len(data), defense.reference))) if defense.reference else None
    )
    if defense.leaks:
        known = data.images[: defense.leaks]
        found.pairs = known - known // 32, known
    return found


def fresh(name: str) -> Net:
    return deepcopy(net_of(name, "fp32"))


def matmul(flops: float, precision: str, side: int = 1024) -> Callable[[], None]:
    """Products of square matrices with so many operations: as near to the machine's limit as it goes."""
    one = torch.randn(side, side, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    times = max(1, round(flops / (2 * side**3)))

    def products() -> None:
        for _ in range(times):
            torch.mm(one, one)

    return products


def flops_of(work: Callable[[], None]) -> float:
    """Count the operations of convolutions and products in what is done."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def void(thing: object) -> None:
    """Make a statement of an expression."""


def rate(work: Callable[[], None], images: int) -> float:
    started = time.perf_counter()
    work()
    return images / (time.perf_counter() - started)


def our_rate(name: str, precision: str, batch: int, steps: int) -> float:
    return rate(ours(name, precision, batch, steps), batch * steps)


def bare_rate(name: str, precision: str, batch: int, steps: int) -> float:
    work = bare(name, precision, batch)
    work(1)
    return rate(lambda: work(steps), batch * steps)


class Pictures(Dataset[tuple[Tensor, int]]):
    """PIL images through torchvision's transforms, one at a time."""

    def __init__(self, split: Split) -> None:
        arrays = split.images.permute(0, 2, 3, 1).numpy()
        self.images, self.labels = [Image.fromarray(array) for array in arrays], split.labels.tolist()
        self.transform = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), ToTensor()])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        return self.transform(self.images[at]), self.labels[at]


@cache
def plain(name: str) -> tuple[nn.Module, torch.optim.SGD]:
    net = nn.Sequential(
        resnet18(Shape(3, 32, 10), width=WIDTHS[name]).module, nn.Linear(8 * WIDTHS[name], 10)
    )
    return net, torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)


def reference_rate(name: str, batch: int, steps: int) -> float:
    """The usual loop: DataLoader, float32, NCHW."""
    (net, sgd), loader = plain(name), DataLoader(Pictures(images(batch * steps)), batch, shuffle=True)

    def epoch() -> None:
        net.train()
        for x, y in loader:
            sgd.zero_grad()
            F.cross_entropy(net((x - 0.5) / 0.25), y).backward()
            sgd.step()

    return rate(epoch, batch * steps)
