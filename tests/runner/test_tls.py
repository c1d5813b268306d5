"""The documented example of TLS: certificates made on the spot, and nobody without them is let in."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.experiment.registry import HOME
from bench.runner.request import Machine
from support.commands import command, rows_of
from support.pictures import draw_images
from support.runs import wait_for

RECIPE = Path(__file__).parents[2] / "docs" / "running.md"
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates by openssl")


def documented() -> list[list[str]]:
    """The commands between the lines that name openssl and bench run."""
    (block,) = re.findall(r"```sh\n(openssl req.*?)```", RECIPE.read_text(encoding="utf-8"), re.S)
    return [shlex.split(line) for line in block.strip().splitlines()]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[list[str]], psutil.Popen]]:
    running: list[psutil.Popen] = []

    def start(argv: list[str]) -> psutil.Popen:
        with (tmp_path / f"{len(running)}.log").open("wb") as log:
            env = os.environ | {"PYTHONPATH": str(HOME), "CUDA_VISIBLE_DEVICES": ""}
            running.append(psutil.Popen(argv, cwd=tmp_path, stdout=log, stderr=log, env=env))
        return running[-1]

    yield start
    for process in running:
        for child in (*process.children(recursive=True), process):
            child.kill()
        process.wait()


def listening(process: psutil.Popen) -> set[str]:
    """Where it takes connections."""
    found = process.net_connections("inet")
    return {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}


def test_a_grid_over_tls(
    tmp_path: Path, begin: Callable[[list[str]], psutil.Popen], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    made, scheduler, worker, run = documented()
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    at = scheduler.index("--port")
    file = tmp_path / "scheduler.json"
    first = begin(
        [sys.executable, *scheduler[1:at], "--port", "0", *scheduler[at + 2 :], "--scheduler-file", str(file)]
    )
    wait_for(lambda: file.exists() and file.read_text().endswith("\n}"), 120)
    address = json.loads(file.read_text())["address"]
    assert address.startswith("tls://127.0.0.1:") and listening(first) == {"127.0.0.1"}
    place = ["--local-directory", str(tmp_path / "local")]
    begin([sys.executable, *(address if part.startswith("tls://") else part for part in worker[1:]), *place])
    draw_images(tmp_path / "quad")
    asked = command(tmp_path, "clean", "none", "--scheduler", address)
    at = asked.index("--workers")
    asked = asked[:at] + asked[at + 2 :]
    tls = [part for part in run if part.startswith("--tls-") or part.endswith(".pem")]
    files = [str(tmp_path / part) if part.endswith(".pem") else part for part in tls]
    assert main([*asked, *files]) == 0
    assert rows_of(tmp_path)["clean", "none"].status == "ok"
    assert main(asked) == 2  # without certificates
    assert "--scheduler tls://" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tls_ca_file": "a"}, "--tls-cert and --tls-key is not there"),
        ({"tls_ca_file": "a", "tls_cert": "b", "tls_key": "c"}, "expected tls://HOST:PORT"),
        ({"tls_ca_file": "a", "tls_cert": "b", "tls_key": "c", "scheduler": "tls://a:1"}, "a is no file"),
    ],
)
def test_half_of_the_files_are_refused(given: dict[str, str], says: str) -> None:
    whole = {name: value if name == "scheduler" else Path(value) for name, value in given.items()}
    with pytest.raises(BadInput, match=says):
        _ = Machine(**whole).tls  # type: ignore[arg-type]
