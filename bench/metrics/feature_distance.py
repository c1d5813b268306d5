"""How far the perturbation moves an image in the net's features: the plainest rival of all."""

from __future__ import annotations

import numpy as np

from bench.metrics import Subject, Value
from bench.metrics.inputs import both


def feature_distance(subject: Subject) -> dict[str, Value]:
    """`value`: mean L2 distance of clean to published, in units of the clean features' spread.

    The spread is the root of the trace of their covariance, which is how far an image lies from the
    mean image; so two clean images are about 1.4 apart. `cosine` is the mean over images of which
    neither feature is all zeros; None where there are none.
    """
    clean, published = both(subject, "feature-distance")
    spread = np.sqrt(clean.var(axis=0).sum())
    norms = np.linalg.norm(clean, axis=1) * np.linalg.norm(published, axis=1)
    known = norms > 0
    cosine = (clean * published).sum(axis=1)[known] / norms[known]
    return {
        "value": float(np.linalg.norm(published - clean, axis=1).mean() / spread),
        "cosine": float(cosine.mean()) if known.any() else None,
        "n": len(clean),
        "d": clean.shape[1],
    }
