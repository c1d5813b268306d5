"""What changes no number changes no key: other names of modules and functions, orders of imports, words."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.core import pgd
from bench.metrics import separability
from defenses import cutout
from methods import em
from support import every_key

HOME = Path(bench.__file__).parent.parent
# By one of its modules: all modules beside it are edited
PACKAGES = {
    name: module.__name__.rpartition(".")[0]
    for name, module in (("core", pgd), ("metrics", separability), ("methods", em), ("defenses", cutout))
}


class Extract(ast.NodeTransformer):
    """Moves the body of every plain function into another one beside it, and edits every docstring."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = [part for own in _reworded(node.body) for part in self._parts(own, method=False)]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = [part for own in _reworded(node.body) for part in self._parts(own, method=True)]
        return node

    def _parts(self, node: ast.stmt, *, method: bool) -> list[ast.stmt]:
        if isinstance(node, ast.ClassDef):
            return [self.visit_ClassDef(node)]
        if not isinstance(node, ast.FunctionDef) or not _plain(node):
            return [node]
        name = f"_extracted_{node.name.strip('_')}"
        inner = ast.FunctionDef(name, node.args, node.body, [], node.returns)
        first, *others = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)] or [""]
        given = ", ".join([*others, *(f"{arg.arg}={arg.arg}" for arg in node.args.kwonlyargs)])
        call = f"{first}.{name}({given})" if method else f"{name}({', '.join(filter(None, (first, given)))})"
        result = ast.Return(ast.parse(call, mode="eval").body)
        return [inner, ast.FunctionDef(node.name, node.args, [result], [], node.returns)]


def _plain(node: ast.FunctionDef) -> bool:
    """Whether another function may stand for its body."""
    inside = {type(part) for part in ast.walk(node)}
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    odd = node.args.vararg or node.args.kwarg or node.decorator_list or node.name.startswith("__")
    return not odd and not inside & {ast.Yield, ast.YieldFrom} and "super" not in names


def _reworded(body: list[ast.stmt]) -> list[ast.stmt]:
    """With another docstring, where there is one."""
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        return [ast.Expr(ast.Constant(f"{body[0].value.value} Edited.")), *body[1:]]
    return body


def _reordered(body: list[ast.stmt]) -> list[ast.stmt]:
    """With the imports behind that from __future__ turned about."""
    late = [i for i, part in enumerate(body) if isinstance(part, ast.Import | ast.ImportFrom)][1:]
    turned = dict(zip(late, [body[i] for i in reversed(late)], strict=True))
    return [turned.get(i, part) for i, part in enumerate(body)]


def edit(source: str) -> str:
    """A module's source after all these edits: it lost its comments, and has one more at its end."""
    tree = Extract().visit(ast.parse(source))
    tree.body = _reordered(tree.body)
    return f"{ast.unparse(ast.fix_missing_locations(tree))}\n# Edited.\n"


def rename(copied: Path, package: str, names: set[str]) -> None:
    """Give modules of a package other names, and whoever imports them follows."""
    folder = copied.joinpath(*package.split("."))
    dotted = re.compile(rf"\b({re.escape(package)}\.(?:{'|'.join(names)}))\b")
    for path in copied.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == package:
                for alias in node.names:
                    if alias.name in names:
                        alias.name, alias.asname = f"{alias.name}_too", alias.asname or alias.name
        path.write_text(dotted.sub(r"\1_too", ast.unparse(tree)), encoding="utf-8")
    for name in names:
        (folder / f"{name}.py").rename(folder / f"{name}_too.py")


def copy(place: Path) -> Path:
    for package in every_key.PACKAGES:
        shutil.copytree(HOME / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    return place


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The keys of the packages as they are, and of each edited copy."""
    folders = {"as it is": HOME}
    for name, package in PACKAGES.items():
        folders[name] = copied = copy(tmp_path_factory.mktemp(name))
        paths = [p for p in copied.joinpath(*package.split(".")).glob("*.py") if p.stem != "__init__"]
        for path in paths:
            path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
        rename(copied, package, {path.stem for path in paths})
    folders["raised"] = copied = copy(tmp_path_factory.mktemp("raised"))
    path = copied / Path(inspect.getfile(cutout)).relative_to(HOME)
    raised = re.sub(r"(revision: ClassVar\[int\]) = 1", r"\1 = 7", path.read_text(encoding="utf-8"))
    path.write_text(raised, encoding="utf-8")
    asked = [sys.executable, every_key.__file__, *map(str, folders.values())]
    ended = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    keys = json.loads(ended.stdout)
    return {name: keys[str(folder)] for name, folder in folders.items()}


@pytest.mark.parametrize("name", PACKAGES)
def test_edits_that_change_no_number_change_no_key(name: str, found: dict[str, dict[str, str]]) -> None:
    """Every module has another name, other words and functions, and its imports turned about."""
    assert found[name] == found["as it is"]


def test_a_raised_revision_changes_the_keys_of_what_it_stands_on(found: dict[str, dict[str, str]]) -> None:
    """So the copies are what is asked."""
    before, after = found["as it is"], found["raised"]
    assert {name for name in before if before[name] != after[name]} == {"row cutout"}


@pytest.mark.parametrize("package", PACKAGES.values())
def test_the_edits_are_edits(package: str) -> None:
    folder = HOME.joinpath(*package.split("."))
    edited = "".join(edit(path.read_text(encoding="utf-8")) for path in folder.glob("*.py"))
    assert edited.count("def _extracted_") > 5 and edited.count("Edited.") > 5
