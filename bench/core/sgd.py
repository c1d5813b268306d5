"""torch's SGD without torch.optim.Optimizer, whose first use loads torch's compiler, a second or two long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd


class SGD:
    """What Trainer uses of torch.optim.SGD(fused=True), by the same function and with the same state."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float | Tensor, **rest: Any) -> None:
        """rest: what torch's function sgd takes besides."""
        self.params = list(params)
        self.momenta: list[Tensor | None] = [None] * len(self.params)
        self.param_groups: list[dict[str, Any]] = [{"lr": lr}]
        self.rest = {"dampening": 0.0, "maximize": False, "fused": True} | rest

    def zero_grad(self, *, set_to_none: bool) -> None:
        assert set_to_none
        for param in self.params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        used = [i for i, param in enumerate(self.params) if param.grad is not None]
        momenta = [self.momenta[i] for i in used]
        grads = [grad for param in self.params if (grad := param.grad) is not None]
        sgd([self.params[i] for i in used], grads, momenta, lr=self.param_groups[0]["lr"], **self.rest)
        for i, momentum in zip(used, momenta, strict=True):
            self.momenta[i] = momentum

    def state_dict(self) -> dict[str, Any]:
        return {"state": {i: {"momentum_buffer": m} for i, m in enumerate(self.momenta) if m is not None}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.momenta = [None] * len(self.params)
        for i, own in state["state"].items():
            momentum = own["momentum_buffer"]
            self.momenta[i] = None if momentum is None else momentum.to(self.params[i])
