"""What a library's error means where the installation is at fault: one sentence on what to install."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

INDEX = "https://download.pytorch.org/whl"  # of torch's builds: cpu, cu126, cu128
OLDER = "https://pytorch.org/get-started/previous-versions"


def explained(said: str) -> str | None:
    """Say what to install where an error's text tells of another build, an old driver or no compiler."""
    if re.search(r"operator torchvision::|torchvision\S*_C\.|PyTorch and torchvision were compiled", said):
        ours = f"torch torchvision --index-url {INDEX}/{_build()}"
        return (
            f"torchvision {_version('torchvision')} is of another build than torch {_torch()}: install both "
            f"from one place, with pip install --force-reinstall {ours}"
        )
    if found := re.search(r"driver on your system is too old(?: \(found version (\d+)\))?", said):
        major, minor = divmod(int(found[1] or 0) // 10, 100)  # 11040 is CUDA 11.4
        ours = f"driver (for CUDA {major}.{minor})" if found[1] else "driver"
        return (
            f"the NVIDIA {ours} is too old for torch {_torch()}: update it, or install torch and torchvision "
            f"of an older CUDA ({OLDER})"
        )
    if "no kernel image is available" in said:
        return (
            f"torch {_torch()} was not built for this GPU: install torch and torchvision of a CUDA that "
            f"has it ({OLDER})"
        )
    if re.search(r"Failed to find C compiler|No working C(\+\+)? compiler|InvalidCxxCompiler", said):
        return (
            "torch.compile finds no C++ compiler: install one (apt-get install g++), or leave torch.compile "
            "out, which nothing of the suite uses"
        )
    return None


def _torch() -> str:
    import torch

    return str(torch.__version__)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "(of no known version)"


def _build() -> str:
    """Name torch's build as its index does."""
    import torch

    return "cpu" if torch.version.cuda is None else f"cu{torch.version.cuda.replace('.', '')}"
