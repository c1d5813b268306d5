"""Settings: everything a run is asked for besides methods and defenses, and the profiles that preset it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.core.errors import BadInput
from bench.core.types import Recipe
from bench.mi.sliced import MISettings
from bench.shares import check_share

Precision = Literal["fp32", "bf16", "auto"]


def check_eps(eps: float, who: str) -> None:
    """BadInput unless eps is a budget that survives rounding to uint8."""
    if not 0 < eps <= 1:
        hint = f"did you mean {eps:g}/255?" if 1 < eps < 256 else "it is a share of the range"
        raise BadInput(f"{who}: eps is {eps:g}, expected above 0 and at most 1; {hint}")
    if eps < 1 / 255 - 1e-9:
        raise BadInput(f"{who}: eps is {eps:g}, below 1/255: nothing survives rounding to uint8")


@dataclass(frozen=True)
class Setting:
    """What can move a number, but for the plugins; every field can be set on the command line."""

    data: str = "glyphs"
    limit: int | None = 2000  # training images, validation included; none: all
    net: str = "small"  # of the victim
    surrogate: str = "small"  # net of the methods
    victim: Recipe = field(default=Recipe(epochs=10, batch=64, lr=0.05))
    precision: Precision = "fp32"  # auto: see precision.py; a row has the one it was
    eps: float | None = None  # none: each method's own budget
    prepare_test: bool = False  # whether test images pass the defense's preparation too
    points: int = 5  # of the learning curve, at most 10
    mi: MISettings = field(default=MISettings(images=1000, slices=96))
    seed: int = 0
    reps: int = 1  # victims for each poison
    poison_reps: int = 1  # poisons for each method
    share: float = 1.0  # of the training images that are published poisoned; the rest is published clean
    drop_poisoned: bool = False  # victims train on that rest alone: the baseline of a share

    def __post_init__(self) -> None:
        if self.eps is not None:
            check_eps(self.eps, "eps")
        check_share(self.share)
        for name, least, most in (("points", 1, 10), ("reps", 1, 10**6), ("poison_reps", 1, 10**6)):
            if not least <= getattr(self, name) <= most:
                raise BadInput(f"{name} is {getattr(self, name)}, expected {least} to {most}")


@dataclass(frozen=True)
class Profile:
    """A preset of the setting, with what it takes and what it can show."""

    setting: Setting
    takes: str
    shows: str
    hides: str

    def __str__(self) -> str:
        s = self.setting
        images = "all training images" if s.limit is None else f"{s.limit} training images"
        recipe = f"{s.victim.epochs} epochs of batch {s.victim.batch}, lr {s.victim.lr:g}, {s.precision}"
        what = f"{s.data}, {images}, victim {s.net}, surrogate {s.surrogate}, {recipe}"
        return f"{what}; {self.takes}. Shows {self.shows}; hides {self.hides}."


PROFILES = {
    "quick": Profile(
        Setting(),
        takes="at most 10 minutes for the whole matrix on 2 CPU cores",
        shows="that the whole pipeline works: under none every method costs the victim accuracy",
        hides="any ranking: one small net, rendered digits, ten epochs",
    ),
    "cifar-cpu": Profile(
        Setting(
            data="cifar10",
            limit=10_000,
            net="resnet18-slim-s2",
            surrogate="resnet18-slim-s2",
            victim=Recipe(epochs=30, batch=64, lr=0.05),
            precision="auto",
            points=10,
            mi=MISettings(images=2000, slices=256),
        ),
        takes="hours for the whole matrix on 2 CPU cores; it resumes",
        shows="the order of methods and defenses on real images with a slim ResNet-18",
        hides="published accuracies: fewer images, a narrower net, fewer epochs, rounds and steps",
    ),
    "reference": Profile(
        Setting(
            data="cifar10",
            limit=10_000,
            net="resnet18-slim",
            surrogate="resnet18-slim",
            victim=Recipe(epochs=30, batch=128),
            precision="auto",
            points=10,
            mi=MISettings(images=2000, slices=256),
        ),
        takes="minutes on a large GPU, a day or so on 2 CPU cores (--dry-run says); it resumes",
        shows="methods and defenses on real images where every method works, as in results/reference",
        hides="published accuracies: fewer images, a narrower net, fewer epochs, rounds and steps",
    ),
    "paper": Profile(
        Setting(
            data="cifar10",
            limit=None,
            net="resnet18",
            surrogate="resnet18",
            victim=Recipe(epochs=60, batch=128),
            points=10,
            mi=MISettings(),
        ),
        takes="GPU hours: not measured by us yet",
        shows="the published recipes in full: ResNet-18, all images, the papers' steps and rounds",
        hides="what differs between the papers' own victim recipes; see the headers of the plugins",
    ),
}
