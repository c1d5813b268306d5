"""Small runs of methods and defenses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core import contract
from bench.core.defense import trains_otherwise
from bench.core.errors import BadInput
from bench.core.kit import Kit
from bench.core.method import Lab
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Recipe, Split
from bench.experiment.overrides import change
from bench.experiment.registry import Plugin
from golden.inputs import AUGMENTATION, BATCH, CLASSES, TRAIN, VAL, Tiny, split, weights
from golden.numbers import GREY, Numbers

# A method's fields -> values of a run of a second, wherever it has such a field
SMALL: dict[str, Any] = {
    "surrogate.epochs": 2,
    "surrogate.batch": BATCH,
    "batch": BATCH,  # so that the last batch is smaller
    "share": 0.7,  # two of three batches a round: rounds begin within an epoch
    "subset": 0.45,
    "steps": 3,
    "step": 0.3,  # of eps
    "first_step": 0.2,
    "last_step": 0.6,
    "max_rounds": 3,
    "max_passes": 2,
    "restarts": 2,
    "epochs": 2,
    "robust.steps": 2,
    "crops": 2,
}
# PIL's net has learnt as much as both terms of its loss need to tell
LEARNT: dict[str, Any] = {"share": 0.3, "surrogate.lr": 0.01, "surrogate.epochs": 8}
# Runs of a class that has branches: the fields in which each differs. -1, 2: it never stops by its error.
RUNS: dict[str, list[dict[str, Any]]] = {
    "EM": [{"stop_error": -1}, {"stop_error": 1, "augment": True}],
    "EMClass": [{"stop_error": -1}, {"stop_error": 1, "augment": True}],
    "EMGray": [{"stop_error": -1}, {"stop_error": -1, "moved": False, "augment": True}],
    "EMMine": [{"stop_error": -1, "weight": 3.0}],
    "EMax": [{"stop_error": 2}, {"stop_error": 1e-9}],
    "PIL": [{**LEARNT}, {**LEARNT, "augment": True}],
    "TUECSD": [{}, {"augment": True}],
}
# Class of a defense -> values of such a run; none of those that act on batches alone
SMALL_DEFENSES: dict[str, dict[str, Any]] = {
    "Projection": {"linear.batch": BATCH, "linear.epochs": 3},
    "OrthogonalProjection": {"linear.batch": BATCH, "linear.epochs": 3},
    "LastLayer": {"reference": 24, "views": 2, "steps": 20},
    "FineTune": {"reference": 24, "prior.epochs": 2, "prior.batch": BATCH},
    "SimCLR": {"steps": 20},
    "Ridge": {"leaks": 9},
    "Network": {"leaks": 9, "steps": 20, "training.batch": 8},
}
CHOOSING = {"PCA"}  # classes of defenses that choose by validation images
PROGRESS = (0.0, 0.29, 0.3, 0.99)  # at which a defense's loss is taken


def method(plugin: Plugin) -> Numbers:
    """Of the delta and the published images, of each branch."""
    numbers = Numbers()
    runs = RUNS.get(type(plugin.value).__name__, [{}])
    for i, own in enumerate(runs):
        value = plugin.value
        for path, new in {**SMALL, **own}.items():
            try:
                value = change(value, path, new, plugin.name)
            except BadInput:
                if path in own:
                    raise
        _crafted(numbers, value, f" (run {i + 1})" if i else "")
    return numbers


def _crafted(numbers: Numbers, value: Any, run: str) -> None:
    clean = split(TRAIN, 1)
    lab = Lab(len(CLASSES), AUGMENTATION, split(VAL, 2), Tiny, seed=1)
    crafted = value.craft(clean, lab)
    if value.maps_images:
        crafted = crafted - to_float(clean.images)
    delta = value.publish(crafted)
    for k, name in enumerate(CLASSES):
        own = delta[clean.labels == k].double() * GREY
        numbers.add(f"mean |delta| of class {name}{run}", float(own.abs().mean()), 0.02, "grey levels")
        full = (own.abs() > value.eps * GREY - 0.01).double().mean() if value.eps else 0.0
        numbers.add(f"share at the budget of class {name}{run}", float(full), 0.003)
    numbers.tensor(f"delta{run}", delta, 0.02, "grey levels", GREY, chaos=30)
    means = torch.stack([delta[clean.labels == k].mean(0).flatten() for k in range(3)]).double()
    for first, second in ((0, 1), (0, 2), (1, 2)):
        alike = F.cosine_similarity(means[first], means[second], dim=0)
        pair = f"classes {CLASSES[first]} and {CLASSES[second]}"
        numbers.add(f"cosine of mean deltas of {pair}{run}", float(alike), 0.01)
    change = contract.published(value.threat, clean.images, delta).float() - clean.images
    numbers.tensor(f"published change{run}", change, 0.02, "grey levels", chaos=30)
    for name, fact in sorted(lab.facts.items()):
        if name in ("surrogate_val_acc", "unreached"):
            continue  # no numbers of a result: evaluation's, and words
        near = 0.05 if isinstance(fact, float) else 0.0  # shares of a few dozen images
        numbers.add(f"{name}{run}", fact, near)


def defense(plugin: Plugin) -> Numbers:
    """Of prepared and augmented images, and of the loss of two batches at several times of the training.

    And of the net that it begins with, and of what it makes of it afterwards.
    """
    numbers, data, value = Numbers(), split(BATCH + 7, 3), plugin.value
    for path, new in SMALL_DEFENSES.get(type(value).__name__, {}).items():
        value = change(value, path, new, plugin.name)
    shown = value.purify(data.images.clone(), data.labels, _kit(value, data))
    numbers.tensor("prepared images", shown.float(), 0.1, "grey levels")
    numbers.quantiles("prepared images", shown, 1.0, "grey levels")
    rng, x = generator(9), to_float(shown)
    for i, rows in enumerate(torch.arange(len(data)).split(BATCH)):
        augmented = value.augment(x[rows].clone(), rng)
        numbers.tensor(f"augmented images of batch {i}", augmented, 0.05, "grey levels", GREY)
        numbers.quantiles(f"augmented images of batch {i}", augmented, 1.0, "grey levels", GREY)
        for progress in PROGRESS:
            net = Tiny(5)
            value.begin(net, data, _kit(value, data))
            loss = value.loss(net.train(), augmented, data.labels[rows], rng, progress)
            what = f"batch {i} at {progress}"
            numbers.add(f"loss of {what}", float(loss.detach()), 3e-4, "nats")
            numbers.add(f"gradient norm of {what}", _norm(loss, net), 1e-3)
            numbers.add(f"net in training mode after {what}", str(net.training))
            averages = torch.cat([average.double().flatten() for average in net.buffers()])
            numbers.add(f"mean batch-norm average after {what}", float(averages.mean()), 1e-4)
    numbers.add("what follows", int(torch.randint(10**6, (), generator=rng)))  # as many draws as ever
    if trains_otherwise(value):
        _trained(numbers, value, Split(shown, data.labels))
    if type(value).__name__ in CHOOSING:
        _chosen(numbers, value)
    return numbers


def _chosen(numbers: Numbers, value: Any) -> None:
    """Of images whose classes are so faint that another way to choose has another result."""
    data, val = split(60, 3, contrast=15), split(48, 2, contrast=15)
    kit = Kit(len(CLASSES), AUGMENTATION, val, Tiny, seed=1)
    shown = value.purify(data.images, data.labels, kit)
    numbers.tensor("prepared faint images", shown.float(), 0.1, "grey levels")
    for name, fact in sorted(kit.facts.items()):
        numbers.add(f"{name} of faint images", fact, 0.05 if isinstance(fact, float) else 0.0)


def _kit(value: Any, data: Split) -> Kit:
    """Of the pairs, the image as it was is a little darker."""
    kit = Kit(len(CLASSES), AUGMENTATION, split(VAL, 2), Tiny, seed=1)
    if value.reference:
        kit.reference = split(value.reference, 4)
    if value.leaks:
        leaked = data.images[: value.leaks]
        kit.pairs = leaked - leaked // 16, leaked
    return kit


def _trained(numbers: Numbers, value: Any, shown: Split) -> None:
    """Of the recipe, and of the net before the first and after the last step."""
    numbers.add("recipe", repr(value.recipe(Recipe())))
    net, kit = Tiny(5), _kit(value, shown)
    value.begin(net, shown, kit)
    numbers.tensor("weights before the first step", weights(net), 1e-3)
    value.finish(net.eval(), shown, kit)
    numbers.tensor("weights after the last step", weights(net), 1e-3)
    with torch.no_grad():
        numbers.tensor("logits after the last step", net(to_float(shown.images)), 0.01)
    for name, fact in sorted(kit.facts.items()):
        numbers.add(name, fact, 0.05 if isinstance(fact, float) else 0.0)


def _norm(loss: Tensor, net: nn.Module) -> float:
    found = torch.autograd.grad(loss, [*net.parameters()], allow_unused=True)
    return float(torch.cat([g.double().flatten() for g in found if g is not None]).norm())


def example(pattern: str) -> str:
    """One instance of at-{radius} and the like."""
    before, _, rest = pattern.partition("{")
    return f"{before}3{rest.partition('}')[2]}"
