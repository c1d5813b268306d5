"""Where the data has fewer images than the profile wants, nets train for as many steps all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.core.recipe import recipes
from bench.runner.fitting import fitted
from bench.runner.request import Resolved, RunRequest, resolve
from support.toys import DEFENSES, toy_dataset

FEW = replace(toy_dataset(), pool=600)  # quick wants 2,000


def resolved(*overrides: str) -> Resolved:
    names = [name for name in DEFENSES if recipes(DEFENSES[name].value)]
    request = RunRequest(methods="em", defenses=",".join(["none", *names]), overrides=overrides)
    return fitted(resolve(request), FEW, lambda line: None)


def epochs(found: Resolved) -> dict[str, int]:
    return {
        f"{plugin.name}.{name}": recipe.epochs
        for plugin in (*found.methods, *found.defenses)
        for name, recipe in recipes(plugin.value).items()
    }


def test_nets_that_learn_from_the_shown_images_train_for_more_epochs() -> None:
    """Those that learn from clean images or from pairs have as many as ever."""
    found, plain = resolved(), epochs(resolve(resolved().request))
    now = epochs(found)
    assert found.setting.victim.epochs == 47 and now["simclr.training"] == 133
    longer = {name for name, number in now.items() if number != plain[name]}
    assert longer == {"em.surrogate", "simclr.training", "op.linear", "op-plain.linear"}
    assert all(now[name] == round(plain[name] * 2000 / 600) for name in longer)
    assert {"finetune.prior", "leak-unet-50.training"} <= now.keys()


@pytest.mark.parametrize("name", ["simclr.training", "op.linear"])
def test_epochs_of_a_defense_that_were_asked_for_stay(name: str) -> None:
    assert epochs(resolved(f"{name}.epochs=7"))[name] == 7
