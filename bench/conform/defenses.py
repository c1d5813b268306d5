"""What every defense must keep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from bench.conform.check import (
    Properties,
    check_declared,
    check_profiles,
    expect,
    moved_streams,
    states_untouched,
)
from bench.conform.toys import (
    AUGMENTATION,
    CLASSES,
    begun,
    equal_weights,
    purified,
    small_net,
    toy_dataset,
    toy_kit,
    toy_split,
)
from bench.core.defense import (
    Undefended,
    check_augmented,
    check_prepared,
    does_nothing,
    is_steady,
    trains_otherwise,
)
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.train import Streams, accuracy, fit
from bench.core.types import Recipe, Split
from bench.experiment.registry import Plugin

PUBLISHED = toy_split(64, 0)
BATCH = PUBLISHED.take(torch.arange(32))
X = to_float(BATCH.images)
LEARNT = 1.5 / CLASSES  # of test images, by a victim of the clean ones


@dataclass
class DefenseCase:
    """A defense in a copy that runs in a second, in full, and as its file declares."""

    plugin: Plugin
    full: Plugin
    declared: Plugin

    @property
    def value(self) -> Undefended:
        found: Undefended = self.plugin.value
        return found

    @cached_property
    def shown(self) -> Tensor:
        return purified(self.value, PUBLISHED).images

    def loss(self, progress: float = 0.0) -> Tensor:
        """Compute the loss of one batch on a net before its first step."""
        rng, net = generator(5), begun(self.value, PUBLISHED)
        return self.value.loss(net, self.value.augment(X.clone(), rng), BATCH.labels.clone(), rng, progress)


def prepares_pixels(case: DefenseCase) -> None:
    """Check that prepare() gives images of the same shape and type, draws nothing, leaves what it is lent."""
    lent, value = PUBLISHED.images.clone(), case.value
    shown = value.prepare(lent)
    check_prepared(shown, PUBLISHED.images, case.plugin.name)
    expect(torch.equal(lent, PUBLISHED.images), "prepare() changed its images in place", "new ones")
    expect(torch.equal(shown, value.prepare(lent)), "prepare() gives others when called again", "the same")
    expect(shown.is_contiguous(), "prepared images are not contiguous", "contiguous ones")


def prepares_each_image_alone(case: DefenseCase) -> None:
    """Check that prepare() does to an image the same whatever is beside it."""
    together = case.value.prepare(BATCH.images[:4].clone())
    alone = torch.cat([case.value.prepare(image[None].clone()) for image in BATCH.images[:4]])
    expect(torch.equal(together, alone), "an image is prepared otherwise beside others", "the same alone")


def purifies_by_the_kits_seed(case: DefenseCase) -> None:
    """Check that purify() gives images of the same shape and type, which follow from the kit alone."""
    check_prepared(case.shown, PUBLISHED.images, case.plugin.name)
    expect(case.shown.is_contiguous(), "purified images are not contiguous", "contiguous ones")
    moved_streams()
    again = purified(case.value, PUBLISHED).images
    expect(
        torch.equal(case.shown, again), "purify() gives others with the same kit", "draws from kit.rng alone"
    )


def begins_and_finishes_by_the_kits_seed(case: DefenseCase) -> None:
    """Check that begin() and finish() follow from the kit alone, and leave finite weights, no module."""
    first, again = begun(case.value, PUBLISHED), begun(case.value, PUBLISHED)
    expect(equal_weights(first, again), "begin() gives other weights with the same kit", "the same bits")
    for net in (first, again):
        case.value.finish(net.eval(), PUBLISHED.clone(), toy_kit(case.value, PUBLISHED))
    expect(equal_weights(first, again), "finish() gives other weights with the same kit", "the same bits")
    expect(not first.training, "finish() leaves the net in training mode", "eval mode")
    extra = set(first.state_dict()) ^ set(small_net().state_dict())
    expect(not extra, f"after finish() the net differs in {', '.join(sorted(extra))}", "a net as others are")
    frozen = [name for name, p in first.named_parameters() if not p.requires_grad]
    expect(not frozen, f"{', '.join(frozen)} require no gradients", "weights as they were found")
    finite = all(bool(p.isfinite().all()) for p in first.parameters())
    expect(finite, "weights are nan or infinite after finish()", "finite ones")


def augments_pixels(case: DefenseCase) -> None:
    """Check that augment() keeps shape, type and range, and leaves the batch that it is lent."""
    lent = X.clone()
    check_augmented(case.value.augment(lent, generator(0)), X, case.plugin.name)
    expect(torch.equal(lent, X), "augment() changed its batch in place", "a new one")


def has_a_loss(case: DefenseCase) -> None:
    """Check that loss() is a finite scalar with finite gradients, and leaves the net as it was."""
    for progress in (0.0, 0.99):
        net = begun(case.value, PUBLISHED)
        loss = case.value.loss(net, X.clone(), BATCH.labels.clone(), generator(0), progress)
        expect(loss.shape == (), f"the loss has the shape {tuple(loss.shape)}", "a scalar")
        expect(loss.isfinite(), f"the loss is {float(loss.detach())}", "a finite one")
        expect(loss.requires_grad, "the loss has no gradient", "one")
        parts = torch.autograd.grad(loss, [*net.parameters()], allow_unused=True)
        grads = [g for g in parts if g is not None]
        expect(all(bool(g.isfinite().all()) for g in grads), "gradients are nan or infinite", "finite ones")
        expect(any(bool(g.any()) for g in grads), "all gradients are 0", "some that are not")
        clean = all(p.requires_grad and p.grad is None for p in net.parameters())
        expect(net.training and clean, "loss() leaves gradients, or another mode", "the net as it was lent")


def draws_from_its_generator(case: DefenseCase) -> None:
    """Check that one stream gives one loss, whatever global generators do."""
    first = float(case.loss().detach())
    moved_streams()
    expect(float(case.loss().detach()) == first, "two losses of one stream differ", "draws from rng alone")


def keeps_its_step(case: DefenseCase) -> None:
    """Check that what says STEADY does not look at progress: a GPU replays one step, as it was recorded."""
    if is_steady(case.value):
        early, late = (float(case.loss(progress).detach()) for progress in (0.0, 0.99))
        seen = f"it is STEADY, and its loss goes from {early:g} to {late:g} as progress goes on"
        expect(early == late, seen, "the same loss throughout, or STEADY = False")


def leaves_global_states(case: DefenseCase) -> None:
    """Check that no hook draws from a global generator or changes threads, dtypes and the like."""
    with states_untouched("a hook"):
        purified(case.value, PUBLISHED)
        case.loss()


def does_something(case: DefenseCase) -> None:
    """Check that some hook changes images, batches, loss or training, unless it is a control."""
    same = not trains_otherwise(case.value) and torch.equal(case.shown, PUBLISHED.images)
    labels = BATCH.labels.clone()
    inert = same and does_nothing(case.value, small_net(), BATCH.images, X.clone(), labels, generator(0))
    expect(
        case.plugin.control or not inert,
        f"it leaves {len(BATCH)} images, batches and the loss as they were",
        "to change one of them, or to be among CONTROLS",
    )


def takes_gray_images(case: DefenseCase) -> None:
    """Check that images of one channel go through all hooks, or it says why they are unsuited."""
    value, gray = case.value, toy_split(16, 0, channels=1)
    if value.unsuited(toy_dataset(channels=1)):
        return
    shown = purified(value, gray).images
    check_prepared(shown, gray.images, case.plugin.name)
    x = to_float(shown)
    found, net = value.augment(x, generator(0)), begun(value, gray)
    check_augmented(found, x, case.plugin.name)
    loss = value.loss(net, found, gray.labels, generator(0), 0.0)
    expect(
        loss.isfinite(), f"the loss of gray images is {float(loss.detach())}", "a finite one, or unsuited()"
    )
    value.finish(net.eval(), Split(shown, gray.labels), toy_kit(value, gray))


def lets_clean_images_be_learnt(case: DefenseCase) -> None:
    """Check that a victim that it defends learns clean images."""
    value = case.value
    if value.unsuited(toy_dataset()):
        return
    found = accuracy(victim(value), toy_split(64, 9))
    expect(
        found > LEARNT,
        f"a defended victim of clean images has {100 * found:.0f} % of test images right",
        f"above {100 * LEARNT:.0f} %",
    )


def victim(value: Undefended) -> nn.Module:
    """Train a net on the toy images as the defense does."""
    shown, net = purified(value, PUBLISHED), begun(value, PUBLISHED)
    recipe = value.recipe(Recipe(epochs=6, batch=16, lr=0.05))
    fit(net, shown, recipe, Streams.of(0, 0, torch.device("cpu")), AUGMENTATION, defense=value)
    value.finish(net, shown, toy_kit(value, PUBLISHED))
    return net


DEFENSE: Properties[DefenseCase] = {
    "prepare": prepares_pixels,
    "one by one": prepares_each_image_alone,
    "purify": purifies_by_the_kits_seed,
    "begin, finish": begins_and_finishes_by_the_kits_seed,
    "augment": augments_pixels,
    "loss": has_a_loss,
    "determinism": draws_from_its_generator,
    "steady": keeps_its_step,
    "global states": leaves_global_states,
    "effect": does_something,
    "gray images": takes_gray_images,
    "clean images": lets_clean_images_be_learnt,
    "profiles": lambda case: check_profiles(case.full),
    "declared": lambda case: check_declared(case.full, case.declared),
}
