"""Plugins cannot move each other, and what they are is in keys."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from bench.core.contract import check_delta
from bench.core.defense import Undefended, check_augmented, check_prepared
from bench.core.errors import BadInput
from bench.core.kit import Kit
from bench.core.method import Lab, Need
from bench.core.threat import Threat
from bench.core.types import Recipe, Split
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.fingerprint import fingerprint
from bench.experiment.isolation import QUIET, STATES, isolated
from bench.experiment.registry import KINDS, Plugin, catalog
from bench.experiment.settings import Setting
from bench.results.rows import Row
from bench.runner.jobs import Job, work
from methods.uniform import Uniform
from support.toys import DEFENSES, METHODS, toy_dataset, toy_lab, toy_split

CPU = torch.device("cpu")
SETTING = Setting("toy", 64, "small", "small", Recipe(epochs=1, batch=16), points=1)


def context(folder: Path) -> RunContext:
    return RunContext(toy_dataset(), SETTING, "quick", CPU, folder, {})


# global states

MEDDLING: dict[str, Any] = {
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark),
    "cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "cudnn.enabled": lambda: setattr(torch.backends.cudnn, "enabled", not torch.backends.cudnn.enabled),
    "cudnn.allow_tf32": lambda: setattr(
        torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32
    ),
    "working directory": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(UE_BENCH_TEST="1"),
    "warning filters": lambda: warnings.simplefilter("ignore"),
}


def test_every_state_has_its_meddler() -> None:
    assert {*MEDDLING} == {*STATES}


@pytest.mark.parametrize("name", MEDDLING)
def test_what_a_piece_leaves_changed_is_restored_and_said(name: str) -> None:
    before, said = {name: state.read() for name, state in STATES.items()}, list[str]()
    with isolated(1, CPU, said.append):
        MEDDLING[name]()
    assert said == ([] if name in QUIET else [name])
    assert {name: state.read() for name, state in STATES.items()} == before
    with isolated(1, CPU, pytest.fail):
        pass


def test_states_are_restored_after_a_failure_too() -> None:
    said = list[str]()
    with pytest.raises(RuntimeError), isolated(1, CPU, said.append):
        torch.set_default_dtype(torch.float64)
        raise RuntimeError
    assert torch.get_default_dtype() == torch.float32 and said == ["default dtype"]


@dataclass(frozen=True)
class Careless(Uniform):
    """Draws from all global generators, and changes threads."""

    needs: ClassVar[tuple[Need, ...]] = ()

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        torch.set_num_threads(torch.get_num_threads() + 1)
        drawn = random.random() + np.random.rand() + float(torch.rand(()))
        return (torch.rand(clean.images.shape) * drawn % 1 * 2 - 1) * self.eps


def test_a_method_that_draws_globally_gives_the_same_whatever_ran_before(tmp_path: Path) -> None:
    method = Plugin("methods", "careless", Careless(), "code")
    threads = torch.get_num_threads()
    first = craft(context(tmp_path / "a"), method, 0)
    torch.rand(7), random.random(), np.random.rand()
    again = craft(context(tmp_path / "b"), method, 0)
    assert torch.equal(first.images, again.images) and torch.get_num_threads() == threads
    assert first.manifest["facts"]["left_changed"] == "threads"
    other = craft(context(tmp_path / "c"), method, 1)
    assert not torch.equal(first.images, other.images)


# what comes out of hooks


@dataclass(frozen=True)
class Returning(Undefended):
    """Returns whatever it holds."""

    content: Any = field(default=None, compare=False)

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        found: Tensor = self.content(x)
        return found


WRONG: dict[str, tuple[Any, str]] = {
    "None": (lambda x: None, "a NoneType, expected a tensor"),
    "a list": (lambda x: [x], "a list, expected a tensor"),
    "another type": (lambda x: x.double(), "torch.float64"),
    "another shape": (lambda x: x[:, :, 1:], r"\(64, 3, 15, 16\)"),
    "beyond the range": (lambda x: x + 1, "expected \\[0,1\\]"),
    "not a number": (lambda x: x * float("nan"), "values from nan"),
    "another device": (lambda x: x.to("meta"), "on meta"),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_augmented_batches_are_checked_by_name(tmp_path: Path, content: Any, said: str) -> None:
    job = Job(
        METHODS["random"],
        0,
        Cell(METHODS["random"], Plugin("defenses", "mine", Returning(content), ""), 0, 0),
        1.0,
    )
    result = work(context(tmp_path), job, lambda share, what: None)
    assert result.row is None and result.error is not None
    with pytest.raises(ValueError, match=f"defense 'mine' augments to .*{said}"):
        x = torch.rand(64, 3, 16, 16)
        check_augmented(content(x), x, "mine")
    assert "defense 'mine' augments to" in result.error


@pytest.mark.parametrize("content", [None, [1], torch.zeros(64, 3, 16, 16, device="meta")])
def test_what_is_no_tensor_here_is_named(content: Any) -> None:
    images = toy_split(64, 0).images
    with pytest.raises(ValueError, match="method 'mine' returned"):
        check_delta(content, images, Threat("linf", 0.1), "mine")
    with pytest.raises(ValueError, match="defense 'mine' prepared"):
        check_prepared(content, images, "mine")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.ones(()), np.float64(1), [1], {}])
def test_notes_are_finite_numbers_or_words(value: Any) -> None:
    lab = toy_lab()
    with pytest.raises(ValueError, match="note loss is"):
        lab.note(loss=value)
    assert lab.facts == {}
    lab.note(loss=0.5, rounds=3, stop="error", none=None)


class Panic(BaseException):
    """As a library in another language raises it."""


@dataclass(frozen=True)
class Panicking(Undefended):
    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        raise Panic("thread panicked")


def test_a_panic_is_a_failed_cell(tmp_path: Path) -> None:
    cell = Cell(METHODS["random"], Plugin("defenses", "mine", Panicking(), ""), 0, 0)
    result = work(context(tmp_path), Job(METHODS["random"], 0, cell, 1.0), lambda share, what: None)
    assert result.error is not None and "thread panicked" in result.error


# what plugins are

HEAD = """
    from dataclasses import dataclass, field
    from enum import Enum
    from pathlib import Path
    import torch
    from bench.core.method import Method
"""


def plugged(folder: Path, body: str, name: str = "mine", **files: str) -> Path:
    (folder / "methods").mkdir(parents=True, exist_ok=True)
    for stem, text in {name: HEAD + body, **files}.items():
        (folder / "methods" / f"{stem}.py").write_text(dedent(text))
    return folder


DATA = "@dataclass(frozen=True)\n    "
REFUSED = {  # what stands before the class, what in it, what is said
    "no dataclass": ("", "steps: int = 3", "steps, which is no field; expected @dataclass"),
    "no annotation": (DATA, "steps = 3", "write steps: int = 3"),
    "a path": (DATA, "at: Path = Path('x')", "at = .*no key can hold"),
    "infinite": (DATA, "most: float = float('inf')", "most = inf"),
    "a function": (DATA, "how: object = print", "how = .*no key can hold"),
    "a tensor": (DATA, "t: object = torch.ones(1)", "t = tensor"),
    "an enumeration": (
        f"class E(str, Enum):\n        A = 'a'\n\n    {DATA}",
        "e: E = E.A",
        "no key can hold",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "inside", "said"), REFUSED.values(), ids=REFUSED)
def test_parameters_that_no_key_holds_are_refused(
    tmp_path: Path, before: str, inside: str, said: str, kind: str
) -> None:
    body = f"\n    {before}class Mine(Method):\n        {inside}\n\n    VARIANTS = {{'mine': Mine()}}\n"
    plugged(tmp_path, body)
    if kind == "defenses":
        text = (HEAD + body).replace("method import Method", "defense import Undefended as Method")
        (tmp_path / "methods").rename(tmp_path / kind)
        (tmp_path / kind / "mine.py").write_text(dedent(text))
    with pytest.raises(BadInput, match=rf"{kind}/mine.py: 'mine' .*{said}"):
        catalog(kind, tmp_path)


def test_what_is_no_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'mine' is a int, expected a Method"):
        catalog("methods", plugged(tmp_path, "\n    VARIANTS = {'mine': 3}\n"))


PLAIN = """
    @dataclass(frozen=True)
    class Mine(Method):
        steps: int = 3

    VARIANTS = {NAME: Mine()}
"""


@pytest.mark.parametrize("name", ["Mine", "my method", "-mine", "mine/2", "m" * 41, "", "mine_2", "méthode"])
def test_names_that_files_and_tables_cannot_hold_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"methods/mine.py: the name .*, expected lower-case letters"):
        catalog("methods", plugged(tmp_path, PLAIN.replace("NAME", repr(name))))


def test_helpers_beside_a_plugin_are_imported_relatively(tmp_path: Path) -> None:
    body = "    from .tools_of_mine import SIZE\n" + PLAIN.replace("NAME", "'mine'").replace("= 3", "= SIZE")
    tools = {"_tools": "", "tools_of_mine": "SIZE = 5\nVARIANTS = {}\n"}
    with pytest.raises(BadInput, match=r"tools_of_mine.py has no VARIANTS"):
        catalog("methods", plugged(tmp_path / "a", body, **tools))
    body = body.replace("tools_of_mine", "_tools_of_mine")
    for size, folder in ((5, "b"), (7, "c")):
        found = catalog("methods", plugged(tmp_path / folder, body, _tools_of_mine=f"SIZE = {size}\n"))
        assert found.get("mine").value.steps == size


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folder = plugged(tmp_path, PLAIN.replace("NAME", "'mine'"), **{"._mine": "\x00", ".#mine": "oops("})
    before = fingerprint(folder)
    (folder / "methods" / ".#_mine.py").symlink_to("me@here.1:2")  # as Emacs leaves it: it leads nowhere
    assert catalog("methods", folder).get("mine") and fingerprint(folder) == before


def test_a_plugin_without_its_library_is_passed_over_unless_it_is_asked_for(tmp_path: Path) -> None:
    lacking = "import no_such_library\nVARIANTS = {}\n"
    found = catalog("methods", plugged(tmp_path, PLAIN.replace("NAME", "'mine'"), other=lacking))
    assert found.get("mine")
    with pytest.raises(BadInput, match=r"methods/other.py needs no_such_library, which is not installed"):
        found.get("other")


def test_the_suites_own_methods_are_found_from_a_folder_that_has_some(tmp_path: Path) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "__init__.py").write_text("raise SystemExit('the wrong methods')")
    asked = ["run", "--dry-run", "--methods", "emx"]
    code = f"import sys; from bench.cli.main import main; sys.exit(main({asked}))"
    how: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True}
    ended = subprocess.run([sys.executable, "-c", code], check=False, **how)
    assert ended.returncode == 2 and "did you mean 'emax'" in ended.stderr


def test_rows_of_the_suites_own_plugins_leave_nothing_changed(tmp_path: Path) -> None:
    for name in ("uer", "cutout"):
        cell = Cell(METHODS["random"], DEFENSES[name], 0, 0)
        row: Row = run_cell(context(tmp_path), cell, craft(context(tmp_path), cell.method, 0))
        assert "left_changed" not in row.defense_facts and "left_changed" not in row.craft
