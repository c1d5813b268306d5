"""RandAugment is torchvision's, with as many policies as it says."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import RandAugment as Policy

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.rng import generator, global_rng
from defenses.randaugment import RandAugment
from support.toys import toy_split

X = to_float(toy_split(48, 0).images)


def test_one_policy_is_torchvisions() -> None:
    with global_rng(generator(2)):
        expected = Policy(num_ops=2, magnitude=9)(toy_split(48, 0).images)
    assert torch.equal(RandAugment(policies=1).augment(X, generator(2)), to_float(expected))


def test_its_settings_are_those_of_the_field() -> None:
    theirs = Policy()
    assert (RandAugment().operations, RandAugment().magnitude) == (theirs.num_ops, theirs.magnitude) == (2, 9)


@pytest.mark.parametrize("policies", [1, 4, 48])
def test_a_batch_has_as_many_policies_as_it_says(policies: int) -> None:
    """The same image all over: within a part it stays the same, between parts it differs, mostly."""
    x = X[:1].expand(48, -1, -1, -1)
    views = RandAugment(policies=policies).augment(x, generator(0)).chunk(policies)
    assert all((part == part[:1]).all() for part in views)
    kinds = len({tuple(part[0].flatten().tolist()) for part in views})
    assert kinds == 1 if policies == 1 else kinds > 0.7 * policies


def test_views_differ_from_step_to_step() -> None:
    rng = generator(0)
    assert not torch.equal(RandAugment().augment(X, rng), RandAugment().augment(X, rng))


def test_a_pixel_at_one_place_is_often_elsewhere() -> None:
    """What it is for here: a bright pixel where a class has it, which no colour operation hides."""
    x = torch.full((480, 3, 32, 32), 50 / 255)
    x[:, :, 6, 21] = 150 / 255
    places = RandAugment(policies=480).augment(x, generator(0)).mean(1).flatten(1).argmax(1)
    assert (places != 6 * 32 + 21).float().mean() > 0.15


@pytest.mark.parametrize("fields", [{"operations": 0}, {"policies": 0}, {"magnitude": 31}, {"magnitude": -1}])
def test_randaugment_without_meaning_is_refused(fields: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="RandAugment"):
        RandAugment(**fields)
