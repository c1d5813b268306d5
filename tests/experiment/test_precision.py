"""precision=auto: what it comes to, and that a row and its command say so."""

from __future__ import annotations

import pytest
import torch

from bench.experiment import device as place
from bench.experiment.device import agreement, decided, has_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_was_asked_for_stays(asked: str) -> None:
    assert decided(asked, CPU) == asked  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("instructions", "cosine", "expected"), [(True, 0.99, "bf16"), (True, 0.2, "fp32"), (False, 0.99, "fp32")]
)
def test_auto_takes_bf16_where_it_is_there_and_right(
    instructions: bool, cosine: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "has_bf16", lambda device: instructions)
    monkeypatch.setattr(place, "agreement", lambda device: cosine)
    assert decided("auto", CPU) == expected


def test_processor_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, expected in (
        ({"avx512_bf16": True}, True),
        ({"avx512_bf16": False, "avx2": True}, False),
        ({}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able, raising=False)
        assert has_bf16(CPU) is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_bf16(CPU)


def test_agreement_sees_a_kernel_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert agreement(CPU) >= place.AGREEING
    build = place.build

    def broken(name: str, **how: object) -> torch.nn.Module:
        net = build(name, **how)  # type: ignore[arg-type]
        return torch.nn.Sequential(net, torch.nn.Softmax(1)) if how["precision"] == "bf16" else net

    monkeypatch.setattr(place, "build", broken)
    assert agreement(CPU) < place.AGREEING
