"""What was asked for on the command line, checked -> a setting, methods and defenses; no file is read."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from typing import Any

from rich.console import Console

from bench import shares
from bench.core.errors import BadInput
from bench.core.types import Dataset, Recipe
from bench.nets import NETS
from bench.override import change, unknown
from bench.registry import KINDS, Plugin, catalog, check_plugins
from bench.rerun import PLACE, Command, portable
from bench.settings import PROFILES, Setting, check_eps

RUN_FIELDS = ("data", "limit", "net", "surrogate", "precision", "eps", "seed", "reps", "poison_reps", "share")
FLAGS = ("prepare_test", "drop_poisoned")


def resolve(args: argparse.Namespace) -> tuple[Setting, tuple[Plugin, ...], tuple[Plugin, ...]]:
    """Everything that was asked for, checked, before anything is read or written.

    A verb that trains no victims asks for no defenses: args.defenses is None.
    """
    if args.plugins:
        check_plugins(args.plugins)
    if args.profile not in PROFILES:
        raise unknown("profile", args.profile, PROFILES)
    setting = PROFILES[args.profile].setting
    for name in (*RUN_FIELDS, *FLAGS):
        if getattr(args, name) not in (None, False):
            setting = change(setting, name, getattr(args, name), "the setting")
    catalogs = {kind: catalog(kind, args.plugins) for kind in KINDS}
    asked = {kind: getattr(args, kind) for kind in KINDS}
    chosen = {kind: [] if asked[kind] is None else catalogs[kind].choose(asked[kind]) for kind in KINDS}
    if twice := {p.name for p in chosen[KINDS[0]]} & {p.name for p in chosen[KINDS[1]]}:
        raise BadInput(f"{', '.join(sorted(twice))} names a method and a defense, expected two names")
    plugins = {p.name: p.at(args.profile) for kind in KINDS for p in chosen[kind]}
    budgeted = [p.name for p in chosen[KINDS[0]] if p.value.eps > 0]
    if setting.eps is not None:
        for name in budgeted:
            plugins[name] = replace(plugins[name], value=replace(plugins[name].value, eps=setting.eps))
    for item in args.set:
        setting, plugins = _set(setting, plugins, item)
    shares.check(setting)
    for name in budgeted:
        check_eps(plugins[name].value.eps, name)
    for name in (setting.net, setting.surrogate):
        if name not in NETS:
            raise unknown("net", name, NETS)
    methods, defenses = (tuple(plugins[p.name] for p in chosen[kind]) for kind in KINDS)
    return setting, methods, defenses


def _set(setting: Setting, plugins: dict[str, Plugin], item: str) -> tuple[Setting, dict[str, Plugin]]:
    path, equals, value = item.partition("=")
    if not equals:
        raise BadInput(f"--set {item}: expected FIELD=VALUE")
    owner, _, rest = path.partition(".")
    if owner in plugins and not rest:
        raise BadInput(f"--set {item}: expected a field, {owner}.FIELD=VALUE")
    if owner in plugins:
        plugin = plugins[owner]
        return setting, plugins | {owner: replace(plugin, value=change(plugin.value, rest, value, owner))}
    if owner not in {f.name for f in fields(Setting)}:
        raise unknown("field or chosen plugin", owner, [*(f.name for f in fields(Setting)), *plugins])
    return change(setting, path, value, "the setting"), plugins


def resolved(methods: tuple[Plugin, ...], dataset: Dataset, console: Console) -> tuple[Plugin, ...]:
    """The methods with what they leave to the data decided; what they infer is said."""

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return tuple(replace(method, value=method.value.resolved(dataset, say)) for method in methods)


def command(args: argparse.Namespace, precision: str) -> Command:
    """The options that move a number; folders are named by what they hold.

    precision: the one that is computed with; auto might be another one elsewhere.
    """
    options = ["--profile", args.profile]
    for name in RUN_FIELDS:
        value = precision if name == "precision" else getattr(args, name)
        if value is not None:
            options += [f"--{name.replace('_', '-')}", portable(value) if name == "data" else value]
    options += [f"--{name.replace('_', '-')}" for name in FLAGS if getattr(args, name)]
    options += ["--threads", str(args.threads)] if args.threads != 1 else []  # moves the last bits
    options += ["--plugins", PLACE] if args.plugins else []
    own, sets = {f.name for f in fields(Setting)}, []
    for item in args.set:
        path, _, value = item.partition("=")
        if path == "precision":
            continue
        owner = path.partition(".")[0]
        said = f"data={portable(value)}" if path == "data" else item
        sets.append(("" if owner in own else owner, said))
    return Command(tuple(options), tuple(sets))


def check_batches(victim: Recipe | None, methods: tuple[Plugin, ...], images: int | None) -> None:
    """Refuse recipes whose batch is more than the images, if their number is known."""
    if images is None:
        return
    recipes: dict[str, Any] = {"victim": victim}
    for method in methods:
        recipes |= {f"{method.name}.{f.name}": getattr(method.value, f.name) for f in fields(method.value)}
    for name, recipe in recipes.items():
        if isinstance(recipe, Recipe) and recipe.batch > images:
            raise BadInput(
                f"{images} training images are fewer than one batch of {name} ({recipe.batch}); "
                f"give more images or --set {name}.batch"
            )


def check_offered(setting: Setting, images: int | None) -> None:
    """Refuse a victim whose batch is more than the images that it learns from, if their number is known."""
    if images is not None and (left := shares.offered(setting, images)) < setting.victim.batch:
        raise BadInput(
            f"share {setting.share:g} leaves {left} of {images} training images clean, fewer than one batch "
            f"of victim ({setting.victim.batch}); give more images, a smaller --share or --set victim.batch"
        )
