"""Settings: everything a run is asked for besides methods and defenses, and the profiles that preset it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from bench.core.errors import BadInput
from bench.core.recipe import ADDED, Recipe
from bench.data import HUB
from bench.experiment.registry import Plugin
from bench.metrics.mi.settings import MISettings

PLACE = "DIR"  # stands for a folder that everybody keeps somewhere else
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

    data: str = "glyphs"  # data set
    limit: int | None = 2000  # training images, validation included; none: all
    net: str = "conv5"  # of the victim
    surrogate: str = "conv5"  # net of the methods
    victim: Recipe = field(default=Recipe(epochs=14, batch=32, lr=0.03))
    precision: Precision = "fp32"  # auto: see device.py; a row has the one it was
    eps: float | None = None  # none: each method's own budget
    prepare_test: bool = False  # whether test images pass the defense's preparation too
    points: int = 5  # of the learning curve, at most 10
    mi: MISettings = field(default=MISettings(images=1000, slices=96))
    seed: int = 0  # base of all random streams
    reps: int = 1  # victims for each poison
    poison_reps: int = 1  # poisons for each method
    share: float = 1.0  # of the training images that are published poisoned; the rest is published clean
    drop_poisoned: bool = False  # victims train on that rest alone: the baseline of a share
    # Test images attacked for robust accuracy; none: 1,000, in small runs a sixth of the training images;
    # 0: it is not measured
    robust_images: int | None = field(default=None, metadata=ADDED)
    # Long-tailed training images: how often the first class is there for once the last one; 1: all are kept
    imbalance: float = field(default=1.0, metadata=ADDED)

    def __post_init__(self) -> None:
        if self.eps is not None:
            check_eps(self.eps, "eps")
        if not 0 <= self.share <= 1:
            hint = f"; did you mean {self.share / 100:g}?" if 1 < self.share <= 100 else ""
            raise BadInput(f"share is {self.share:g}, expected 0 to 1 of the training images{hint}")
        if not self.imbalance >= 1:
            raise BadInput(f"imbalance is {self.imbalance:g}, expected 1 (none) or more, such as 10")
        if self.robust_images is not None and self.robust_images < 0:
            raise BadInput(f"robust_images is {self.robust_images}, expected 0 or more")
        if abs(self.seed) >= 2**63:
            raise BadInput(f"seed has {len(str(abs(self.seed)))} digits, expected at most 18")
        for name, least, most in (("points", 1, 10), ("reps", 1, 10**6), ("poison_reps", 1, 10**6)):
            if not least <= getattr(self, name) <= most:
                raise BadInput(f"{name} is {getattr(self, name)}, expected {least} to {most}")

    def offered(self, n: int) -> int:
        """Count the images, of n training images, that victims learn from."""
        return n - round(self.share * n) if self.drop_poisoned else n

    def check_offered(self) -> None:
        """Raise BadInput where victims are to leave out every image."""
        if self.drop_poisoned and self.share == 1:
            raise BadInput(
                "--drop-poisoned with share 1 leaves no training image, expected a --share below 1"
            )

    def check_prepares(self, defense: Plugin) -> None:
        """Raise BadInput where a defense is to prepare test images and cannot; controls change nothing."""
        if self.prepare_test and defense.value.only_together and not defense.control:
            raise BadInput(
                f"--prepare-test: {defense.name} purifies all published images together, expected a defense "
                "that prepares each image by itself"
            )


@dataclass(frozen=True)
class Command:
    """What moves the numbers of a run, as it was asked for, without a path of the machine that did."""

    options: tuple[str, ...]  # such as --profile quick --eps 4/255
    sets: tuple[tuple[str, str], ...]  # whose field (empty: the setting's), FIELD=VALUE

    def of(self, method: Plugin, defense: Plugin) -> str:
        """Spell it for one cell: fields of other plugins would be refused where these are not asked for."""
        named = {"--methods": method, "--defenses": defense}
        chosen = [part for option, p in named.items() for part in (option, portable(p.place or p.name))]
        ours = [item for owner, item in self.sets if owner in ("", method.name, defense.name)]
        sets = [part for item in ours for part in ("--set", item)]
        return shlex.join(["python", "-m", "bench", "run", *chosen, *self.options, *sets])


def portable(source: str) -> str:
    """Leave out a source's folder: parquet:/a/b/cifar10 becomes parquet:DIR/cifar10; a hub's name stays."""
    kind, colon, place = source.partition(":")
    if kind == HUB and not place.startswith(("/", ".", "~")):
        return source
    return f"{kind}:{PLACE}/{PurePath(place).name}".rstrip("/") if colon else source


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
        what = (
            f"{s.data}, {images}, victim {s.net}, surrogate {s.surrogate}, {_said(s.victim)}, {s.precision}"
        )
        reps = f", {s.reps} victims for each poison" if s.reps > 1 else ""
        return f"{what}{reps}; {self.takes}. Shows {self.shows}; hides {self.hides}."


def _said(recipe: Recipe) -> str:
    """Put a recipe in words, as far as recipes differ."""
    lr = f"lr {recipe.lr:g}"
    if recipe.milestones:
        left = {"steps": "a tenth", "halvings": "half"}[recipe.schedule]
        lr += f" ({left} after {', '.join(f'{at:.0%}' for at in recipe.milestones)})"
    elif recipe.schedule == "constant":
        lr += " throughout"
    elif recipe.final_lr:
        lr += f" to {recipe.final_lr:g}"
    clip = "" if recipe.clip is None else f", gradients clipped at {recipe.clip:g}"
    decay = f"weight decay {recipe.weight_decay:g}"
    return f"{recipe.epochs} epochs of batch {recipe.batch}, {lr}, {decay}{clip}"


def slim(net: str, victim: Recipe, takes: str, shows: str) -> Profile:
    """Preset a fifth of CIFAR-10, with one slim net for victims and surrogates."""
    mi = MISettings(images=2000, slices=256)
    setting = Setting("cifar10", 10_000, net, net, victim, "auto", points=10, mi=mi)
    hides = "published accuracies: fewer images, a narrower net, fewer epochs, rounds and steps"
    return Profile(setting, takes, shows, hides)


def published(victim: Recipe, shows: str, hides: str, reps: int = 1) -> Profile:
    """Preset a paper's own victims, as many as it has, on all of CIFAR-10. hides: the known differences."""
    setting = Setting("cifar10", None, "resnet18", "resnet18", victim, points=10, mi=MISettings(), reps=reps)
    return Profile(setting, "GPU time not measured by us, see --dry-run", shows, hides)


PROFILES = {
    "quick": Profile(
        Setting(),
        takes="8 minutes or so for the whole matrix on 2 CPU cores",
        shows="which methods cost accuracy and which defenses give it back",
        hides="any ranking: one small net, drawn digits, one poison a method",
    ),
    "cifar-cpu": slim(
        "resnet18-slim-s2",
        Recipe(epochs=30, batch=64, lr=0.05),
        takes="hours for the whole matrix on 2 CPU cores; it resumes",
        shows="methods and defenses on real images with a slim ResNet-18",
    ),
    "reference": slim(
        "resnet18-slim",
        Recipe(epochs=30, batch=128),
        takes="minutes on a large GPU, a day or so on 2 CPU cores (--dry-run says); it resumes",
        shows="methods and defenses on real images where every method works, as in results/reference",
    ),
    # Victims as the papers train them; methods and defenses have the papers' values in every one of these.
    "paper": published(
        Recipe(epochs=60, batch=128),
        shows="methods and defenses as published (their headers say what differs) and victims as ISS trains "
        "them (Liu et al., ICML 2023, official code)",
        hides="that here 5 % of the training images are for validation, nets normalise with constants of "
        "their own, and a cosine falls at every step (in MI-UE's code once an epoch)",
    ),
    "paper-iss-at": published(
        Recipe(epochs=100, batch=128),
        shows="how ISS trains adversarially (official code): at-8 with --set at-8.radius=0.031 "
        "--set at-8.step=0.007",
        hides="the same as paper, and that the official code attacks from Gaussian starts",
    ),
    "paper-em": published(
        Recipe(epochs=60, batch=128, clip=5.0),
        shows="victims as EM and EMax have them (Huang et al., ICLR 2021, official configs)",
        hides="the same as paper, and that the official loader drops negative noise",
    ),
    "paper-em-at": published(
        Recipe(epochs=100, batch=128, schedule="steps", milestones=(0.75, 0.9, 1.0), clip=5.0),
        shows="how EM trains adversarially (official configs): at-8",
        hides="the same as paper-em, and that the official code attacks from Gaussian starts",
    ),
    "paper-mi-ue": published(
        Recipe(epochs=200, batch=128, lr=0.5, weight_decay=1e-4, final_lr=1e-6),
        shows="victims as MI-UE trains them (Zhu et al., ICLR 2026, official code)",
        hides="the same as paper, and that the official code truncates pixels where ours are rounded",
    ),
    "paper-mi-ue-at": published(
        Recipe(epochs=100, batch=128, schedule="steps", milestones=(0.4, 0.8)),
        shows="how MI-UE trains adversarially (official code): at-8, at-6, at-4, at-2",
        hides="the same as paper-mi-ue",
    ),
    "paper-tap": published(
        Recipe(epochs=200, batch=128),
        shows="victims as TAP trains them, and as many (Fowl et al., NeurIPS 2021, official code)",
        hides="the same as paper; TAP's nets normalise with the data's mean and deviation",
        reps=5,
    ),
    "paper-ueraser": published(
        Recipe(epochs=200, batch=128),
        shows="victims as UEraser trains them (Qin et al., 2023, official README); of its notebook, uer-p1 "
        "has the p alone",
        hides="the same as paper, and that the README's loop has no schedule, where here it is a cosine",
    ),
    "paper-apbench": published(
        Recipe(epochs=200, batch=256, schedule="halvings", milestones=(0.5,)),
        shows="victims as APBench trains them, plain and adversarially (TMLR 2024, official code); its "
        "UEraser is uer-max with --set uer-max.p=1",
        hides="the same as paper, and that APBench does not shuffle, drops the last batch, "
        "attacks from Gaussian starts, and has UEraser compress against TAP",
    ),
}
