"""Record a step's GPU kernels once and launch them together ever after: a small net's step is hundreds."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import torch
from torch import Generator, Tensor

EAGER = 3  # calls before the recording, in which libraries set themselves up

Shapes = tuple[torch.Size, ...]


class Replay:
    """Calls work(*tensors); on a GPU it records the call for each combination of shapes and replays it.

    work: the same operations in the same order at every call, in which the host waits for no value and
    decides by none; nets are in the same mode. It changes tensors that stay in place, and returns nothing.
    rngs: all that it draws from.
    """

    def __init__(self, work: Callable[..., None], rngs: tuple[Generator, ...] = ()) -> None:
        self.work, self.rngs = work, rngs
        self.seen: Counter[Shapes] = Counter()
        self.recorded: dict[Shapes, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]] = {}

    def __call__(self, *given: Tensor) -> None:
        if given[0].device.type != "cuda":
            return self.work(*given)
        shapes = tuple(tensor.shape for tensor in given)
        self.seen[shapes] += 1
        with torch.cuda.device(given[0].device):  # streams and recordings are of the current device
            if self.seen[shapes] <= EAGER:
                return self._aside(given)
            if shapes not in self.recorded:
                self.recorded[shapes] = self._record(given)
            graph, held = self.recorded[shapes]
            for place, tensor in zip(held, given, strict=True):
                place.copy_(tensor)
            return graph.replay()

    def _aside(self, given: tuple[Tensor, ...]) -> None:
        """On a stream of its own, so that nothing of what is made first is tied to the default one."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self.work(*given)
        torch.cuda.current_stream().wait_stream(side)

    def _record(self, given: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
        """Nothing is computed yet: that is the replay's. A recording of nothing is an error."""
        held, graph = tuple(tensor.clone() for tensor in given), torch.cuda.CUDAGraph()
        for rng in self.rngs:
            graph.register_generator_state(rng)
        stream = torch.cuda.Stream()  # torch's own for recordings stays on the first device that had one
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*graph is empty.*")
            with torch.cuda.graph(graph, stream=stream):
                self.work(*held)
        return graph, held
