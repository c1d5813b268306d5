"""What a method is, and what it is given to work with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from bench.core.checkpoint import Checkpoint
from bench.core.defense import Undefended
from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.rng import generator, seed_for
from bench.core.threat import Threat
from bench.core.train import Streams, Tick, accuracy, fit, quiet
from bench.core.types import Augmentation, Dataset, Recipe, Split, check_positive

Fact = float | int | str | None
Form = Literal["infer", "sample-wise", "class-wise", "universal"]
Need = Literal["surrogate", "labels", "clean data"]


PUBLISHING = {"publishing": True}  # metadata of a field that craft() does not read
LONGEST = 10_000  # characters of a note
PERTURBING = 0.7  # cost of a sign step, which needs no weight gradients, against a training step
# Training passes over the images of EM as REM's repository has it, the unit in which costs are compared:
# in each of 13 epochs a training step and ten sign steps a batch, in the end ten sign steps more.
EM_PASSES = 13 * (1 + 10 * PERTURBING) + 10 * PERTURBING


def joined(known: Fact, changed: str) -> str:
    """Add what one piece of a plugin left changed to what is known of the others; names with commas."""
    return ", ".join(dict.fromkeys([*(str(known).split(", ") if known else ()), *changed.split(", ")]))


class Withheld(Split):
    """Clean images that a method has not declared that it needs: to read them is refused, ValueError."""

    def __init__(self, labels: Tensor, who: str) -> None:
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "who", who)

    @property
    def images(self) -> Tensor:  # type: ignore[override]
        raise ValueError(
            f"method {vars(self)['who']!r} reads lab.val, and declares no clean data in its needs"
        )


@dataclass
class Lab:
    """Everything a method may use besides the clean images."""

    classes: int
    augmentation: Augmentation
    val: Split  # clean images that are never published
    build: Callable[[int], nn.Module]  # seed -> a fresh surrogate on the images' device
    seed: int
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    tick: Tick = quiet
    facts: dict[str, Fact] = field(default_factory=dict)
    judge: Callable[[nn.Module], float] | None = None  # accuracy on val, which may be withheld

    def note(self, **facts: Fact) -> None:
        """Keep something about this run in the row; ValueError of what is no finite number, word or None."""
        for name, value in facts.items():
            plain = value is None or isinstance(value, bool | int | str)
            if not plain and not (type(value) is float and math.isfinite(value)):
                raise ValueError(f"note {name} is {value!r}, expected a finite number, a word or None")
            if isinstance(value, str) and not (value.isprintable() and len(value) <= LONGEST):
                raise ValueError(f"note {name} is {value[:60]!a}, expected a sentence in one line")
        self.facts.update(facts)

    def left(self, changed: str) -> None:
        """Say which global states the plugin left changed, each once; they have been restored."""
        self.note(left_changed=joined(self.facts.get("left_changed"), changed))

    def unreached(self, what: str) -> None:
        """Say that crafting ends short of its objective; run, tables and reports show it.

        what: what was seen and what was expected, such as "surrogate error 0.31 after 12 rounds, expected
        0.01 at most". It moves no image and no key.
        """
        self.note(unreached=what)

    def net(self) -> nn.Module:
        """Build a surrogate with this run's initial weights."""
        return self.build(seed_for(self.seed, "init"))

    def rng(self, name: str) -> Generator:
        return generator(seed_for(self.seed, name), self.val.labels.device)

    def order(self, name: str) -> int:
        """Make the seed of a sequence of shuffles, see batches()."""
        return seed_for(self.seed, "order", name)

    def trained(self, clean: Split, recipe: Recipe, defense: Undefended | None = None) -> nn.Module:
        """Train a surrogate on clean images, with the data set's augmentation; in eval mode.

        defense: how it learns; with Robust adversarially.
        """
        net = self.net()
        part, finished = self.checkpoint.part("surrogate"), self.checkpoint.part("trained")
        if (state := finished.load()) is None:
            tick: Tick = lambda share, what: self.tick(share / 2, "surrogate")  # noqa: E731
            streams = Streams.of(self.seed, self.seed, clean.labels.device)
            fit(net, clean, recipe, streams, self.augmentation, defense=defense, checkpoint=part, tick=tick)
            finished.save(net.state_dict())
        else:
            net.load_state_dict(state)
            net.eval()  # as fit leaves it
        self.note_surrogate(net)
        return net

    def perturbed(
        self, clean: Split, batch: int, rng: Generator, perturb: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Perturb each image once, after a surrogate is trained; resumes from the checkpoint.

        perturb: row numbers (B,) -> delta (B,C,H,W) of these images; it draws from rng alone. Returns
        delta (N,C,H,W), float32.
        """
        delta, first = torch.zeros(clean.images.shape, device=clean.images.device), 0
        if state := self.checkpoint.load():
            delta, first = state["delta"].to(delta), state["first"]
            rng.set_state(state["rng"])
        rows = torch.arange(len(clean), device=delta.device)
        while first < len(clean):
            delta[first : first + batch] = perturb(rows[first : first + batch])
            first += batch
            if self.checkpoint.due():
                self.checkpoint.save({"delta": delta, "first": first, "rng": rng.get_state()})
            self.tick(0.5 + 0.5 * min(first / len(clean), 1), "perturbing")
        return delta

    def taken(self, net: nn.Module, clean: Split, delta: Tensor, labels: Tensor, batch: int) -> float:
        """Measure the share, in [0,1], of images plus delta (N,C,H,W) that a net takes for labels (N,)."""
        hits = torch.zeros((), dtype=torch.int64, device=delta.device)  # read once: it waits
        with torch.inference_mode():
            for rows in torch.arange(len(clean), device=delta.device).split(batch):
                z = to_float(clean.images[rows]) + delta[rows]
                hits = hits + (net(z).argmax(1) == labels[rows]).sum()
        return int(hits) / len(clean)

    def note_surrogate(self, net: nn.Module) -> float:
        """Keep and return its accuracy, in [0,1], on clean images that are never published.

        For the row and for what is said of it, not to choose by: a method that does needs clean data.
        """
        found = self.judge(net) if self.judge else accuracy(net, self.val)
        self.note(surrogate_val_acc=found)
        return found


@dataclass(frozen=True)
class Method:
    """Turns clean images into a perturbation of every one of them."""

    # L-inf budget, pixels in [0,1]; 0: nothing is perturbed; 1: no bound but the threat model's own
    eps: float = 8 / 255

    # Raised by whoever changes what is crafted or published, on the class itself: a class below that says
    # none is a draft, which rows tell by its code.
    revision: ClassVar[int]
    form: ClassVar[Form] = "sample-wise"  # class-wise: one pattern for all images of a class
    maps_images: ClassVar[bool] = False  # whether craft() returns images in the place of a delta
    # A net trained here, the labels, clean images beyond those that are published. What is not declared is
    # not there: build() and the images of val are refused, labels are -1.
    needs: ClassVar[tuple[Need, ...]] = ("surrogate", "labels")
    of_net: ClassVar[tuple[str, ...]] = ("surrogate",)  # recipes of the surrogate, which may bring its own
    POSITIVE: ClassVar[tuple[str, ...]] = ()  # fields that must be above 0

    def __post_init__(self) -> None:
        if not 0 <= self.eps <= 1:
            raise BadInput(f"{type(self).__name__}: eps is {self.eps:g}, expected 0 to 1, such as 8/255")
        check_positive(self, self.POSITIVE)

    @property
    def threat(self) -> Threat:
        """What published images are held to, after they are rounded to uint8."""
        return Threat("linf", self.eps)

    @property
    def passes(self) -> float:
        """Crafting's cost in training passes over the images, roughly.

        By it jobs are put in order, progress and --dry-run are reckoned, a job that --minutes leaves no time
        for is not begun, and costs are compared. It moves no image and no key.
        """
        return 0.0

    @property
    def seeded(self) -> bool:
        """Whether another crafting seed may give other images."""
        return self.threat.radius > 0

    def resolved(self, data: Dataset, say: Callable[[str], None]) -> Method:
        """Return this method with whatever was left to the data decided; what is inferred is said.

        Raises BadInput where method and data do not fit.
        """
        return self

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        """Return delta, float32 (N,C,H,W) within the threat model, for the images of clean, in [0,1].

        With maps_images: the images themselves, float32 (N,C,H,W) in [0,1].
        """
        raise NotImplementedError

    def publish(self, delta: Tensor) -> Tensor:
        """Return delta as it is published, before it is rounded to uint8: the same shape, type and budget.

        What a field with PUBLISHING decides is decided here: variants that differ in such fields alone are
        crafted once.
        """
        return delta
