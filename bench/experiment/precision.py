"""precision=auto: bfloat16 where the processor has instructions for it and computes the same, else float32.

What decides is what the machine is, not how fast it was just now: a run that is taken up again must
decide alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from bench.core.rng import generator
from bench.experiment.settings import Precision
from bench.nets import build

INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # without any, bfloat16 is slower than float32
AGREEING = 0.95  # least cosine of one batch's gradients in the two precisions; 0.988 where all is well


def decided(asked: Precision, device: torch.device) -> Precision:
    """fp32 or bf16 for what was asked."""
    if asked != "auto":
        return asked
    return "bf16" if has_bf16(device) and agreement(device) >= AGREEING else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every version
    return device.type == "cpu" and any(able.get(name) for name in INSTRUCTIONS)


def agreement(device: torch.device) -> float:
    """The cosine between a small net's weight gradients in the two precisions."""
    x = torch.rand(64, 3, 32, 32, generator=generator(0)).to(device)
    y = (torch.arange(64) % 10).to(device)
    found = []
    for precision in ("fp32", "bf16"):
        net = build("small", channels=3, classes=10, size=32, precision=precision, seed=0, device=device)
        gradients = torch.autograd.grad(F.cross_entropy(net(x), y), [*net.parameters()])
        found.append(torch.cat([g.flatten() for g in gradients]))
    return float(F.cosine_similarity(found[0], found[1], dim=0))
