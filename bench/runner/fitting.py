"""A profile's limit and epochs where the data has fewer images than it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bench.core.recipe import Recipe, recipes
from bench.core.types import Dataset
from bench.experiment.registry import Plugin
from bench.runner.request import Resolved, RunRequest


def asks(request: RunRequest, path: str) -> bool:
    """Whether a field was chosen, by its option or by --set."""
    sets = (item.partition("=")[0] for item in request.overrides)
    return path in request.options.given or path in sets


def fitted(resolved: Resolved, data: Dataset, say: Callable[[str], None]) -> Resolved:
    """Train for as many steps as the profile does, where the data has fewer images than it wants.

    Epochs that were asked for stay; surrogates, and nets of defenses that learn from the shown images, follow
    as victims do.
    """
    request, setting = resolved.request, resolved.setting
    wanted, found = setting.limit, data.limit or data.pool
    if asks(request, "limit") or wanted is None or found is None or data.limit == wanted:
        return resolved
    times, setting = wanted / found, replace(setting, limit=data.limit)
    if not asks(request, "victim.epochs"):
        setting = replace(setting, victim=_longer(setting.victim, times))
    methods = tuple(_trained(method, request, times, recipes(method.value)) for method in resolved.methods)
    defenses = tuple(_trained(each, request, times, each.value.of_shown) for each in resolved.defenses)
    say(
        f"{data.name} gives {found} training images, fewer than the {wanted} of profile {request.profile}: "
        f"nets train for more epochs, which are as many steps (victims: {setting.victim.epochs})"
    )
    return replace(resolved, setting=setting, methods=methods, defenses=defenses)


def _trained(plugin: Plugin, request: RunRequest, times: float, names: Iterable[str]) -> Plugin:
    """Lengthen those of its recipes that have these names."""
    longer = {
        name: _longer(getattr(plugin.value, name), times)
        for name in names
        if not asks(request, f"{plugin.name}.{name}.epochs")
    }
    return replace(plugin, value=replace(plugin.value, **longer)) if longer else plugin


def _longer(recipe: Recipe, times: float) -> Recipe:
    return replace(recipe, epochs=round(recipe.epochs * times))
