"""Small runs of what the harness does with plugins: training a victim, crafting, evaluation, MI of a row."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.core.defense import Undefended
from bench.core.method import Lab, Method, Need
from bench.core.pixels import levels, release, to_float, truncated
from bench.core.train import accuracy, predict
from bench.core.types import Dataset, Recipe, Split
from bench.experiment.cache import Poison
from bench.experiment.cell import craft, published_split, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.evaluate import HeldOut, mi_columns, subject
from bench.experiment.partial import mask, mixed
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.metrics.distances import distances
from bench.metrics.mi.settings import MISettings
from golden.inputs import BATCH, CLASSES, TRAIN, Tiny, dataset, hashed, normal, split, uniform, weights
from golden.numbers import GREY, Numbers
from golden.training import CPU, Watch, loop

SETTING = Setting(
    net="small",
    surrogate="small",
    victim=Recipe(epochs=3, batch=BATCH),
    points=2,
    mi=MISettings(images=240, slices=16),
    seed=3,
)


@dataclass(frozen=True)
class ToyContext(RunContext):
    """Its nets are tiny, and it keeps whose seeds they have."""

    built: list[str] = field(default_factory=list)

    def build(self, name: str, seed: int) -> Any:
        self.built.append(f"{name} {seed}")
        return Tiny(seed)


def context(folder: Path, data: Dataset, **asked: Any) -> ToyContext:
    return ToyContext(data, replace(SETTING, **asked), "quick", CPU, folder, {})


@dataclass(frozen=True)
class Probe(Method):
    """Adds uniform noise, of which some is over a level's half; keeps what it was lent."""

    labs: list[Lab] = field(default_factory=list, compare=False)
    needs: ClassVar[tuple[Need, ...]] = ("surrogate", "labels", "clean data")

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        self.labs.append(lab)
        return (2 * uniform(tuple(clean.images.shape), 8) - 1) * self.eps


PROBE = Plugin("methods", "probe", Probe(), "code")


@dataclass(frozen=True)
class Darker(Undefended):
    """Halves every pixel."""

    def prepare(self, images: Tensor) -> Tensor:
        return images // 2


def plugged(value: Undefended) -> Plugin:
    return Plugin("defenses", "toy", value, "code", control=True)


def poison(whole: RunContext) -> Poison:
    """As if it had been crafted: its images are those of the data set, a level brighter."""
    manifest = {"seed": 1, "facts": {}, "seconds": 0.0, "peak_mb": 0.0, "environment": {}}
    manifest |= {"published": "toy", "norm": "linf", "form": "sample-wise", "distances": {}}
    return Poison(whole.data.train.images.clamp(max=254) + 1, manifest)


def training() -> Numbers:
    """Of the loop and all in it, and of what a cell's victim is seeded with."""
    numbers = Numbers()
    loop(numbers)
    for rep in (0, 1):
        _victim(numbers, f"victim {rep}", rep)
    return numbers


def crafting() -> Numbers:
    """Of what a method is lent, and of how its delta is published."""
    numbers = Numbers()
    _released(numbers)
    _masked(numbers)
    _lent(numbers)
    for drop in (False, True):
        _victim(numbers, f"victim, poisoned half dropped {drop}", share=0.5, drop_poisoned=drop)
    return numbers


def _released(numbers: Numbers) -> None:
    images = split(BATCH, 1).images
    quarters = hashed(images.numel(), 2).view(images.shape) % 160 - 80  # of a grey level
    delta = quarters.float() / (4 * GREY)
    for eps in (8.0, 8.5, 16.0):
        numbers.add(f"whole levels of a budget of {eps}", levels(eps / GREY))
        published = release(images, delta, eps / GREY)
        numbers.same(f"images published at {eps}", published)
        change = published.float() - images
        numbers.add(f"mean change at {eps}", float(change.double().mean()), 1e-9, "grey levels")
    numbers.tensor("a truncated delta", truncated(delta), 1e-4, "grey levels", GREY)


def _masked(numbers: Numbers) -> None:
    data = dataset()
    clean, poison = data.train.images, data.train.images // 2
    for share in (0.1, 0.5, 1.0):
        chosen = mask(data, share, 3)
        counts = data.train.labels[chosen].bincount(minlength=len(CLASSES)).tolist()
        numbers.add(f"poisoned of each class at share {share}", " ".join(map(str, counts)))
        numbers.same(f"poisoned images at share {share}", chosen, mixed(clean, poison, chosen))


def _lent(numbers: Numbers) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lent = context(Path(folder), dataset(), share=0.5)
        for name, crafted_as, rep in (("probe", "", 0), ("probe", "", 1), ("probe-too", "base", 0)):
            what = f"{name} as {crafted_as or name}, poison {rep}"
            probe = Probe()
            made = craft(lent, Plugin("methods", name, probe, "code", crafted_as=crafted_as), rep)
            (lab,) = probe.labs
            numbers.add(f"crafting seed of {what}", int(made.manifest["seed"]))
            numbers.same(f"published of {what}", made.images, published_split(lent, made).images)
            draws = torch.randint(10**6, (5,), generator=lab.rng("noise"))
            numbers.same(f"streams lent to {what}", draws, torch.tensor([lab.order("walk")]))
            lab.net()
            numbers.add(f"surrogate lent to {what}", lent.built[-1])
        numbers.same("validation images lent", lab.val.images, lab.val.labels)
        numbers.add("classes and augmentation lent", f"{lab.classes}, {lab.augmentation}")
        net = lab.trained(split(TRAIN, 6), Recipe(epochs=2, batch=BATCH))
        numbers.tensor("weights of a trained surrogate", weights(net), 2e-5)
        numbers.add("a trained surrogate in training mode", str(net.training))


def evaluation() -> Numbers:
    """Of accuracy, learning curve and distances."""
    numbers, data = Numbers(), dataset(test=1100, size=8)
    net = Tiny(4).eval()
    for name, part in (("train", data.train), ("test", data.test)):
        numbers.same(f"predicted classes, {name}", predict(net, part.images, BATCH).bincount(minlength=3))
        numbers.add(f"accuracy, {name}", accuracy(net, part), 1e-3)
    for asked in (False, True):
        tests = HeldOut(data, replace(SETTING, prepare_test=asked), Darker())
        name = f"prepared {asked}"
        numbers.same(f"tested on, {name}", tests.val.images, tests.test.images, tests.subset.images)
        numbers.add(f"epochs of the curve, {name}", " ".join(map(str, sorted(tests.epochs))))
        for what, value in (tests.measure(net, 3) or {}).items():
            numbers.add(f"{what} of the curve, {name}", float(value), 1e-3)
    _distances(numbers)
    _row(numbers)
    return numbers


def _distances(numbers: Numbers) -> None:
    """Of more images than are looked at at a time; some are as they were."""
    clean = split(520, 5, size=12).images
    noise = hashed(clean.numel(), 6).view(clean.shape) % 17 - 8
    noise[::3] = 0
    noise[:, :, ::2] = 0
    published = (clean.to(torch.int64) + noise).clamp(0, 255).to(torch.uint8)
    for name, changed in (("noise", published), ("nothing", clean)):
        found = distances(clean, changed, torch.zeros(len(clean), dtype=torch.int64))
        for what in ("linf", "l2", "l0", "psnr", "ssim"):  # the others are exact in tests/core
            value = found[what]
            numbers.add(f"{what} of {name}", value, 1e-5)


def _row(numbers: Numbers) -> None:
    """Of a whole cell, whose training images are darker than the others."""
    with tempfile.TemporaryDirectory() as folder:
        whole = context(Path(folder), dataset(test=200))
        row = run_cell(whole, Cell(PROBE, plugged(Darker()), 0, 0), poison(whole))
    for name in ("test_acc", "train_acc", "val_selected_acc", "peak_acc"):
        numbers.add(f"{name} of a row", float(getattr(row, name)), 0.03)
    numbers.add("points of a row's curve", len(row.curve or ()))


def _victim(numbers: Numbers, name: str, rep: int = 0, **asked: Any) -> None:
    """What the victim of a cell is seeded with, and shown."""
    with tempfile.TemporaryDirectory() as folder:
        whole, watch = context(Path(folder), dataset(), **asked), Watch()
        row = run_cell(whole, Cell(PROBE, plugged(watch), 0, rep), poison(whole))
    watch.tell(numbers, name)
    numbers.add(f"weights of the {name}", whole.built[-1])
    seeds = (f"{what} {seed}" for what, seed in sorted((row.seeds or {}).items()))
    numbers.add(f"seeds of the {name}", ", ".join(seeds))


def mi() -> Numbers:
    """Of the MI columns of a row: a value, a bound, and a reason why there is neither."""
    numbers, net = Numbers(), Tiny(7).eval()
    data = dataset(train=300)
    quiet = replace(SETTING, mi=replace(SETTING.mi, sigma=0.05))  # with so little noise nearly all is told
    for name, asked, published, defense in (
        ("noisy images", SETTING, _noisy(data.train), Darker()),
        ("nearly the same images", quiet, Split(data.train.images // 2 * 2, data.train.labels), Undefended()),
        ("few images", replace(SETTING, mi=MISettings(images=100)), data.train, Undefended()),
    ):
        seen = subject(data, asked, net, published)
        numbers.same(f"{name}: chosen", seen.clean, seen.published, seen.labels)
        numbers.add(f"{name}: seed", seen.seed)
        for side in ("clean", "published"):
            features = getattr(seen, f"{side}_features")
            numbers.tensor(f"{side} features, {name}", features, 1e-5)
        columns = mi_columns(data, asked, net, published, defense)
        assert asked is not quiet or (columns["mi"] is None and columns["mi_reason"].startswith("at least"))
        for column, value in columns.items():
            said = re.sub(r"\d+\.\d+", "x", value) if isinstance(value, str) else value  # rounded numbers
            numbers.add(f"{name}: {column}", said, 2e-3, "nats" if isinstance(value, float) else "")
    return numbers


def _noisy(clean: Split) -> Split:
    """Images among whose noise is less than half of what they were."""
    noise = 60 * normal(tuple(clean.images.shape), 9)
    return Split((to_float(clean.images) * 100 + 78 + noise).clamp(0, 255).to(torch.uint8), clean.labels)
