"""Everything the estimators are asked, each only what theory grants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import inf

import numpy as np

from bench.metrics.mi import cka, gauss_cca, infonce, ksg, smi_hist
from bench.metrics.mi.estimate import Estimator
from bench.metrics.mi.ksg import Doubles
from bench.metrics.mi.limits import CERTIFIED
from bench.metrics.mi.pca_code import MOST, fit_code
from bench.metrics.mi.smi_hist import directions
from bench.metrics.mi.smi_noisy import normal_scores
from bench.studies.certificate import noisy, scalars
from bench.studies.certificate.case import Case, Trial, trial
from bench.studies.certificate.gaussians import Gaussians
from bench.studies.certificate.noisy import NoisyPlan

NEIGHBOURS = 5
MOST_PER_DIMENSION = 2.5  # nats; with more the correlations are close to 1
Estimators = dict[str, Estimator]
Truth = Callable[[Doubles, int], float]  # of clean features (n,d), and of a seed


@dataclass(frozen=True)
class Plan:
    """How much of it: images, and draws of each number of images."""

    slices: int
    scalar: dict[int, int]  # images -> draws
    sliced: dict[int, int]
    vector: dict[int, int]
    critic: dict[int, int]
    nulls: dict[int, int]
    shapes: tuple[tuple[int, int], ...]  # d, rank
    nats: tuple[float, ...]  # of vector estimators
    shares: tuple[float, ...]  # nats for each dimension of the code, of sliced ones
    noisy: NoisyPlan


FULL = Plan(
    slices=128,
    scalar={500: 100, 2000: 100, 10_000: 40},
    sliced={500: 40, 2000: 20, 5000: 5},
    vector={500: 20, 2000: 20, 10_000: 4},
    critic={2000: 6, 5000: 6},
    nulls={500: 150, 2000: 40},
    shapes=((1, 1), (2, 2), (16, 16), (64, 32), (512, 32)),
    nats=(0.0, 0.5, 2.0, 5.0, 11.0),
    shares=(0.125, 0.33),
    noisy=noisy.FULL,
)
SMALL = Plan(
    slices=16,
    scalar={1000: 12},
    sliced={500: 6},
    vector={1000: 3},
    critic={2000: 1},
    nulls={500: 12},
    shapes=((2, 2), (32, 8)),
    nats=(0.5, 2.0),
    shares=(0.25,),
    noisy=noisy.SMALL,
)


def cases(plan: Plan) -> list[Case]:
    estimators: Estimators = {
        "smi-hist": lambda x, y, seed: smi_hist.smi_hist(x, y, seed, plan.slices),
        "gauss-cca": gauss_cca.gauss_cca,
        "cka": cka.cka,
        "infonce": infonce.infonce,
    }
    parts = (_scalars, _sliced, _vectors, _nulls, _rotations, _doubling, _deterministic)
    return [*noisy.cases(plan.noisy), *(case for part in parts for case in part(plan, estimators))]


def _rng(draw: int, n: int) -> np.random.Generator:
    return np.random.default_rng([draw, n])


# Per-slice KSG


def _scalars(plan: Plan, _: Estimators) -> Iterator[Case]:
    kinds = (
        *(scalars.normal(rho) for rho in (0.0, 0.3, 0.6, 0.9, 0.97)),
        *(scalars.student(freedom, rho) for freedom, rho in ((3, 0.0), (5, 0.6))),
        *(scalars.uniform(noise) for noise in (1.0, 0.5, 0.2)),
        scalars.monotone("cube root and asinh", np.cbrt, lambda y: np.arcsinh(5 * y)),
        scalars.monotone("tanh and identity", np.tanh, lambda y: y),
    )
    for n, draws in plan.scalar.items():
        for kind in kinds:
            name = kind.name if kind.edges else f"{kind.name}, by normal scores"
            tolerance = (0.01 + 0.03 * kind.nats + 10 / n) * (1.6 if kind.edges else 1)
            yield Case("ksg", name, 1, n, draws, partial(_of_scalars, kind, n), tolerance)
        one = partial(_beside_scikit_learn, n)
        yield Case("ksg", "scikit-learn, rho 0.8", 1, n, min(draws, 10), one, 1e-3)


def _of_scalars(kind: scalars.Scalars, n: int, draw: int) -> Trial:
    x, y = kind.draw(n, _rng(draw, n))
    if not kind.edges:
        x, y = normal_scores(np.stack([x, y]))
    return Trial(kind.nats, ksg.ksg(x, y, NEIGHBOURS))


def _beside_scikit_learn(n: int, draw: int) -> Trial:
    from sklearn.feature_selection import mutual_info_regression

    x, y = scalars.normal(0.8).draw(n, _rng(draw, n))
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=NEIGHBOURS, random_state=0)[0]
    return Trial(float(theirs), ksg.ksg(x, y, NEIGHBOURS))


# Features, against the closed forms of Gaussians on the very code and slices that were used


def _sliced(plan: Plan, estimators: Estimators) -> Iterator[Case]:
    name = smi_hist.NAME
    for n, draws in plan.sliced.items():
        for (d, rank), share in product(plan.shapes, plan.shares):
            family = Gaussians(d, rank, share * rank)
            truth = partial(_sliced_truth, family, plan.slices)
            about = family.sliced(family.whitening, *directions(plan.slices, rank, 0))
            what = f"Gaussians of rank {rank}, the same slices, {family.nats:.3g} nats in all"
            one = partial(_against, estimators[name], family, n, truth)
            # of the loss of binning, a share of the truth
            tolerance = 0.005 + 0.25 * about + 3 / n if about <= CERTIFIED[name].most else None
            yield Case(name, what, d, n, draws, one, tolerance, about=about)


def _sliced_truth(family: Gaussians, slices: int, clean: Doubles, seed: int) -> float:
    _, code = fit_code(clean, MOST)
    return family.sliced(code, *directions(slices, code.shape[1], seed))


def _vectors(plan: Plan, estimators: Estimators) -> Iterator[Case]:
    for (d, rank), nats in product(plan.shapes, plan.nats):
        if nats > MOST_PER_DIMENSION * rank:
            continue
        family, what = Gaussians(d, rank, nats), f"Gaussians of rank {rank}, {nats:.3g} nats"
        exact, aligned = partial(_exact, family), lambda *_, family=family: family.alignment()
        for n, draws in plan.vector.items():
            tolerance = 0.05 + 0.03 * nats if n >= 100 * rank else None
            one = partial(_against, estimators["gauss-cca"], family, n, exact)
            yield Case("gauss-cca", what, d, n, draws, one, tolerance, about=nats)
            one = partial(_against, estimators["cka"], family, n, aligned)
            yield Case("cka", what, d, n, draws, one, 0.02, about=family.alignment())
        for n, draws in plan.critic.items():
            if n >= 100 * rank and nats <= 2:
                one = partial(_against, estimators["infonce"], family, n, exact)
                yield Case("infonce", what, d, n, draws, one, 0.1 + 0.1 * nats, about=nats)


def _exact(family: Gaussians, clean: Doubles, _: int) -> float:
    return family.exact(fit_code(clean, MOST)[1])


def _against(estimator: Estimator, family: Gaussians, n: int, truth: Truth, draw: int) -> Trial:
    clean, published = family.draw(n, _rng(draw, n))
    return trial(truth(clean, draw), estimator(clean, published, draw))


# What must hold whatever the numbers are


def _nulls(plan: Plan, estimators: Estimators) -> Iterator[Case]:
    family = Gaussians(16, 4, 0.0)
    for name, estimator in estimators.items():
        sizes, most = (plan.critic, 0.02) if name == "infonce" else (plan.nulls, 0.005)
        for n, draws in sizes.items():
            one = partial(_against, estimator, family, n, lambda *_: 0.0)
            yield Case(name, "independent pairs", family.d, n, draws, one, most, covers=True)


def _rotations(plan: Plan, estimators: Estimators) -> Iterator[Case]:
    family = Gaussians(16, 8, 2.0)
    n = min(plan.critic)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((family.d, family.d)))
    loose = {"gauss-cca": 0.01, "cka": 1e-6, "infonce": 0.15}
    for name, estimator in estimators.items():
        draws = 1 if name == "infonce" else 2 * plan.critic[n]
        one = partial(_rotated, estimator, family, n, turn)
        yield Case(name, "itself, features rotated", family.d, n, draws, one, loose.get(name, 0.02))


def _rotated(estimator: Estimator, family: Gaussians, n: int, turn: Doubles, draw: int) -> Trial:
    clean, published = family.draw(n, _rng(draw, n))
    plain = estimator(clean, published, draw).value
    assert plain is not None
    return trial(plain, estimator(clean @ turn, published @ turn, draw))


def _doubling(plan: Plan, estimators: Estimators) -> Iterator[Case]:
    family = Gaussians(8, 4, 1.0)
    for name, tolerance in (("gauss-cca", 0.06), ("infonce", 0.2)):
        sizes = plan.critic if name == "infonce" else plan.vector
        for n, draws in (
            (n, draws) for n, draws in sizes.items() if n >= 2 * 4 * CERTIFIED[name].per_dimension
        ):
            one = partial(_doubled, estimators[name], family, n)
            yield Case(name, "twice itself, of two independent copies", 16, n, draws, one, tolerance)


def _doubled(estimator: Estimator, family: Gaussians, n: int, draw: int) -> Trial:
    rng = _rng(draw, n)
    pairs = family.draw(n, rng), family.draw(n, rng)
    clean, published = (np.concatenate(side, axis=1) for side in zip(*pairs, strict=True))
    single = estimator(*pairs[0], draw).value, estimator(*pairs[1], draw).value
    assert single[0] is not None and single[1] is not None
    return trial(single[0] + single[1], estimator(clean, published, draw))


def _deterministic(plan: Plan, estimators: Estimators) -> Iterator[Case]:
    """Map without noise, which tells everything: infinitely many nats, and no estimator may give a number."""
    noiseless: Estimators = estimators | {
        "gauss-cca": lambda x, y, seed: gauss_cca.gauss_cca(x, y, seed, sigma=0.0),
        "infonce": lambda x, y, seed: infonce.infonce(x, y, seed, sigma=0.0),
    }
    for name in ("smi-hist", "gauss-cca", "infonce"):
        for n in plan.critic:
            alone = 1 if name == "smi-hist" else 4  # one dimension has only matched slices
            one = partial(_of_map, noiseless[name], alone, n)
            yield Case(name, "a deterministic map without noise", alone, n, 2, one)


def _of_map(estimator: Estimator, d: int, n: int, draw: int) -> Trial:
    clean = _rng(draw, n).standard_normal((n, d)) * np.arange(1, d + 1)
    return trial(inf, estimator(clean, 3 - 2 * clean, draw))
