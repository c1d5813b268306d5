"""Convolutions whose weight gradient is one matrix product where that is faster on a CPU.

oneDNN's own kernel for that gradient is slow on the small maps deep in a net, most of all in bfloat16.
The product of the output's gradient and the unfolded input is the same sum in another order.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

# Output channels for each output pixel from which the product is faster. In bfloat16 that is 4 with AMX (1.1
# to 9 times as fast); with AVX-512 alone (AMD EPYC) ResNet-18's step from 4 on was 0.95 times as
# fast as with oneDNN's own kernel, from 8 on as fast.
ABLE: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every version
WORTH = {torch.float32: 32.0, torch.bfloat16: 4.0 if ABLE.get("amx_bf16", True) else 8.0}


class Conv2d(nn.Conv2d):
    """nn.Conv2d, up to rounding. One group, no bias, no dilation, padded with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        stride, padding = self.stride[0], int(self.padding[0])
        across = (x.shape[2] + 2 * padding - self.kernel_size[0]) // stride + 1
        down = (x.shape[3] + 2 * padding - self.kernel_size[1]) // stride + 1
        worth = self.out_channels >= across * down * WORTH.get(x.dtype, torch.inf)
        if not worth or x.device.type != "cpu" or not self.weight.requires_grad or self.bias is not None:
            return super().forward(x)
        y: Tensor = _Product.apply(x, self.weight.to(x.dtype), stride, padding)  # type: ignore[no-untyped-call]
        return y


def suits(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether Conv2d can stand for this layer."""
    if type(layer) is not nn.Conv2d or layer.bias is not None or layer.groups != 1:
        return False
    square = all(len({*pair}) == 1 for pair in (layer.stride, layer.padding, layer.kernel_size))
    return square and layer.dilation == (1, 1) and layer.padding_mode == "zeros"


def swap(module: nn.Module) -> None:
    """Replace every convolution that Conv2d can stand for; weights stay as they are."""
    for name, child in module.named_children():
        if suits(child):
            shape = child.in_channels, child.out_channels, child.kernel_size, child.stride, child.padding
            new = Conv2d(*shape, bias=False, device="meta")  # type: ignore[arg-type]  # pairs; draws nothing
            new.weight = child.weight
            setattr(module, name, new)
        swap(child)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = conv2d_input(x.shape, weight, grad, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            out, into, kernel, _ = weight.shape
            rows = grad.permute(0, 2, 3, 1).reshape(-1, out)
            product = rows.t() @ unfold(x, kernel, ctx.stride, ctx.padding)
            to_weight = product.view(out, kernel, kernel, into).permute(0, 3, 1, 2)
        return to_x, to_weight, None, None


def unfold(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """(B,C,H,W) -> (B x output pixels, kernel x kernel x C): what each output pixel sees."""
    x = F.pad(x, (padding,) * 4).permute(0, 2, 3, 1).contiguous()
    b, h, w, c = x.shape
    size = (b, (h - kernel) // stride + 1, (w - kernel) // stride + 1, kernel, kernel, c)
    image, row, pixel, value = x.stride()
    seen = x.as_strided(size, (image, row * stride, pixel * stride, row, pixel, value))
    return seen.reshape(-1, kernel * kernel * c)
