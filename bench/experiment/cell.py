"""One cell, from images to row: read this first.

images -> method -> published images (craft) -> defense -> victim -> accuracy, MI -> row
"""

from __future__ import annotations

import copy
import time
from typing import Any

import torch
from torch import Tensor, nn

from bench.core import contract
from bench.core.defense import (
    Undefended,
    check_augmented,
    check_prepared,
    does_nothing,
    trains_otherwise,
)
from bench.core.kit import Kit
from bench.core.method import Lab, Withheld, joined
from bench.core.pixels import digest, to_float
from bench.core.rng import generator, seed_for
from bench.core.train import Streams, Tick, Training, accuracy, fit, quiet
from bench.core.types import Split
from bench.experiment import cache, keys, partial
from bench.experiment.context import Cell, RunContext, blank_row
from bench.experiment.device import meter
from bench.experiment.evaluate import HeldOut, accuracy_columns, mi_columns, robust_columns
from bench.experiment.isolation import isolated
from bench.experiment.registry import Plugin
from bench.metrics.distances import DISTANCES, distances
from bench.nets import Net
from bench.results.identity import key_of
from bench.results.rows import Row


def craft(context: RunContext, method: Plugin, poison_rep: int, tick: Tick = quiet) -> cache.Poison:
    """Craft the method's published images, or take them from the cache where they are there."""
    folder = context.poison_folder(method, poison_rep)
    value, data, revision = method.value, context.data, keys.REVISIONS["evaluation"]
    if poison := cache.load(folder):
        known = poison.manifest.get("evaluation") == revision and {*poison.manifest["distances"]} == {
            *DISTANCES
        }
        if not known:  # its distances were measured in another way, or are fewer
            again = distances(data.train.images, poison.images.to(context.device), data.train.labels)
            poison.manifest.update(distances=again, evaluation=revision)
        return poison
    crafted = _delta(context, method, poison_rep, tick)
    facts, before = dict(crafted.manifest["facts"]), data.train.images

    def left(changed: str) -> None:
        facts["left_changed"] = joined(facts.get("left_changed"), changed)

    with isolated(seed_for(crafted.manifest["seed"], "publish"), context.device, left):
        delta = value.publish(crafted.images.to(context.device))
    threat = value.threat
    contract.check_delta(delta, before, threat, method.name)
    published = contract.published(threat, before, delta)
    contract.check_published(published, before, threat, method.name)
    additive = type(value).form == "class-wise" and not value.maps_images  # a file may leave classes out
    if additive and threat.radius > 0:
        contract.check_classes(published, before, data.train.labels, data.classes, method.name)
    manifest = crafted.manifest | {
        "facts": facts,
        "inputs": keys.publication(data, context.setting, method, poison_rep),
        "published": digest(published),
        "norm": threat.norm,
        "form": value.form,
        "distances": distances(before, published, data.train.labels),
        "evaluation": revision,
    }
    poison = cache.Poison(published.cpu(), manifest)
    cache.save(folder, poison)
    context.craft_checkpoint(method, poison_rep).clear()
    return poison


def _delta(context: RunContext, method: Plugin, poison_rep: int, tick: Tick) -> cache.Poison:
    """Craft the method's delta, float32; kept where variants may publish it in other ways."""
    folder = context.delta_folder(method, poison_rep)
    if method.publishes_otherwise and (kept := cache.load(folder)):
        return kept
    setting, data, checkpoint = context.setting, context.data, context.craft_checkpoint(method, poison_rep)
    name = method.crafted_as or method.name
    seed = seed_for(setting.seed, "craft", data.name, setting.surrogate, name, poison_rep)
    lent, val = data.train.clone(), data.val.clone()
    if "labels" not in method.value.needs:
        lent.labels.fill_(-1)
        val.labels.fill_(-1)
    if "clean data" not in method.value.needs:
        val = Withheld(val.labels, name)

    def build(seed: int) -> nn.Module:
        if "surrogate" not in method.value.needs:
            raise ValueError(f"method {name!r} builds a net, and declares no surrogate in its needs")
        return context.build(setting.surrogate, seed)

    lab = Lab(len(data.classes), data.augmentation, val, build, seed)
    lab.checkpoint, lab.tick, lab.judge = checkpoint, tick, lambda net: accuracy(net, data.val)
    with meter(context.device) as used, isolated(seed_for(seed, "global"), context.device, lab.left):
        delta = method.value.craft(lent, lab)
    if not torch.equal(data.train.images, lent.images):
        raise ValueError(f"method {method.name!r} changed the clean images it was lent, expected a delta")
    if method.value.maps_images:
        contract.check_form(delta, data.train.images, method.name)
        delta = delta - to_float(data.train.images)
    contract.check_delta(delta, data.train.images, method.value.threat, method.name)
    manifest = {
        "facts": lab.facts,
        "seed": seed,
        "seconds": checkpoint.clock.spent,
        "peak_mb": used.peak_mb,
        "environment": context.environment,
    }
    crafted = cache.Poison(delta.cpu(), manifest)
    if method.publishes_otherwise:
        crafted = cache.Poison(crafted.images, manifest | {"published": digest(crafted.images)})
        cache.save(folder, crafted)
    return crafted


def run_cell(context: RunContext, cell: Cell, poison: cache.Poison, tick: Tick = quiet) -> Row:
    """Train the cell's victim on what its defense makes of the published images, and measure it.

    The checkpoint stays until somebody has saved the row.
    """
    setting, data, defense = context.setting, context.data, cell.defense
    setting.check_prepares(defense)
    shared = seed_for(setting.seed, "victim", data.name, setting.net, cell.rep)
    own = seed_for(shared, defense.name)
    row = blank_row(context, cell)
    mask = partial.mask(data, setting.share, setting.seed)
    published = published_split(context, poison)
    offered = published.take(~mask.to(context.device)) if setting.drop_poisoned else published
    rows = (~mask if setting.drop_poisoned else torch.ones_like(mask)).nonzero()[:, 0]
    prepared = _shown(context, cell, offered, rows)
    shown = Split(prepared.images.to(context.device), offered.labels)
    net = context.build(setting.net, seed_for(shared, "init"))
    kit = _kit(context, cell, own)
    kit.facts |= prepared.manifest.get("facts", {})
    kit.checkpoint, kit.tick = context.checkpoint("victim", row.key).part("defense"), tick
    with isolated(seed_for(own, "probe"), context.device, kit.left):
        _check_active(cell, net, offered, shown, own)
        tests = HeldOut(data, setting, defense.value)
    with meter(context.device) as used:
        trained = _trained(context, cell, net, shown, kit, Streams.of(shared, own, context.device), tests)
    if not all(bool(p.isfinite().all()) for p in net.parameters()):
        raise ValueError(f"defense {defense.name!r}: the victim's weights are not finite after training")
    started = time.monotonic()
    with isolated(seed_for(own, "mi"), context.device, kit.left):
        mi = mi_columns(data, setting, net, published, defense.value)
    mi_seconds, accuracies = time.monotonic() - started, accuracy_columns(net, tests.test)
    if context.keep_victims:
        cache.keep_victim(net, context.cache, row.key, accuracies["test_acc"])
    return blank_row(
        context,
        cell,
        stem=net.stem,
        **accuracies,
        **robust_columns(net, tests.test, data, setting, type(defense.value).robust),
        train_acc=accuracy(net, shown),
        **_training_columns(trained, defense.value),
        **mi,
        mi_seconds=mi_seconds,
        mask=partial.mask_digest(mask),
        **_poison_columns(cell, poison),
        train_peak_mb=used.peak_mb,
        defense_facts=kit.facts,
        seeds={"base": setting.seed, "craft": poison.manifest["seed"], "victim": shared, "defense": own},
    )


def _trained(
    context: RunContext, cell: Cell, net: Net, shown: Split, kit: Kit, streams: Streams, tests: HeldOut
) -> Training:
    """Train the victim in place as its defense does, which may act before and after."""
    value = cell.defense.value
    with isolated(seed_for(kit.seed, "begin"), context.device, kit.left):
        value.begin(net, shown, kit)
    with isolated(seed_for(kit.seed, "training"), context.device, kit.left):
        trained = fit(
            net,
            shown,
            value.recipe(context.setting.victim),
            streams,
            context.data.augmentation,
            defense=value,
            checkpoint=context.checkpoint("victim", context.identity(cell).key),
            measure=tests.measure,
            tick=kit.tick,
        )
    with isolated(seed_for(kit.seed, "finish"), context.device, kit.left):
        value.finish(net, shown, kit)
    return trained


def published_split(context: RunContext, poison: cache.Poison) -> Split:
    """Mix what victims may download, on the device: the poison's images in the mask, the others clean."""
    data, setting = context.data, context.setting
    mask = partial.mask(data, setting.share, setting.seed)
    return Split(partial.mixed(data.train.images, poison.images.to(context.device), mask), data.train.labels)


def _kit(context: RunContext, cell: Cell, seed: int) -> Kit:
    """Gather what the cell's defense says that it uses."""
    data, setting, value = context.data, context.setting, cell.defense.value
    build = lambda s: context.build(setting.net, s)  # noqa: E731
    kit = Kit(len(data.classes), data.augmentation, data.val, build, seed)
    if value.reference and data.reference is not None:
        kit.reference = data.reference.take(torch.arange(value.reference, device=context.device))
    return kit


def _shown(context: RunContext, cell: Cell, offered: Split, rows: Tensor) -> cache.Poison:
    """Prepare images as the defense does, once for all victims of the poison in this share.

    rows: where the offered images stand among the training images.
    """
    setting, data, defense = context.setting, context.data, cell.defense
    plain = type(defense.value)
    if plain.prepare is Undefended.prepare and plain.purify is Undefended.purify:
        return cache.Poison(offered.images, {"facts": {}})
    kit = _kit(context, cell, seed_for(setting.seed, "purify", data.name, defense.name))

    def make() -> tuple[Tensor, dict[str, Any]]:
        if leaks := defense.value.leaks:
            order = torch.randperm(len(rows), generator=generator(seed_for(kit.seed, "leaks")))
            leaked = order[:leaks].to(offered.labels.device)
            kit.pairs = data.train.images[rows.to(leaked.device)[leaked]], offered.images[leaked]
        # a defense may be careless
        with isolated(seed_for(kit.seed, "global"), context.device, kit.left):
            lent = offered.clone()
            images: Tensor = defense.value.purify(lent.images, lent.labels, kit)
        check_prepared(images, offered.images, defense.name)
        return images, kit.facts

    folder = context.poison_folder(cell.method, cell.poison_rep)
    own = context.identity(cell).inputs  # the net: a defense may train one
    part = {name: own[name] for name in ("defense", "net", "share", "drop_poisoned")}
    key = key_of(part | {"drafts": own.get("drafts")})
    return cache.prepared(folder / f"prepared-{key[:16]}", make)


def _training_columns(trained: Training, defense: Undefended) -> dict[str, Any]:
    """Collect what the row takes over from the victim's training: seconds, accuracies in [0,1].

    Of a net that its defense changes after the training no epoch can be chosen by the curve.
    """
    found: dict[str, Any] = {"curve": trained.curve, "train_seconds": trained.seconds}
    if type(defense).finish is Undefended.finish:
        found["val_selected_acc"] = max(trained.curve, key=lambda point: point["val_acc"])["test_acc"]
        found["peak_acc"] = max(point["test_acc"] for point in trained.curve)
    return found


def _poison_columns(cell: Cell, poison: cache.Poison) -> dict[str, Any]:
    """Collect what the row takes over from the poison's manifest."""
    manifest = poison.manifest
    value = cell.method.value
    declared = {"norm": manifest["norm"], "form": manifest["form"], "eps": value.eps}
    declared |= {"radius": value.threat.radius, "needs": ", ".join(value.needs)}
    return {
        **manifest["distances"],
        "published": manifest["published"],
        "craft": manifest["facts"] | declared,
        "craft_seconds": manifest["seconds"],
        "craft_peak_mb": manifest["peak_mb"],
        "craft_environment": manifest["environment"],
    }


def _check_active(cell: Cell, net: nn.Module, published: Split, shown: Split, seed: int) -> None:
    """Check a batch as the defense augments it; refuse a defense that changes nothing, but for controls.

    Of images that nobody perturbed there may be nothing to change: gray photos saved in colour are gray.
    """
    value, control = cell.defense.value, cell.defense.control or cell.method.control
    rows = torch.arange(min(128, len(published)), device=published.labels.device)
    batch, rng = shown.take(rows), generator(seed, published.labels.device)
    x = to_float(batch.images)
    if type(value).augment is not Undefended.augment:
        check_augmented(value.augment(x.clone(), rng), x, cell.defense.name)
    if control or trains_otherwise(value) or not torch.equal(shown.images, published.images):
        return
    probe = copy.deepcopy(net)  # its averages move
    if does_nothing(value, probe, batch.images, x, batch.labels, rng):
        raise ValueError(
            f"defense {cell.defense.name!r} left images, batches and loss as they were on {len(batch)} "
            f"published images, expected it to change at least one of them"
        )
