"""What holds on a CPU holds on a GPU: equal bits, budgets, resuming; and the host waits for no batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.cli.main import main
from bench.core import cuda_graphs
from bench.core.checkpoint import Checkpoint, OutOfTime
from bench.core.contract import check_delta
from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.method import Lab
from bench.core.train import Point, Streams, fit
from bench.core.types import Dataset
from bench.experiment.device import has_bf16, set_up
from bench.experiment.registry import Plugin
from bench.nets import Net, build
from support.commands import command
from support.pictures import draw_images
from support.runs import rows_in
from support.toys import (
    CLASSES,
    DEFENSES,
    RECIPE,
    SIZE,
    equal_weights,
    killed_at_every_save,
    toy_dataset,
    toy_kit,
    toy_split,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:.*synchroniz.*"),  # the mode that looks for it says so
]
GPU = torch.device("cuda")
STEADY = ["none", "cutout", "at-8", "coin", "noise8", "rsk", "rsk-dct30", "cutmix", "mixup", "op-none"]


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    set_up(GPU, 1)
    yield
    torch.cuda.set_sync_debug_mode("default")
    torch.use_deterministic_algorithms(False)


def net_of(seed: int, precision: str = "fp32") -> Net:
    return build("small", channels=3, classes=CLASSES, size=SIZE, precision=precision, seed=seed, device=GPU)


def crafted(method: Plugin, checkpoint: Checkpoint) -> Tensor:
    data = toy_dataset().to(GPU)
    lab = Lab(CLASSES, data.augmentation, data.val, net_of, seed=1, checkpoint=checkpoint)
    delta: Tensor = method.value.craft(data.train, lab)
    return delta


def test_a_method_crafts_the_same_twice_and_after_kills(method: Plugin, tmp_path: Path) -> None:
    data = toy_dataset()
    once = crafted(method, Checkpoint())
    check_delta(once.cpu(), data.train.images, method.value.threat, method.name)
    again, _ = killed_at_every_save(lambda kept: crafted(method, kept), tmp_path / "craft")
    assert torch.equal(once, again)


def test_a_method_crafts_the_same_without_replays(method: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "EAGER", 1)  # of few steps most are replays
    replayed = crafted(method, Checkpoint())
    monkeypatch.setattr(cuda_graphs, "EAGER", 10**6)
    assert torch.equal(replayed, crafted(method, Checkpoint()))


def kit_of(value: Undefended, data: Dataset, precision: str) -> Kit:
    """What a defense says that it uses, on the GPU."""
    kit = toy_kit(value, data.train)
    kit.val, kit.build = data.val, partial(net_of, precision=precision)
    kit.reference = kit.reference and kit.reference.to(GPU)
    return kit


def victim(defense: Plugin, precision: str = "fp32", checkpoint: Checkpoint | None = None) -> Net:
    """Every hook, as in a cell."""
    value, net, data = defense.value, net_of(0, precision), toy_dataset().to(GPU)
    kit, lent = kit_of(value, data, precision), data.train.clone()
    shown = replace(data.train, images=value.purify(lent.images, lent.labels, kit))
    kit.checkpoint = checkpoint.part("defense") if checkpoint else kit.checkpoint
    streams, recipe = Streams.of(1, 2, GPU), replace(value.recipe(RECIPE), epochs=4, clip=0.5)
    value.begin(net, shown, kit)
    fit(net, shown, recipe, streams, data.augmentation, defense=value, checkpoint=checkpoint)
    value.finish(net, shown, kit)
    return net


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_victim_is_the_same_twice(defense: Plugin, precision: str) -> None:
    assert equal_weights(victim(defense, precision), victim(defense, precision))


def test_a_victim_is_the_same_after_kills(defense: Plugin, tmp_path: Path) -> None:
    again, kills = killed_at_every_save(lambda kept: victim(defense, checkpoint=kept), tmp_path / "victim")
    assert kills > 5 and equal_weights(again, victim(defense))


class StopAt(Checkpoint):
    """Ends the work at its save number `at`, which is its first."""

    def __init__(self, path: Path, at: int) -> None:
        super().__init__(path, seconds=1e9, device="cuda")
        self.left = at

    def due(self) -> bool:
        self.left -= 1
        return self._late()

    def _late(self) -> bool:
        return self.left == 0


@pytest.mark.parametrize("at", [3, 7])
def test_a_resumed_victim_is_recorded_anew(defense: Plugin, at: int, tmp_path: Path) -> None:
    """Before and after the first attempt recorded anything."""
    path = tmp_path / "victim"
    with pytest.raises(OutOfTime):
        victim(defense, checkpoint=StopAt(path, at))
    again = victim(defense, checkpoint=Checkpoint(path, seconds=1e9, device="cuda"))
    assert equal_weights(again, victim(defense))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_second_gpu_trains_as_the_first() -> None:
    nets = []
    for device in (torch.device("cuda", 0), torch.device("cuda", 1)):
        set_up(device, 1)
        data = toy_dataset().to(device)
        net = build("small", channels=3, classes=CLASSES, size=SIZE, precision="fp32", seed=0, device=device)
        fit(net, data.train, replace(RECIPE, epochs=4), Streams.of(1, 2, device), data.augmentation)
        nets.append(net.cpu())
    assert equal_weights(*nets)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_replayed_step_is_the_step(
    defense: Plugin, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = victim(defense, precision)
    monkeypatch.setattr(cuda_graphs, "EAGER", 10**6)
    assert equal_weights(replayed, victim(defense, precision))


@pytest.mark.parametrize("name", [*STEADY, "iss-gray"])
def test_what_can_be_is_replayed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = []
    record = cuda_graphs.Replay._record
    monkeypatch.setattr(
        cuda_graphs.Replay, "_record", lambda self, given: recorded.append(given) or record(self, given)
    )
    victim(DEFENSES[name])
    assert len(recorded) == 2  # a full batch and the last one


@pytest.mark.parametrize("name", STEADY)
def test_the_host_waits_for_no_batch(name: str) -> None:
    """But once an epoch, for its order, and where a point of the curve is measured."""

    def strict(share: float, what: str) -> None:
        torch.cuda.set_sync_debug_mode("error")

    def at_ease(net: object, epoch: int) -> Point | None:
        torch.cuda.set_sync_debug_mode("default")
        return None

    data = toy_split(240, 0).to(GPU)
    fit(
        net_of(0, "bf16"),
        data,
        RECIPE,
        Streams.of(1, 2, GPU),
        toy_dataset().augmentation,
        defense=DEFENSES[name].value,
        measure=at_ease,
        tick=strict,
    )
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(RuntimeError, match="synchroniz"):
        data.labels.sum().item()


def test_rows_are_those_of_any_number_of_workers(tmp_path: Path) -> None:
    rows = []
    for workers in ("1", "2"):
        place = tmp_path / workers
        draw_images(place / "quad")
        argv = command(place, "clean,em,tap,mi-ue", "none,at-8,uer")
        assert main([*argv, "--device", "cuda", "--workers", workers]) == 0
        rows.append(rows_in(place / "out"))
    assert len(rows[0]) == 12 and rows[0] == rows[1]
    assert all('"status": "ok"' in row for row in rows[0].values())


def test_bf16_is_there() -> None:
    assert has_bf16(GPU)
