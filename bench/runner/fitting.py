"""A profile's limit and epochs where the data has fewer images than it wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.core.recipe import Recipe, recipes
from bench.core.types import Dataset
from bench.experiment.registry import Plugin
from bench.runner.request import Resolved, RunRequest


def follows(request: RunRequest) -> bool:
    """Whether the number of images follows the data: it is the profile's, not one that was asked for."""
    return not asks(request, "limit")


def asks(request: RunRequest, path: str) -> bool:
    """Whether a field was chosen, by its option or by --set."""
    sets = (item.partition("=")[0] for item in request.overrides)
    return path in request.options.given or path in sets


def fitted(resolved: Resolved, data: Dataset, say: Callable[[str], None]) -> Resolved:
    """Train for as many steps as the profile does, where the data has fewer images than it wants.

    Epochs that were asked for stay; surrogates follow as victims do.
    """
    request, setting = resolved.request, resolved.setting
    wanted, found = setting.limit, data.limit or data.pool
    if not follows(request) or wanted is None or found is None or data.limit == wanted:
        return resolved
    times, setting = wanted / found, replace(setting, limit=data.limit)
    if not asks(request, "victim.epochs"):
        setting = replace(setting, victim=_longer(setting.victim, times))
    methods = tuple(_trained(method, request, times) for method in resolved.methods)
    say(
        f"{data.name} gives {found} training images, fewer than the {wanted} of profile {request.profile}: "
        f"nets train for more epochs, which are as many steps (victims: {setting.victim.epochs})"
    )
    return replace(resolved, setting=setting, methods=methods)


def _trained(method: Plugin, request: RunRequest, times: float) -> Plugin:
    own = recipes(method.value).items()
    longer = {
        name: _longer(of, times) for name, of in own if not asks(request, f"{method.name}.{name}.epochs")
    }
    return replace(method, value=replace(method.value, **longer)) if longer else method


def _longer(recipe: Recipe, times: float) -> Recipe:
    return replace(recipe, epochs=round(recipe.epochs * times))
