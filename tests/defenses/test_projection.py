"""Orthogonal projection, and the augmentation that comes with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Split
from bench.experiment.registry import catalog
from defenses.projection import LINEAR, Augmented, OrthogonalProjection, Projection, cut_and_mix
from support.toys import CLASSES, SIZE, begun, noise, purified, toy_split

PATTERNS = torch.randint(0, 2, (CLASSES, 3, SIZE, SIZE), generator=generator(5)) * 16 - 8
PROJECTION = Projection(replace(LINEAR, batch=16))


def class_wise(n: int = 512) -> Split:
    """Faint noise with the pattern of its class on it."""
    clean = toy_split(n, 0, contrast=0)
    published = (clean.images // 4 + 80 + PATTERNS[clean.labels]).to(torch.uint8)
    return Split(published, clean.labels)


def spread(data: Split) -> float:
    """How far the classes' mean images are from their common mean, grey levels."""
    means = torch.stack([data.images[data.labels == k].float().mean(0).flatten() for k in range(CLASSES)])
    return float((means - means.mean(0)).norm())


def test_class_wise_patterns_fade_and_the_rest_stays() -> None:
    """They are gone as far as the classifier read them: its weights began at random."""
    published = class_wise()
    shown = purified(PROJECTION, published)
    assert spread(shown) < 0.25 * spread(published)
    for k in range(CLASSES):
        left, before = (
            data.images[published.labels == k].float().std(0).mean() for data in (shown, published)
        )
        assert left > 0.98 * before


def test_projected_images_are_orthogonal_to_as_many_directions_as_there_are_classes() -> None:
    published = class_wise()
    change = (purified(PROJECTION, published).images.float() - published.images).flatten(1)
    strengths = torch.linalg.svdvals(change)
    assert strengths[CLASSES - 1] > 5 * strengths[CLASSES]  # what is beyond is rounding


def test_the_variants_differ_in_the_projection_or_in_what_comes_with_it() -> None:
    found = catalog("defenses")
    op, none, plain = (found.get(name).value for name in ("op", "op-none", "op-plain"))
    assert isinstance(op, OrthogonalProjection) and op.linear == plain.linear == LINEAR
    hooks = ("augment", "loss", "purify")
    same = {
        hook: [getattr(type(op), hook) is getattr(type(v), hook) for v in (none, plain)] for hook in hooks
    }
    assert same == {"augment": [True, False], "loss": [True, False], "purify": [False, True]}
    assert found.get("op-none").control and not found.get("op").control


# turned, sheared, scaled, coloured


def test_what_is_not_asked_for_does_not_happen() -> None:
    x = noise(5, 3, SIZE, SIZE)
    still = Augmented(angle=0, scale=0, colour=0, mixed=0)
    assert torch.allclose(still.augment(x, generator(0)), x, atol=1e-5)
    net, labels = begun(still, toy_split(5, 0)), torch.tensor([0, 1, 2, 3, 0])
    net.eval()
    assert torch.allclose(still.loss(net, x, labels, generator(0), 0.0), F.cross_entropy(net(x), labels))


def test_each_image_is_turned_and_coloured_by_itself() -> None:
    x = noise(1, 3, SIZE, SIZE).expand(64, -1, -1, -1)
    for value in (Augmented(angle=0, scale=0), Augmented(colour=0)):
        views = value.augment(x, generator(0))
        assert len({tuple(view.flatten().tolist()) for view in views}) == 64
    brightness = Augmented(angle=0, scale=0).augment(torch.full((500, 3, 2, 2), 0.5), generator(0))
    levels = brightness[:, 0, 0, 0]  # contrast and saturation leave a uniform gray as it is
    assert 0.4 <= levels.min() < 0.41 and 0.59 < levels.max() <= 0.6


def test_geometry_is_within_its_bounds_and_keeps_the_middle() -> None:
    line = torch.linspace(0, 1, 33)
    x = line.expand(1, 1, 33, 33).expand(400, 1, 33, 33)
    views = Augmented(colour=0).augment(x, generator(0))
    assert torch.allclose(views[:, 0, 16, 16], x[:, 0, 16, 16], atol=1e-5)
    slopes = views[:, 0, 16, 17] - views[:, 0, 16, 15]  # of brightness along the middle row
    share = slopes / (2 / 32)
    assert 1 / 1.2 * 0.95 < share.min() < 0.9 and 1.1 < share.max() < 1 / 0.8 * 1.05


def test_pairs_of_a_batch_share_one_box() -> None:
    x, y = noise(6, 3, SIZE, SIZE), torch.arange(6)
    shares = []
    for seed in range(200):
        mixed, other, share = cut_and_mix(x, y, 1.0, generator(seed))
        box = (mixed != x).any(1)  # an image may meet itself
        assert torch.allclose(mixed, torch.where(box[:, None], x[other], x))
        rows, columns = box.any(0).any(1).nonzero(), box.any(0).any(0).nonzero()
        area = len(rows) * len(columns)
        assert area == 0 or box.any(0).sum() == area  # one rectangle
        if (other != y).any():
            assert float(share) == pytest.approx(1 - area / SIZE**2, abs=1e-6)
        shares.append(float(share))
    assert 0.1 < min(shares) < 0.3 and max(shares) > 0.98
    unmixed = [float(cut_and_mix(x, y, 0.5, generator(seed))[2]) for seed in range(400)].count(1.0)
    assert 180 < unmixed < 280  # half of them, and boxes without a pixel


def test_the_loss_is_of_both_labels_as_far_as_they_are_seen() -> None:
    value, data = Augmented(mixed=1.0), toy_split(16, 0)
    net, x = begun(value, data).eval(), to_float(data.images)
    mixed, other, share = cut_and_mix(x, data.labels, 1.0, generator(3))
    logits = net(mixed)
    expected = share * F.cross_entropy(logits, data.labels) + (1 - share) * F.cross_entropy(logits, other)
    assert torch.allclose(value.loss(net, x, data.labels, generator(3), 0.0), expected)
    assert 0 < share < 1


@pytest.mark.parametrize("field", ["angle", "scale", "colour", "mixed"])
@pytest.mark.parametrize("value", [-0.1, 90.0])
def test_fields_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"Augmented: {field} is {value:g}, expected 0 to"):
        Augmented(**{field: value})
