"""Fine-tuning: the victim begins with what a net has learnt from clean images, and moves slowly from there.

Li et al., "When Priors Backfire: On the Vulnerability of Unlearnable Examples to Pretraining", ICLR 2026, who
find that pre-trained victims undo most methods; the learning rate of 0.001 is theirs. finetune takes over the
whole prior; finetune-head all but the last layer, as a prior of other classes must. What the prior itself can
do is in the row's facts (prior_val_acc): a victim of finetune that is no better has learnt nothing from the
published images.
Differs from the paper: its priors are trained on ImageNet; ours on clean images of the same kind that nobody
publishes, because no weights come with the suite, so that they know the classes. Whatever else the victim's
recipe says is the run's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import nn

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.types import BadInput, Recipe, Split
from defenses._last_layer import head_of


@dataclass(frozen=True)
class FineTune(Undefended):
    """Begin with a net that was trained on clean images, and train it slowly."""

    reference: int = 5000  # clean images that the prior is trained on
    prior: Recipe = field(default=Recipe(epochs=60))  # how it is trained
    lr: float = 0.001  # of the victim in the first step, or less where its recipe has less
    new_head: bool = False  # whether the victim's last layer begins at random

    revision: ClassVar[int] = 1
    of_net: ClassVar[tuple[str, ...]] = ("prior",)
    POSITIVE: ClassVar[tuple[str, ...]] = ("lr",)
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"reference": 1000, "prior.epochs": 20, "prior.batch": 32, "prior.lr": 0.05},
        "cifar-cpu": {"prior.epochs": 30, "prior.batch": 64, "prior.lr": 0.05},
        "reference": {"prior.epochs": 30},
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference < 1:
            raise BadInput(f"fine-tuning has {self.reference} clean images, expected some")

    @property
    def cost(self) -> float:
        return 1.5  # with the prior's training, in the profiles

    def recipe(self, victim: Recipe) -> Recipe:
        return replace(victim, lr=min(self.lr, victim.lr), final_lr=min(self.lr, victim.final_lr))

    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        state = kit.trained(kit.clean(), self.prior).state_dict()
        kit.note(prior_val_acc=kit.facts.pop("surrogate_val_acc"))
        if self.new_head:
            head_of(net)  # a net without one has nothing that could begin anew
            state |= {name: value for name, value in net.state_dict().items() if name.startswith("head.")}
        net.load_state_dict(state)


VARIANTS = {"finetune": FineTune(), "finetune-head": FineTune(new_head=True)}
ALL = ()
