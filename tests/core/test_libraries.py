"""Where an installation is at fault, one sentence says what to install."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from bench.core.errors import BadInput
from bench.core.libraries import explained
from bench.experiment.device import device_of
from bench.experiment.registry import HOME

OLD = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update "
    "your GPU driver by downloading and installing a new version from the URL: http://www.nvidia.com/"
)
SAID = {
    "operator torchvision::nms does not exist": "is of another build than torch",
    "/venv/torchvision/_C.so: undefined symbol: _ZN3c10": "install both from one place",
    "Detected that PyTorch and torchvision were compiled with different CUDA major versions.": "--index-url",
    OLD: "driver (for CUDA 11.4) is too old",
    "CUDA error: no kernel image is available for execution on the device": "was not built for this GPU",
    "InductorError: RuntimeError: Failed to find C compiler. Please specify via CC": "apt-get install g++",
}


@pytest.mark.parametrize(("said", "meant"), SAID.items())
def test_a_fault_of_the_installation_is_one_sentence(said: str, meant: str) -> None:
    found = explained(said)
    assert found and meant in found and "\n" not in found


def test_other_errors_are_left_as_they_are() -> None:
    assert explained("CUDA error: device-side assert triggered") is None
    assert explained("No module named 'torchvision'") is None


def test_a_run_beside_a_torchvision_of_another_build_says_so(tmp_path: Path) -> None:
    """As a user meets it: the package breaks as it is imported."""
    code = (
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'torchvision':\n"
        "            raise RuntimeError('operator torchvision::nms does not exist')\n"
        f"sys.meta_path.insert(0, Broken()); sys.path.insert(0, {str(HOME)!r})\n"
        "from bench.cli.main import main\n"
    )
    asked = [
        "run",
        "--methods",
        "clean",
        "--defenses",
        "none",
        "--net",
        "resnet18",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit(main({asked}))"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("bench: torchvision ") and "install both from one place" in done.stderr


def test_a_gpu_that_torch_cannot_use_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable() -> bool:
        warnings.warn(OLD, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    assert device_of("auto").type == "cpu"
    said = capsys.readouterr().err
    assert said.startswith("bench: computing on the CPU, since the NVIDIA driver") and said.count("\n") == 1


def test_a_gpu_that_is_asked_for_and_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*size: int, device: torch.device) -> torch.Tensor:
        raise RuntimeError(OLD.removeprefix("CUDA initialization: "))

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(BadInput, match=r"--device cuda: the NVIDIA driver .* is too old"):
        device_of("cuda")
