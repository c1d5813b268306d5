"""Small runs of metrics: of a noisy poison, and of one whose features are nearly the clean ones."""

from __future__ import annotations

import torch

from bench.metrics import Subject, measure
from golden.inputs import CLASSES, LABELS, hashed, normal, split
from golden.numbers import Numbers

IMAGES = 520  # more than a batch of 500
NEEDED = {"infonce": 2000}  # least images of a metric that wants more
ASIDE = ("seconds",)
TOLERANCES = {"infonce": 0.003, "separability": 0.02}  # of what is trained; of others 1e-5
SUBJECTS = {"noisy": 0.9, "nearly clean": 0.02}  # deviation of the noise on published features


def subject(n: int, noise: float) -> Subject:
    """Features of eight dimensions that tell the class; a delta that tells it, among noise."""
    images, labels = split(n, 1, size=8).images, LABELS.repeat(-(-n // len(LABELS)))[:n]
    own = (hashed(3 * 3 * 64, 2).view(3, 3, 8, 8) % 3 - 1)[labels]
    delta = own + (hashed(images.numel(), 3).view(images.shape) % 17 - 8)
    scales = torch.tensor([3, 2, 1, 1, 0.5, 0.3, 0.1, 0.1])  # the last are below a hundredth of the variance
    clean = normal((n, 8), 4) * scales + 2 * torch.eye(8)[labels]
    return Subject(
        clean=images,
        published=(images.to(torch.int64) + delta).clamp(0, 255).to(torch.uint8),
        labels=labels,
        classes=len(CLASSES),
        clean_features=clean,
        published_features=0.7 * clean + noise * normal((n, 8), 5),
        seed=4,
    )


def metric(name: str) -> Numbers:
    """Of all that it says."""
    numbers, tolerance = Numbers(), TOLERANCES.get(name, 1e-5)
    for what, noise in SUBJECTS.items():
        found = measure(name)(subject(NEEDED.get(name, IMAGES), noise))
        for figure, value in found.items():
            if figure not in ASIDE:
                numbers.add(f"{figure} of {what} features", value, tolerance)
    return numbers
