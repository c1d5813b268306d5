"""The dependence estimate and its interval against closed forms, and what must not change them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.metrics.mi.ksg import ksg_of_rows
from bench.metrics.mi.sliced import ESTIMATOR, MISettings, Sliced, directions, sliced
from bench.metrics.mi.smi_ksg import smi_ksg

Doubles = NDArray[np.float64]
SMALL = MISettings(slices=64)
SCALES = np.array([4.0, 3.0, 2.0, 1.0])  # of independent features, so PCA has only to rescale them


def normals(*shape: int, seed: int = 0) -> Doubles:
    return np.random.default_rng(seed).standard_normal(shape)


def noisy(clean: Doubles, sigma: float, seed: int = 7) -> Doubles:
    return clean + sigma * SCALES * normals(*clean.shape, seed=seed)


def sliced_mi(clean: Doubles, published: Doubles, settings: MISettings, seed: int) -> Sliced:
    return sliced(clean, published, settings, seed, partial(ksg_of_rows, k=settings.neighbours))


def exact(settings: MISettings, seed: int, sigma: float) -> float:
    """What noisy tells of its clean features, on the slices of the seed."""
    theta, phi = directions(settings, len(SCALES), seed)
    # White code: covariance theta.phi; unit variance of the clean, 1 + sigma^2 of the published side.
    # The sign of an axis is the same in both codes and cancels.
    rho = np.sum(theta * phi, axis=1) / np.sqrt(1 + sigma**2)
    return float(np.mean(-0.5 * np.log(1 - rho**2)))


@pytest.fixture(scope="module")
def clean() -> Doubles:
    return normals(1000, 4) * SCALES


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_sliced_mi_of_gaussians_is_exact_on_the_same_directions(clean: Doubles, sigma: float) -> None:
    found = sliced_mi(clean, noisy(clean, sigma), SMALL, 3)
    assert found.nats == pytest.approx(exact(SMALL, 3, sigma), abs=0.01)


def test_sliced_mi_of_rotated_features_is_that_of_the_features(clean: Doubles) -> None:
    rotation, _ = np.linalg.qr(normals(6, 6))
    wide, poison = (np.pad(x, ((0, 0), (0, 2))) @ rotation for x in (clean, noisy(clean, 0.5)))
    found, plain = sliced_mi(wide, poison, SMALL, 0), sliced_mi(clean, noisy(clean, 0.5), SMALL, 0)
    assert found.rank == 4
    assert found.nats == pytest.approx(plain.nats, abs=0.03)  # signs of the axes may differ


def test_independent_features_give_nothing(clean: Doubles) -> None:
    found = sliced_mi(clean, normals(1000, 4, seed=1) * SCALES, SMALL, 0)
    assert abs(found.nats) < 0.01
    assert abs(found.null) < 0.01


def test_more_noise_lowers_it_and_clean_against_itself_is_highest(clean: Doubles) -> None:
    found = [sliced_mi(clean, noisy(clean, sigma), SMALL, 0).nats for sigma in (0, 0.3, 1, 3)]
    assert np.isfinite(found).all()
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1] + 0.05


def test_it_reports_what_it_depends_on(clean: Doubles) -> None:
    found = smi_ksg(clean, clean, 0, replace(SMALL, slices=8, rank=2))
    assert (found.n, found.d, found.rank, found.estimator) == (1000, 4, 2, ESTIMATOR)
    assert found.settings == {"slices": 8, "neighbours": 5}


def test_same_seed_same_value(clean: Doubles) -> None:
    few, poison = replace(SMALL, slices=8), noisy(clean, 0.5)
    first, again, other = (sliced_mi(clean, poison, few, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_inputs_are_left_alone_and_precision_matters_little(clean: Doubles) -> None:
    few, poison = replace(SMALL, slices=8), noisy(clean, 0.5)
    before = clean.copy(), poison.copy()
    wide = sliced_mi(clean, poison, few, 0)
    assert np.array_equal(before[0], clean)
    assert np.array_equal(before[1], poison)
    narrow = sliced_mi(clean.astype(np.float32), poison.astype(np.float32), few, 0)
    assert narrow.nats == pytest.approx(wide.nats, abs=1e-3)


def test_directions_are_independent_unit_vectors_that_codes_share() -> None:
    theta, phi = directions(SMALL, 32, 0)
    shorter, _ = directions(SMALL, 5, 0)
    assert theta.shape == phi.shape == (64, 32)
    assert np.allclose(np.linalg.norm(theta, axis=1), 1)
    assert np.allclose(np.linalg.norm(shorter, axis=1), 1)
    assert np.allclose(shorter, theta[:, :5] / np.linalg.norm(theta[:, :5], axis=1, keepdims=True))
    assert abs(np.mean(np.sum(theta * phi, axis=1))) < 0.1


def test_methods_share_code_and_directions(clean: Doubles) -> None:
    """A method that only shifts and rescales all features is seen through the very same slices."""
    few = replace(SMALL, slices=8)
    first, shifted = sliced_mi(clean, clean, few, 0), sliced_mi(clean, 0.5 * clean + 9, few, 0)
    assert shifted.nats == pytest.approx(first.nats, abs=1e-3)
    assert shifted.null == pytest.approx(first.null, abs=1e-3)


def test_ties_change_little(clean: Doubles) -> None:
    poison = noisy(clean, 0.5)
    untied = sliced_mi(clean, poison, SMALL, 0).nats
    assert sliced_mi(np.round(clean * 4), np.round(poison * 4), SMALL, 0).nats == pytest.approx(
        untied, abs=0.02
    )
    halves = [np.maximum(x, 0) for x in (clean, poison)]  # about 60 images without any active feature
    jittered = [x + 1e-4 * normals(*x.shape, seed=9) for x in halves]
    tied, loose = sliced_mi(*halves, SMALL, 0).nats, sliced_mi(*jittered, SMALL, 0).nats
    assert tied == pytest.approx(loose, abs=0.05)


def test_dead_features_are_no_error(clean: Doubles) -> None:
    dead = np.pad(clean, ((0, 0), (0, 3)))
    few = replace(SMALL, slices=8)
    assert sliced_mi(dead, dead, few, 0).nats == pytest.approx(sliced_mi(clean, clean, few, 0).nats, abs=1e-3)


@pytest.mark.parametrize("which", ["clean", "published"])
@pytest.mark.parametrize(("damage", "says"), [(3.7, "constant"), (np.nan, "finite"), (np.inf, "finite")])
def test_useless_features_are_named(clean: Doubles, which: str, damage: float, says: str) -> None:
    spoilt = clean.astype(np.float32)
    spoilt[: 1000 if says == "constant" else 1] = damage
    pair = {"clean": clean, "published": clean, which: spoilt}
    with pytest.raises(ValueError, match=f"{which} .*{says}"):
        smi_ksg(pair["clean"], pair["published"], 0, SMALL)


def test_published_features_that_leave_the_code_are_named(clean: Doubles) -> None:
    wide = np.pad(clean, ((0, 0), (0, 1)))
    elsewhere = np.zeros_like(wide)
    elsewhere[:, 4] = clean[:, 0]
    with pytest.raises(ValueError, match=r"published .*constant over 1000 rows"):
        sliced_mi(wide, elsewhere, SMALL, 0)


def test_wrong_sizes_are_refused(clean: Doubles) -> None:
    with pytest.raises(ValueError, match=r"shape.*\(1000, 4\).*\(999, 4\)"):
        smi_ksg(clean, clean[:999], 0)
    with pytest.raises(ValueError, match=r"20 images, expected 200"):
        smi_ksg(clean[:20], clean[:20], 0)
    with pytest.raises(ValueError, match="2-D"):
        smi_ksg(clean[:, 0], clean[:, 0], 0)
    with pytest.raises(ValueError, match="at least 1, and slices 2"):
        MISettings(slices=1)
    with pytest.raises(ValueError, match="at least 1"):
        MISettings(rank=0)


@pytest.mark.parametrize(("spread", "sigma"), [(64, 0.5), (12, 1.0)])  # all slices, and some of them
def test_interval_covers_what_is_so_and_half_of_it_does_not(
    monkeypatch: pytest.MonkeyPatch, spread: int, sigma: float
) -> None:
    monkeypatch.setattr("bench.metrics.mi.sliced.SPREAD_SLICES", spread)
    settings = replace(SMALL, slices=32, neighbours=2)
    truth, errors = exact(settings, 0, sigma), []
    for seed in range(40):
        clean = normals(400, 4, seed=seed) * SCALES
        found = sliced_mi(clean, noisy(clean, sigma, seed=1000 + seed), settings, 0)
        errors.append(abs(found.nats - truth) / found.reach)
    # Of 40 at 95 %, 35 or fewer cover with a chance of 5 %; of 40 halves, at 71 %, 35 or more with 1 %.
    assert np.sum(np.array(errors) <= 1) > 35
    assert np.sum(np.array(errors) <= 0.5) < 35


def test_interval_is_around_the_estimate_and_narrows_with_images(clean: Doubles) -> None:
    poison, few = noisy(clean, 0.5), replace(SMALL, slices=24)
    widths = [sliced_mi(clean[:n], poison[:n], few, 0).reach for n in (60, 250, 1000)]
    found = smi_ksg(clean, poison, 0, few)
    assert found.low and found.value and found.high
    assert found.low + widths[2] == pytest.approx(found.value) == found.high - widths[2]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[2]
