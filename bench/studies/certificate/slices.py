"""Pairs of features whose I(a + sigma N; b) and I(a + sigma N; a) are known in each slice; see smi_noisy."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import logsumexp
from scipy.stats import chi2, norm

from bench.metrics.mi.ksg import Doubles

DRAWS = 20_000  # of a mean of log densities: nats within 0.005 of it in one slice
Pair = tuple[Doubles, Doubles]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Both sides are normal in each of some components, classes or radii; all in `rank` dimensions of d."""

    name: str
    d: int
    clean: Doubles  # means (components,rank)
    published: Doubles
    within: tuple[float, float, float]  # standard deviation of clean, of published, and their correlation
    radii: Doubles  # (components,), by which these deviations are multiplied

    @cached_property
    def axes(self) -> Doubles:
        """Orthonormal rows (rank,d), scaled as features are."""
        rank = self.clean.shape[1]
        found, _ = np.linalg.qr(np.random.default_rng([self.d, rank]).standard_normal((self.d, rank)))
        scaled: Doubles = np.linspace(2, 1, rank)[:, None] * found.T
        return scaled

    def draw(self, n: int, rng: np.random.Generator) -> Pair:
        own = rng.integers(len(self.radii), size=n)
        s, e = rng.standard_normal((2, n, self.clean.shape[1])) * self.radii[own, None]
        one, other, rho = self.within
        x = self.clean[own] + one * s
        y = self.published[own] + other * (rho * s + np.sqrt(1 - rho**2) * e)
        return x @ self.axes, y @ self.axes

    def told(self, theta: Doubles, sigma: float) -> tuple[float, float]:
        each = [self._slice(self.axes @ one, sigma) for one in theta]
        value, ceiling = np.mean(each, axis=0)
        return float(value), float(ceiling)

    def _slice(self, theta: Doubles, sigma: float) -> tuple[float, float]:
        """Of one direction (rank,), by drawing, or in closed form where there is one component."""
        length, (one, other, rho) = float(np.linalg.norm(theta)), self.within
        means = np.stack([self.clean @ theta, self.published @ theta])  # (2,components)
        a, b, both = (self.radii**2 * part * length**2 for part in (one**2, other**2, rho * one * other))
        noise = sigma**2 * (means[0].var() + a.mean())
        if len(self.radii) == 1:
            told = -0.5 * np.log1p(-(both[0] ** 2) / ((a[0] + noise) * b[0]))
            return float(told), float(0.5 * np.log1p(1 / sigma**2))
        rng = np.random.default_rng(0)
        own = rng.integers(len(self.radii), size=DRAWS)
        s, e, z = rng.standard_normal((3, DRAWS))
        v = means[1, own] + np.sqrt(b[own]) * s
        u = means[0, own] + both[own] / np.sqrt(b[own]) * s
        u += np.sqrt(a[own] - both[own] ** 2 / b[own]) * e + np.sqrt(noise) * z
        p_v = _log_density(v[:, None], means[1], np.sqrt(b))
        p_u = _log_density(u[:, None], means[0], np.sqrt(a + noise))
        given = means[0] + both / b * (v[:, None] - means[1])
        joint = p_v + _log_density(u[:, None], given, np.sqrt(a + noise - both**2 / b))
        log_k = np.log(len(self.radii))
        of_u, of_v, of_both = (logsumexp(p, axis=1) - log_k for p in (p_u, p_v, joint))
        return float((of_both - of_u - of_v).mean()), float(-of_u.mean() - norm.entropy(scale=np.sqrt(noise)))


def normals(d: int, rank: int, rho: float) -> Mixture:
    """Make jointly normal features of correlation rho in each of some dimensions."""
    nothing = np.zeros((1, rank))
    return Mixture(f"normals of rank {rank}, rho {rho:g}", d, nothing, nothing, (1, 1, rho), np.ones(1))


def student(d: int, freedom: int, rho: float, radii: int = 100) -> Mixture:
    """Make Student-t features of d dimensions, whose radius both sides share and is one of some quantiles."""
    quantiles = np.sqrt(freedom / chi2.ppf((np.arange(radii) + 0.5) / radii, freedom))
    name, nothing = f"Student-t, {freedom} degrees of freedom, rho {rho:g}", np.zeros((radii, d))
    return Mixture(name, d, nothing, nothing, (1, 1, rho), quantiles)


def classes(d: int, k: int, within: tuple[float, float, float], *, moved: bool) -> Mixture:
    """Make classes with means of deviation 1. moved: each published class lies where another one was."""
    means = np.random.default_rng([d, k]).standard_normal((k, d))
    where = f"{k} classes of spread {within[0]:g} and {within[1]:g}" + ", each in another's place" * moved
    return Mixture(where, d, means, np.roll(means, 1, axis=0) if moved else means, within, np.ones(k))


@dataclass(frozen=True, eq=False)
class Rectified:
    """max(0, s) and max(0, y) of correlated normals, along one vector: half of each side are zeros."""

    d: int
    rho: float
    nodes: Doubles = field(default_factory=lambda: norm.ppf((np.arange(500) + 0.5) / 500), repr=False)

    @property
    def name(self) -> str:
        return f"ReLU of normals, half zeros, rho {self.rho:g}"

    def draw(self, n: int, rng: np.random.Generator) -> Pair:
        s, e = rng.standard_normal((2, n, 1))
        along = np.random.default_rng(self.d).standard_normal((1, self.d))
        y = self.rho * s + np.sqrt(1 - self.rho**2) * e
        return np.maximum(s, 0) @ along, np.maximum(y, 0) @ along

    def told(self, theta: Doubles, sigma: float) -> tuple[float, float]:
        """Integrate the densities of the noisy side on a grid; all slices are alike."""
        noise, rest = sigma * np.sqrt(0.5 - 1 / (2 * np.pi)), np.sqrt(1 - self.rho**2)  # that of max(0, s)
        u, step = np.linspace(-2, 6, 800, retstep=True)

        def density(s: Doubles) -> Doubles:
            """Of u, mean over normals s (m,)."""
            found: Doubles = np.exp(_log_density(u[:, None], np.maximum(s, 0), noise)).mean(axis=1)
            return np.maximum(found, 1e-300)

        of_u, s_given = density(self.nodes), lambda y: self.rho * y + rest * self.nodes
        positive, negative = np.split(self.nodes[::-1], 2)
        seen = [density(s_given(y)) for y in positive]  # where y < 0 that side is 0, whatever y is
        seen += [density(s_given(negative[::7, None])[:, ::7].ravel())] * len(negative)
        told = np.mean([(p * np.log(p / of_u)).sum() * step for p in seen])
        return float(told), float(-(of_u * np.log(of_u)).sum() * step - norm.entropy(scale=noise))


Family = Mixture | Rectified


def _log_density(x: Doubles, mean: Doubles, deviation: Doubles | float) -> Doubles:
    """Of normals."""
    found: Doubles = -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    return found
