"""Every estimator of dependence: what all of them owe, and what each of them claims for itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.metrics import METRICS, Subject, measure
from bench.metrics.mi import cka, gauss_cca, infonce, pca_code, smi_hist, smi_noisy
from bench.metrics.mi.estimate import Estimate
from bench.metrics.mi.limits import CERTIFIED
from bench.metrics.mi.settings import MISettings

Doubles = NDArray[np.float64]
FEW = MISettings(slices=16)
ESTIMATORS = {
    "smi-noisy": lambda x, y, seed: smi_noisy.smi_noisy(x, y, seed, FEW),
    "smi-hist": lambda x, y, seed: smi_hist.smi_hist(x, y, seed, 16),
    "gauss-cca": gauss_cca.gauss_cca,
    "infonce": infonce.infonce,
    "cka": cka.cka,
}
NAMES = tuple(ESTIMATORS)
SEEDED = ("smi-noisy", "smi-hist", "gauss-cca", "infonce")  # cka's value draws nothing
SCALES = np.array([4.0, 3.0, 2.0, 1.0])


def features(n: int, sigma: float, seed: int = 0) -> tuple[Doubles, Doubles]:
    """Clean and published (n,4); published is clean and sigma as much noise."""
    clean, noise = np.random.default_rng(seed).standard_normal((2, n, 4)) * SCALES
    return clean, clean + sigma * noise


def enough(name: str) -> int:
    return max(500, CERTIFIED[name].images)


@cache
def found(name: str, sigma: float) -> Estimate:
    return ESTIMATORS[name](*features(enough(name), sigma), 0)


def figure(estimate: Estimate) -> float:
    """Its value, which must be there."""
    assert estimate.value is not None, estimate
    return estimate.value


def test_each_is_a_measure_and_has_a_certified_range() -> None:
    assert set(ESTIMATORS) == set(CERTIFIED)
    assert set(ESTIMATORS) <= set(METRICS)


@pytest.mark.parametrize("name", NAMES)
def test_measure_of_a_subject_says_what_the_value_depends_on(name: str) -> None:
    clean, published = (torch.from_numpy(side).float() for side in features(enough(name), 1.0))
    images = torch.zeros(len(clean), 1, 2, 2, dtype=torch.uint8)
    labels = torch.zeros(len(clean), dtype=torch.int64)
    seen = measure(name)(Subject(images, images, labels, 10, clean, published, 0))
    assert (seen["estimator"], seen["n"], seen["d"], seen["rank"]) == (name, len(clean), 4, 4)
    assert seen["low"] < seen["value"] < seen["high"]
    assert seen["seconds"] > 0
    assert seen["null"] == pytest.approx(0, abs=0.3)
    assert set(seen) & {"slices", "sigma", "not"}


@pytest.mark.parametrize("name", NAMES)
def test_independent_features_are_covered(name: str) -> None:
    n = enough(name)
    clean, elsewhere = features(n, 0.0)[0], features(n, 0.0, seed=1)[0]
    estimate = ESTIMATORS[name](clean, elsewhere, 0)
    assert estimate.low is not None and estimate.high is not None
    reach = estimate.high - figure(estimate)
    assert abs(figure(estimate)) <= max(2 * reach, 1e-3)  # 0 is that near in all but 1 of 10,000
    assert abs(figure(estimate)) < 0.03


@pytest.mark.parametrize("name", NAMES)
def test_more_noise_tells_less(name: str) -> None:
    values = [figure(found(name, sigma)) for sigma in (1.0, 2.0, 5.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[1] + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_estimate(name: str) -> None:
    pair = features(enough(name), 1.0)
    assert ESTIMATORS[name](*pair, 0) == found(name, 1.0)
    if name in SEEDED:
        assert ESTIMATORS[name](*pair, 1).value != found(name, 1.0).value


@pytest.mark.parametrize("name", NAMES)
def test_units_and_offsets_of_a_feature_vector_do_not_matter(name: str) -> None:
    clean, published = features(enough(name), 1.0)
    moved = ESTIMATORS[name](clean * 100 + 7, published * 100 + 7, 0)
    assert figure(moved) == pytest.approx(figure(found(name, 1.0)), abs=0.02)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "smi-noisy"])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda x: np.full_like(x, 3.7), "constant"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 3, np.nan, x), "not finite"),
        (lambda x: np.resize(x[: len(x) // 3], x.shape), "duplicated"),
    ],
)
def test_useless_features_are_named(name: str, damage: object, says: str) -> None:
    clean, published = features(enough(name), 1.0)
    for which, pair in {"clean": (damage(clean), published), "published": (clean, damage(published))}.items():
        with pytest.raises(ValueError, match=rf"{name}: {which} .*{says}"):
            ESTIMATORS[name](*pair, 0)


@pytest.mark.parametrize("name", NAMES)
def test_too_few_images_and_other_shapes_are_refused(name: str) -> None:
    least = CERTIFIED[name].images
    clean, published = features(least, 1.0)
    with pytest.raises(ValueError, match=rf"{name}: features of {least - 1} images, expected {least}"):
        ESTIMATORS[name](clean[1:], published[1:], 0)
    with pytest.raises(ValueError, match=rf"{name}: .*shape"):
        ESTIMATORS[name](clean, published[:, 1:], 0)


def test_what_is_symmetric_is_so() -> None:
    clean, published = features(500, 1.0)
    assert cka.cka(published, clean, 0).value == pytest.approx(found("cka", 1.0).value, abs=1e-12)
    x, y = clean.T[:1], published.T[:1]
    assert smi_hist.histogram_mi(x, y, 16) == pytest.approx(smi_hist.histogram_mi(y, x, 16), abs=1e-12)
    standard = [side / side.std(axis=0) for side in (clean, published)]  # or the noise is not as much
    assert figure(gauss_cca.gauss_cca(*standard, 0)) == pytest.approx(
        figure(gauss_cca.gauss_cca(*standard[::-1], 0)), abs=0.01
    )


# Outside of the certified range there is a bound and no number


def test_slices_of_one_dimension_that_follow_each_other_are_bounded() -> None:
    clean = features(1000, 0.0)[0][:, :1]
    estimate = ESTIMATORS["smi-hist"](clean, 2 - clean, 0)
    assert (estimate.value, estimate.low, estimate.high) == (None, None, None)
    assert estimate.at_least is not None and estimate.at_least > CERTIFIED["smi-hist"].most / 2
    assert str(estimate).startswith("at least ")


@pytest.mark.parametrize("name", ["gauss-cca", "infonce"])
def test_without_noise_a_map_is_bounded(name: str) -> None:
    clean = features(2000, 0.0)[0]
    estimate = {"gauss-cca": gauss_cca.gauss_cca, "infonce": infonce.infonce}[name](
        clean, 2 - clean, 0, sigma=0
    )
    assert estimate.value is None
    assert estimate.at_least is not None and estimate.at_least > 2


def test_few_images_for_each_dimension_are_a_bound() -> None:
    rng = np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 500, 30))
    estimate = gauss_cca.gauss_cca(clean, clean + noise, 0)
    assert estimate.value is None
    assert estimate.reason is not None and "500 images, certified from 3000" in estimate.reason
    truth = 30 / 2 * np.log(3 / 2)  # a correlation of 1/sqrt(3): noise of clean's size twice
    assert estimate.at_least is not None and 0 < estimate.at_least < truth


def test_infonce_stays_below_its_cap() -> None:
    clean = features(2000, 0.0)[0]
    estimate = infonce.infonce(clean, clean, 0, sigma=0.001)
    assert estimate.at_least is not None
    assert estimate.at_least < estimate.settings["cap"] == pytest.approx(np.log(800), abs=1e-3)


# What each claims for itself


def test_histogram_of_pairs_that_are_known() -> None:
    x = np.tile(np.arange(16.0), 25)[None]
    assert smi_hist.histogram_mi(x, x, 16) == pytest.approx(np.log(16))
    assert smi_hist.histogram_mi(x, np.sort(x), 16) == pytest.approx(0, abs=0.15)
    assert smi_hist.histogram_mi(x, -x, 4) == pytest.approx(np.log(4))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_gaussian_estimators_find_the_closed_form(sigma: float) -> None:
    pair = features(2000, sigma)
    truth = -0.5 * 4 * np.log(1 - 1 / (2 + sigma**2))  # each dimension: clean 1, its noise, the channel's
    assert figure(gauss_cca.gauss_cca(*pair, 0)) == pytest.approx(truth, abs=0.1)
    assert figure(infonce.infonce(*pair, 0)) == pytest.approx(truth, abs=0.15 + 0.1 * truth)


def test_infonce_sees_what_correlations_do_not() -> None:
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((3000, 2))
    bent = 3 * (clean**2 - 1)
    assert figure(infonce.infonce(clean, bent, 0)) > 0.3
    assert figure(gauss_cca.gauss_cca(clean, bent, 0)) < 0.1


def test_ledoit_wolf_is_scikit_learn_s() -> None:
    from sklearn.covariance import ledoit_wolf

    x = np.random.default_rng(0).standard_normal((60, 12)) * np.arange(1, 13)
    x -= x.mean(axis=0)
    assert np.allclose(pca_code.ledoit_wolf(x), ledoit_wolf(x, assume_centered=True)[0])


def test_cka_of_infinitely_many_images_is_not_that_of_few() -> None:
    """Plain CKA of independent features is far above 0 where there are many of them."""
    clean, elsewhere = np.random.default_rng(0).standard_normal((2, 300, 200))
    estimate = cka.cka(clean, elsewhere, 0)
    assert estimate.value == pytest.approx(0, abs=0.03)
    turned = clean @ np.linalg.qr(elsewhere[:200])[0]
    assert cka.cka(clean, 5 * turned, 0).value == pytest.approx(1)


def test_estimates_do_not_touch_their_input() -> None:
    clean, published = features(2000, 1.0)
    before = clean.copy(), published.copy()
    for name in NAMES:
        ESTIMATORS[name](clean, published, 0)
    assert np.array_equal(clean, before[0])
    assert np.array_equal(published, before[1])


def test_settings_are_in_the_estimate() -> None:
    pair = features(500, 1.0)
    assert smi_hist.smi_hist(*pair, 0, 16, bins=8).settings == {"slices": 16, "bins": 8}
    asked = replace(FEW, neighbours=5, sigma=1.0)
    found = smi_noisy.smi_noisy(*pair, 0, asked).settings
    assert found == {"slices": 16, "neighbours": 5, "sigma": 1.0}
    assert gauss_cca.gauss_cca(*pair, 0, sigma=0.5).settings["sigma"] == 0.5
