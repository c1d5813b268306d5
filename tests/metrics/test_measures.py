"""Measures of features and of delta against closed forms, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.metrics import METRICS, Subject, measure
from bench.metrics.frequency import HIGH, LOW

CLASSES, EACH = 4, 60
N = CLASSES * EACH
OURS = ("class-spread", "separability", "frequency", "feature-distance")


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def subject(**values: Any) -> Subject:
    """Features: four classes around centres of their own, published = clean; images: gray, delta of noise."""
    labels = torch.arange(N) % CLASSES
    features = draws(N, 6) + 5 * draws(CLASSES, 6, seed=1)[labels]
    clean = torch.full((N, 3, 8, 8), 100, dtype=torch.uint8)
    noise = torch.randint(-8, 9, clean.shape, generator=torch.Generator().manual_seed(2))
    plain: dict[str, Any] = {
        "clean": clean,
        "published": (clean + noise).to(torch.uint8),
        "labels": labels,
        "classes": CLASSES,
        "clean_features": features,
        "published_features": features,
        "seed": 0,
    }
    return Subject(**plain | values)


def with_delta(delta: Tensor) -> Subject:
    """delta in uint8 steps, integers (N,C,H,W)."""
    clean = torch.full(delta.shape, 100, dtype=torch.uint8)
    return subject(clean=clean, published=(clean + delta).to(torch.uint8))


def about_means(x: Tensor, factor: float) -> Tensor:
    """Features (N,d) scaled about the mean of their class."""
    labels = torch.arange(N) % CLASSES
    means = torch.stack([x[labels == k].mean(0) for k in range(CLASSES)])[labels]
    return means + factor * (x - means)


@pytest.mark.parametrize("name", OURS)
def test_same_subject_same_plain_values_and_nothing_changed(name: str) -> None:
    assert name in METRICS
    first = subject()
    before = [x.clone() for x in (first.clean, first.published, first.clean_features)]
    found = measure(name)(first)
    assert found == measure(name)(subject())
    assert type(found["value"]) is float
    assert all(value is None or type(value) in (float, int, str, bool) for value in found.values())
    assert all(map(torch.equal, before, (first.clean, first.published, first.clean_features)))


# class-spread


@pytest.mark.parametrize("c", [0.01, 0.5, 4.0])
def test_covariances_scaled_by_c_move_log_det_by_rank_times_log_c(c: float) -> None:
    plain = subject()
    scaled = replace(plain, published_features=about_means(plain.clean_features.double(), math.sqrt(c)))
    found = measure("class-spread")(scaled)
    assert isinstance(found["rank"], int) and found["rank"] > 1
    assert found["value"] == pytest.approx(found["rank"] * math.log(c), abs=1e-6)
    assert found["value"] == pytest.approx(found["log_det"] - found["clean_log_det"], abs=1e-9)  # type: ignore[operator]


def test_moving_classes_as_a_whole_changes_no_covariance_but_cosines() -> None:
    plain = subject()
    moved = plain.clean_features + 100 * draws(CLASSES, 6, seed=5)[plain.labels]
    found = measure("class-spread")(replace(plain, published_features=moved))
    assert found["value"] == pytest.approx(0, abs=1e-4)
    assert found["intra_cosine"] == pytest.approx(1, abs=0.01)
    assert found["intra_cosine"] > found["clean_intra_cosine"]  # type: ignore[operator]
    assert found["intra_cosine_gain"] > 0  # type: ignore[operator]


def test_cosines_are_means_over_pairs() -> None:
    plain = subject()
    unit = (plain.clean_features / plain.clean_features.norm(dim=1, keepdim=True)).double()
    cosines, same = unit @ unit.T, plain.labels[:, None] == plain.labels
    apart = ~torch.eye(N, dtype=torch.bool)
    found = measure("class-spread")(plain)
    assert found["intra_cosine"] == pytest.approx(float(cosines[same & apart].mean()), abs=1e-6)
    assert found["inter_cosine"] == pytest.approx(float(cosines[~same].mean()), abs=1e-6)
    assert found["kept"] == pytest.approx(1, abs=0.02)


def test_spread_is_that_of_the_clean_code_whatever_the_features_units() -> None:
    plain = subject(published_features=draws(N, 6, seed=3))
    scaled = replace(
        plain, clean_features=7 * plain.clean_features, published_features=7 * plain.published_features
    )
    one, other = (measure("class-spread")(s) for s in (plain, scaled))
    for name in ("value", "log_det", "intra_cosine"):
        assert other[name] == pytest.approx(one[name], abs=1e-4)


def test_what_has_no_spread_is_refused() -> None:
    plain = subject()
    flat = plain.clean_features.clone()
    flat[plain.labels == 2] = 1.0
    bad = {
        "published features of class 2 are constant over 60 images": replace(plain, published_features=flat),
        "clean features are constant": replace(plain, clean_features=torch.ones(N, 6)),
        "published features have 6 values": replace(
            plain, published_features=torch.cat([plain.clean_features[1:], torch.full((1, 6), torch.nan)])
        ),
        "the smallest of 5 classes has 0 images": replace(plain, classes=5),
    }
    for says, given in bad.items():
        with pytest.raises(ValueError, match=says):
            measure("class-spread")(given)


@pytest.mark.parametrize(("images", "rank"), [(10, 1), (20, 2), (200, 20)])
def test_log_det_of_few_images_is_not_too_low_and_its_rank_is_theirs(images: int, rank: int) -> None:
    """Of normals whose covariance within classes is the identity in the code: its log det is known."""
    found, classes = [], 4
    for seed in range(30):
        labels = torch.arange(classes * images) % classes
        clean = draws(classes * images, 24, seed=seed)
        clean = torch.linalg.qr(clean - clean.mean(0)).Q * math.sqrt(len(labels))
        published = draws(classes * images, 24, seed=seed + 100)
        one = measure("class-spread")(
            subject(labels=labels, clean_features=clean, published_features=published)
        )
        assert one["rank"] == rank
        found.append(float(one["log_det"] or 0) / rank)
    assert sum(found) / len(found) == pytest.approx(0, abs=0.15)


def test_a_class_of_too_few_images_is_refused() -> None:
    few = torch.arange(36) % CLASSES
    with pytest.raises(ValueError, match="smallest class has 9 images, expected 10"):
        measure("class-spread")(
            subject(labels=few, clean_features=draws(36, 6), published_features=draws(36, 6, seed=1))
        )


# feature-distance


def test_distance_is_in_units_of_the_clean_spread() -> None:
    plain = subject()
    step = torch.tensor([3.0, 4.0, 0, 0, 0, 0])
    found = measure("feature-distance")(replace(plain, published_features=plain.clean_features + step))
    spread = math.sqrt(float(plain.clean_features.double().var(0, correction=0).sum()))
    assert found["value"] == pytest.approx(5 / spread, rel=1e-6)
    own = measure("feature-distance")(plain)
    assert (own["value"], own["cosine"]) == (0, pytest.approx(1))
    opposite = measure("feature-distance")(replace(plain, published_features=-2 * plain.clean_features))
    assert opposite["cosine"] == pytest.approx(-1)


def test_features_of_zeros_have_no_cosine() -> None:
    found = measure("feature-distance")(subject(published_features=torch.zeros(N, 6)))
    assert found["cosine"] is None and isinstance(found["value"], float)


# separability


def test_a_pattern_of_each_class_is_separable_and_noise_is_not() -> None:
    patterns = torch.randint(-8, 9, (CLASSES, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    found = measure("separability")(with_delta(patterns[torch.arange(N) % CLASSES]))
    assert (found["value"], found["train_accuracy"]) == (1, 1)
    noise = measure("separability")(subject())
    assert noise["train_accuracy"] == 1  # as many pixels as images: why the other one counts
    assert isinstance(noise["value"], float) and noise["value"] < 0.5
    assert (noise["n_train"], noise["n_held_out"]) == (N - N // 5, N // 5)


def test_held_out_images_follow_the_seed() -> None:
    values = {measure("separability")(subject(seed=seed))["value"] for seed in range(4)}
    assert len(values) > 1


@pytest.mark.parametrize("name", ["separability", "frequency"])
def test_no_delta_is_named(name: str) -> None:
    plain = subject()
    with pytest.raises(ValueError, match=f"{name}: delta is zero on all {N} images, expected"):
        measure(name)(replace(plain, published=plain.clean))


def test_a_delta_that_says_nothing_is_no_shortcut() -> None:
    with pytest.raises(ValueError, match="delta is 3 everywhere"):
        measure("separability")(with_delta(torch.full((N, 3, 8, 8), 3)))


# frequency


def wave(fy: int, fx: int, size: int = 8) -> Tensor:
    """cos of so many periods down and across, amplitude 100, one channel in three (N,3,size,size)."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    one = (100 * torch.cos(2 * math.pi * (fy * y + fx * x) / size)).round().int()
    return one.expand(N, 3, size, size)


@pytest.mark.parametrize(
    ("periods", "band", "centroid"),
    [((0, 0), "low", 0.0), ((0, 1), "mid", 1 / 8), ((2, 0), "high", 1 / 4), ((4, 4), "high", math.sqrt(0.5))],
)
def test_a_wave_has_its_energy_in_its_band(periods: tuple[int, int], band: str, centroid: float) -> None:
    found = measure("frequency")(with_delta(wave(*periods)))
    assert found[band] == pytest.approx(1, abs=1e-3)
    assert found["value"] == pytest.approx(centroid, abs=1e-3)
    assert sum(found[name] for name in ("low", "mid", "high")) == pytest.approx(1)  # type: ignore[misc]


def test_white_noise_has_energy_by_the_number_of_frequencies() -> None:
    found = measure("frequency")(subject())
    for name in ("low", "mid", "high"):
        assert found[name] == pytest.approx(found[f"white_{name}"], abs=0.01)
    assert found["value"] == pytest.approx(found["white_centroid"], abs=0.005)
    # of an 8x8 transform: only the constant is below 1/8, and 8 more lie below 1/4
    assert (LOW, HIGH) == (1 / 8, 1 / 4)
    assert (found["white_low"], found["white_mid"]) == (1 / 64, 8 / 64)
    # variances of Y, Cb, Cr of independent R, G, B
    y, cb, cr = 0.4469, 0.3882, 0.4319
    assert found["luma"] == pytest.approx(y / (y + cb + cr), abs=0.01)


def test_gray_delta_is_luma_and_a_blue_against_red_one_is_chroma() -> None:
    assert measure("frequency")(with_delta(wave(1, 1)))["luma"] == pytest.approx(1, abs=1e-6)
    assert measure("frequency")(with_delta(wave(1, 1)[:, :1]))["luma"] == 1
    colour = torch.tensor([114, 0, -299]) // 3  # no luma: 0.299 R + 0.114 B = 0
    found = measure("frequency")(with_delta(colour[None, :, None, None].expand(N, 3, 8, 8)))
    assert found["luma"] == pytest.approx(0, abs=1e-3)
