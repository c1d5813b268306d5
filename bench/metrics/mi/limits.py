"""Where each estimator is right: what `mi-check` tests, and outside of which no number is given.

An estimator that is no longer right is one that gives too little: each of them then says "at least".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """What the certificate covers."""

    images: int  # with fewer there is nothing to say
    most: float  # above it, a bound; nats, and 1 of CKA
    per_dimension: int = 0  # images for each dimension of the code; with fewer, a bound


CERTIFIED = {
    "smi-noisy": Range(images=200, most=1.0),
    "smi-hist": Range(images=500, most=0.5),
    "gauss-cca": Range(images=200, most=12.0, per_dimension=100),
    "infonce": Range(images=2000, most=2.5, per_dimension=100),
    "cka": Range(images=200, most=1.0),
}
STILL_GROWS = 0.03  # nats for each e-fold of images from which on smi-noisy is but a bound
NEARLY_ONE = 0.999  # a canonical correlation from which on its MI is not told from infinite
SIGMA = 1.0  # of noise on the published code, which makes MI finite; in standard deviations of clean there
