"""Victims that do not begin at random, or that learn without labels first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.train import Streams, accuracy, fit
from bench.core.types import Recipe, Split
from bench.experiment.registry import catalog
from bench.nets import build
from defenses.finetune import FineTune
from defenses.simclr import SimCLR, info_nce
from support.toys import AUGMENTATION, CLASSES, SIZE, begun, noise, small_net, toy_kit, toy_split

DATA, TEST = toy_split(64, 0), toy_split(100, 9)
PRIOR = Recipe(epochs=8, batch=16, lr=0.05)
TUNING = FineTune(reference=48, prior=PRIOR)
CONTRASTIVE = SimCLR(training=Recipe(epochs=3, batch=32, lr=0.05), strength=0.3)


def linear() -> nn.Module:
    shape = {"channels": 3, "classes": CLASSES, "size": SIZE}
    return build("linear", **shape, precision="fp32", seed=0, device=torch.device("cpu"))


def trained(value: Any, shown: Split, recipe: Recipe) -> nn.Module:
    """As a cell trains its victim."""
    net: nn.Module = begun(value, shown)
    streams = Streams.of(0, 0, torch.device("cpu"))
    fit(net, shown, value.recipe(recipe), streams, AUGMENTATION, defense=value)
    value.finish(net, shown, toy_kit(value, shown))
    return net


# fine-tuning


def test_the_victim_begins_with_what_clean_images_taught() -> None:
    assert accuracy(small_net(), TEST) < 0.5
    assert accuracy(begun(TUNING, DATA), TEST) > 0.9


def test_labels_that_are_wrong_everywhere_do_less_to_a_net_that_knew_better() -> None:
    """A poison in the extreme: every image under the name of the next class."""
    misled = Split(DATA.images, (DATA.labels + 1) % CLASSES)
    recipe = Recipe(epochs=6, batch=16, lr=0.05)
    anew = small_net()
    fit(anew, misled, recipe, Streams.of(0, 0, torch.device("cpu")), AUGMENTATION)
    assert accuracy(anew, TEST) < 0.2
    assert accuracy(trained(replace(TUNING, lr=1e-4), misled, recipe), TEST) > 0.7


def test_a_new_head_is_the_victims_own_and_all_else_the_priors() -> None:
    whole, anew = begun(TUNING, DATA).state_dict(), begun(replace(TUNING, new_head=True), DATA).state_dict()
    own = small_net().state_dict()
    for name, value in anew.items():
        assert torch.equal(value, own[name] if name.startswith("head.") else whole[name])
    assert not torch.equal(own["head.weight"], whole["head.weight"])
    assert catalog("defenses").get("finetune-head").value == replace(FineTune(), new_head=True)


def test_the_prior_follows_from_the_kit_and_its_worth_is_kept() -> None:
    """It never sees what is published."""
    kits = [toy_kit(TUNING, data) for data in (DATA, toy_split(64, 5))]
    nets = [small_net(), small_net()]
    for net, kit in zip(nets, kits, strict=True):
        TUNING.begin(net, DATA, kit)
        assert kit.facts == {"prior_val_acc": accuracy(net.eval(), kit.val)}
    assert torch.equal(nets[0].head.weight, nets[1].head.weight)  # type: ignore[arg-type]


def test_the_rate_is_lowered_and_nothing_else() -> None:
    recipe = Recipe(epochs=7, lr=0.5, final_lr=1e-6)
    assert TUNING.recipe(recipe) == replace(recipe, lr=0.001)
    assert TUNING.recipe(replace(recipe, lr=5e-4)).lr == 5e-4
    assert TUNING.recipe(replace(recipe, final_lr=0.1)).final_lr == 0.001


# contrastive learning


def test_the_loss_is_that_of_the_double_loop() -> None:
    z, t = noise(10, 6) - 0.5, 0.3
    unit = z / z.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(10):
        others = [float(torch.exp(unit[i] @ unit[j] / t)) for j in range(10) if j != i]
        own = float(torch.exp(unit[i] @ unit[(i + 5) % 10] / t))
        total -= float(torch.tensor(own / sum(others)).log())
    assert float(info_nce(z, t)) == pytest.approx(total / 10, rel=1e-5)


def test_features_are_learnt_without_labels_and_read_with_them() -> None:
    shuffled = Split(DATA.images, DATA.labels.roll(1))
    nets = [begun(CONTRASTIVE, DATA) for _ in range(2)]
    for net, data in zip(nets, (DATA, shuffled), strict=True):
        streams = Streams.of(0, 0, torch.device("cpu"))
        fit(net, data, CONTRASTIVE.training, streams, AUGMENTATION, defense=CONTRASTIVE)
    assert torch.equal(*(net(to_float(TEST.images)).detach() for net in nets))  # labels moved nothing
    CONTRASTIVE.finish(nets[0], DATA, toy_kit(CONTRASTIVE, DATA))
    assert accuracy(nets[0], TEST) > 0.8
    CONTRASTIVE.finish(nets[1], shuffled, toy_kit(CONTRASTIVE, DATA))
    assert accuracy(nets[1], TEST) < 0.6


def test_training_brings_the_views_of_an_image_together() -> None:
    def apart(net: Any) -> Tensor:
        return CONTRASTIVE.loss(net, to_float(DATA.images), DATA.labels, generator(4), 0.0).detach()

    net = begun(CONTRASTIVE, DATA)
    before = apart(net)
    streams = Streams.of(0, 0, torch.device("cpu"))
    fit(net, DATA, CONTRASTIVE.training, streams, AUGMENTATION, defense=CONTRASTIVE)
    assert apart(net.train()) < before - 0.1


def test_the_papers_setting_is_the_default() -> None:
    value = catalog("defenses").get("simclr").value
    recipe = value.recipe(Recipe(epochs=7))
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.weight_decay) == (1000, 512, 0.5, 1e-4)
    assert (value.temperature, value.strength) == (0.5, 1.0)


@pytest.mark.parametrize("value", [CONTRASTIVE, replace(TUNING, new_head=True)])
def test_a_net_without_features_is_refused_before_its_training(value: Any) -> None:
    kit = toy_kit(value, DATA)
    kit.build = lambda seed: linear()
    with pytest.raises(BadInput, match="expected a net with features below its last layer"):
        value.begin(linear(), DATA, kit)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimCLR(strength=0), "strength 0, expected above 0, at most 1"),
        (lambda: SimCLR(temperature=0), "temperature is 0, expected above 0"),
        (lambda: FineTune(reference=0), "0 clean images, expected some"),
        (lambda: FineTune(lr=0), "lr is 0, expected above 0"),
    ],
)
def test_fields_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()
