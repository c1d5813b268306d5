"""Jointly Gaussian features of which everything that our estimators claim to measure is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.metrics.mi.ksg import Doubles
from bench.metrics.mi.limits import SIGMA


@dataclass(frozen=True)
class Gaussians:
    """x = W s and y = W (gain s + rest e) in d dimensions; s, e independent standard normals (rank,)."""

    d: int
    rank: int
    nats: float  # I(Z; Z' + SIGMA N) of all dimensions in a code, about; exact() is what it is

    @cached_property
    def mixing(self) -> Doubles:
        """W as rows (rank,d): scaled orthogonal axes, as features that a PCA must find."""
        axes, _ = np.linalg.qr(
            np.random.default_rng([self.d, self.rank]).standard_normal((self.d, self.rank))
        )
        found: Doubles = np.linspace(2, 1, self.rank)[:, None] * axes.T
        return found

    @property
    def whitening(self) -> Doubles:
        """The code (d,rank) that endlessly many images would give, up to a rotation."""
        found: Doubles = np.asarray(np.linalg.pinv(self.mixing), np.float64)
        return found

    @cached_property
    def weights(self) -> tuple[float, float]:
        """gain, rest: together of variance 1 or, where the nats ask for more, of more."""
        squared = 1 - np.exp(-2 * self.nats / self.rank)  # correlation with what the noise leaves
        whole = max(1.0, 1.2 * SIGMA**2 * squared / (1 - squared))
        gain = squared * (whole + SIGMA**2)
        return float(np.sqrt(gain)), float(np.sqrt(whole - gain))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        """Features (n,d) of n images, clean and published."""
        (gain, rest), (s, e) = self.weights, rng.standard_normal((2, n, self.rank))
        return s @ self.mixing, (gain * s + rest * e) @ self.mixing

    @property
    def covariances(self) -> tuple[Doubles, Doubles, Doubles]:
        """Of x, of y, and of x with y."""
        (gain, rest), of_x = self.weights, self.mixing.T @ self.mixing
        return of_x, (gain**2 + rest**2) * of_x, gain * of_x

    def sliced(self, code: Doubles, theta: Doubles, phi: Doubles) -> float:
        """Mean over slices (slices,r) of the code (d,r): -1/2 log(1 - rho^2), nats."""
        of_x, of_y, both = self.covariances
        a, b = theta @ code.T, phi @ code.T
        shared = np.sum((a @ both) * b, axis=1) ** 2
        rho2 = shared / (np.sum((a @ of_x) * a, axis=1) * np.sum((b @ of_y) * b, axis=1))
        return float(-0.5 * np.log1p(-rho2).mean())

    def exact(self, code: Doubles, sigma: float = SIGMA) -> float:
        """I(Z; Z' + sigma N) of the code (d,r), nats: half of log det x + log det y - log det both."""
        x, y, both = (code.T @ covariance @ code for covariance in self.covariances)
        y = y + sigma**2 * np.eye(len(y))
        joint = np.block([[x, both], [both.T, y]])
        return float(sum(sign * np.linalg.slogdet(m)[1] for m, sign in ((x, 0.5), (y, 0.5), (joint, -0.5))))

    def alignment(self) -> float:
        """Linear CKA of infinitely many images."""
        of_x, of_y, both = (float((covariance**2).sum()) for covariance in self.covariances)
        return both / float(np.sqrt(of_x * of_y))
