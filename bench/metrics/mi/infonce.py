"""infonce: a lower bound of I(Z; Z' + sigma N), from a critic that tells pairs from mismatched ones.

van den Oord et al., arXiv 1807.03748. The critic is separable: what would be right for Gaussian codes
(canonical correlations, as gauss-cca), its weights free, plus f(z).g(z') of two small nets. It learns on
half of the images with fresh noise at each step and stops where a tenth does not get better. The bound
is that of the rest, whose number n' caps it: it can never say more than log n' nats, and is too small
long before (McAllester & Stratos, AISTATS 2020). A critic that gains nothing on that tenth says 0.

The interval is that of a mean over held-out images, for this critic. The null, of a critic that learned
permuted pairs, is stated and not subtracted: a lower bound would not be one any more.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from scipy.special import ndtri
from torch import Generator, Tensor, nn

from bench.core.rng import generator, global_rng, seed_for
from bench.metrics.mi.estimate import LEVEL, Estimate, begin
from bench.metrics.mi.gauss_cca import canonical
from bench.metrics.mi.ksg import Floats
from bench.metrics.mi.limits import SIGMA
from bench.metrics.mi.pca_code import codes

NAME = "infonce"
SHARES = 0.5, 0.1  # of the images: to learn from, to stop by; the rest is held out
WIDTH, EMBEDDING = 64, 32
BATCH = 256
EPOCHS = 20  # at most
PATIENCE = 5  # epochs without getting better
LR = 2e-3


def infonce(clean: Floats, published: Floats, seed: int, sigma: float = SIGMA) -> Estimate:
    """Of features (n,d) of the same images, nats."""
    begun = begin(NAME, clean, published)
    x, y = (torch.from_numpy(side).float() for side in codes(NAME, clean, published))
    terms = held_out(x, y, sigma, seed_for(seed, NAME))
    order = torch.randperm(len(y), generator=generator(seed_for(seed, NAME, "permutation")))
    null = float(held_out(x, y[order], sigma, seed_for(seed, NAME, "null")).mean())
    reach = float(ndtri((1 + LEVEL) / 2) * terms.std() / math.sqrt(len(terms)))
    said = {"sigma": sigma, "cap": round(math.log(len(terms)), 3), "held_out": len(terms)}
    value = max(float(terms.mean()), 0.0)  # a bound below 0 says less than that there is none
    return begun.end(value, reach, null, x.shape[1], said)


def held_out(x: Tensor, y: Tensor, sigma: float, seed: int) -> Tensor:
    """Terms (n',) of the bound, of images that the critic has not seen; codes (n,r)."""
    rng = generator(seed)
    order, sizes = torch.randperm(len(x), generator=rng), [int(share * len(x)) for share in SHARES]
    learn, stop, rest = order.split([*sizes, len(x) - sum(sizes)])
    noisy = y + sigma * torch.randn(y.shape, generator=rng)
    x, noisy, y = x - x[learn].mean(dim=0), noisy - y[learn].mean(dim=0), y - y[learn].mean(dim=0)
    critic = _begin(x[learn], y[learn], sigma, rng)
    gained = _learn(critic, (x[learn], y[learn]), (x[stop], noisy[stop]), sigma, rng)
    with torch.no_grad():
        terms = _terms(critic(x[rest], noisy[rest])).double()
    return terms if gained else torch.zeros_like(terms)


class _Critic(nn.Module):
    """Scores (n,n) of every x with every y."""

    def __init__(self, a: Tensor, b: Tensor, rho: Tensor) -> None:
        super().__init__()
        self.a, self.b = a, b  # canonical directions (r,r), which stay
        # What tells pairs of correlation rho from mismatched ones; what depends on x alone tells nothing.
        self.product = nn.Parameter(rho / (1 - rho**2))
        self.square = nn.Parameter(-(rho**2) / (1 - rho**2) / 2)
        self.f, self.g = _net(len(rho)), _net(len(rho))
        for last in self.g[-1].parameters():
            nn.init.zeros_(last)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        u, v = x @ self.a, y @ self.b
        scores: Tensor = (self.product * u) @ v.T + v**2 @ self.square + self.f(u) @ self.g(v).T
        return scores


def _net(r: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(r, WIDTH), nn.GELU(), nn.Linear(WIDTH, EMBEDDING))


def _begin(x: Tensor, y: Tensor, sigma: float, rng: Generator) -> _Critic:
    a, rho, b = canonical(x.double().numpy(), y.double().numpy(), sigma)
    found = (torch.from_numpy(np.ascontiguousarray(part)).float() for part in (a, b, rho.clip(0, 0.999)))
    with global_rng(rng):
        return _Critic(*found)


def _terms(scores: Tensor) -> Tensor:
    """Of the bound, one for each row: how much more its own pair scores than all its pairs do."""
    return scores.diagonal() - scores.logsumexp(dim=1) + math.log(len(scores))


def _learn(
    critic: _Critic, learn: tuple[Tensor, Tensor], stop: tuple[Tensor, Tensor], sigma: float, rng: Generator
) -> bool:
    """Train in place; whether the critic gains anything on the images to stop by."""
    optimizer = torch.optim.AdamW(critic.parameters(), lr=LR, weight_decay=1e-2)
    best, most, waited = copy.deepcopy(critic.state_dict()), _bound(critic, *stop), 0
    for _ in range(EPOCHS):
        for part in torch.randperm(len(learn[0]), generator=rng).split(BATCH):
            x, y = (side[part] for side in learn)
            loss = -_terms(critic(x, y + sigma * torch.randn(y.shape, generator=rng))).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        found = _bound(critic, *stop)
        waited = 0 if found > most else waited + 1
        if found > most:
            best, most = copy.deepcopy(critic.state_dict()), found
        if waited == PATIENCE:
            break
    critic.load_state_dict(best)
    return most > 0


@torch.no_grad()
def _bound(critic: _Critic, x: Tensor, y: Tensor) -> float:
    return float(_terms(critic(x, y)).mean())
