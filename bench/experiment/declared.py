"""What modules declare: classes with their fields, tables, constants; known without importing torch.

A module of ours, or a file with plugins, is run statement by statement. What it takes from the standard
library or from LIGHT is there; what it takes from another module of ours is read in the same way; a statement
that needs any other library, such as the class of a net, is left out. Functions are there to be called, and
fail where they need what was left out.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import importlib
import importlib.util
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.experiment.fingerprint import CODE, HOME

# Imported as they are: what they hold is the same for whoever declares and whoever computes.
LIGHT = ("bench.core.errors", "bench.core.recipe", "bench.core.threat", "bench.metrics.mi.settings")

PREFIX = "declared:"  # of their names in sys.modules
ASIDE = re.compile(r"^# *((type: ignore|noqa)[^#]*#? *)?")  # what begins a comment, and what tools read
STRINGS = __future__.annotations.compiler_flag  # annotations may name what is left out


class Undeclared(Exception):
    """A file with plugins does more than declare: nothing is wrong, whoever meets it imports the file."""


def declare(name: str) -> ModuleType:
    """Read a module of ours by its dotted name."""
    alias = f"{PREFIX}{name}"
    if name in LIGHT:
        return importlib.import_module(name)
    if alias not in sys.modules:
        path = HOME.joinpath(*name.split("."))
        declare_file(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"), alias)
    return sys.modules[alias]


def declare_file(path: Path, alias: str, needed: Iterable[str] = ()) -> ModuleType:
    """Whatever a file declares, under a name of its own in sys.modules.

    needed: names without which it is of no use; then Undeclared is raised where it does more than declare,
    needs a library that is missing, or leaves out one of these for want of another. Raises whatever its
    declarations raise.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    made = sys.modules[alias] = ModuleType(alias, ast.get_docstring(tree))  # dataclasses look their module up
    made.__file__ = str(path)
    vars(made)["__builtins__"] = {**vars(builtins), "__import__": _import}
    for statement in _single(tree.body, strict=bool(needed)):
        try:
            exec(compile(ast.Module([statement], []), str(path), "exec", STRINGS, True), vars(made))
        except (ImportError, NameError) as error:
            if needed and (isinstance(error, ModuleNotFoundError) or {*needed} & {*assigned(statement)}):
                raise Undeclared(f"{path}: {error}") from None
    return made


def _single(body: Iterable[ast.stmt], *, strict: bool) -> Iterator[ast.stmt]:
    """Give what is run, imports name by name: some of the names may be left out. strict: see Undeclared."""
    for statement in body:
        match statement:
            case ast.ImportFrom(module="__future__") | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.ImportFrom():
                for alias in statement.names:
                    one = ast.ImportFrom(statement.module, [alias], statement.level)
                    yield ast.copy_location(one, statement)
            case ast.Import() | ast.Assign() | ast.AnnAssign() | ast.FunctionDef() | ast.ClassDef():
                yield statement
            case ast.Expr(value=ast.Constant()) | ast.AsyncFunctionDef():
                continue
            case _ if strict:
                raise Undeclared(f"line {statement.lineno}: {type(statement).__name__}")


def assigned(statement: ast.AST) -> Iterator[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return (target.id for target in targets if isinstance(target, ast.Name))


def _import(name: str, scope: Any = None, own: Any = None, names: Any = (), level: int = 0) -> ModuleType:
    """In the place of __import__: other libraries are not there, unless they are missing indeed."""
    root = name.partition(".")[0]
    if root in sys.stdlib_module_names:
        return builtins.__import__(name, scope, own, names, level)
    if root not in CODE:
        if importlib.util.find_spec(root) is None:
            raise ModuleNotFoundError(name)
        raise ImportError(name)
    found = declare(name)
    for part in names or ():
        if not hasattr(found, part) and HOME.joinpath(*name.split("."), f"{part}.py").exists():
            setattr(found, part, declare(f"{name}.{part}"))
    return found


def notes(kind: type) -> dict[str, str]:
    """Read what the comments beside a class's fields, or else above, say of each: units and meaning."""
    found: dict[str, str] = {}
    for own in reversed(kind.__mro__[:-1]):
        source = Path(str(sys.modules[own.__module__].__file__)).read_text(encoding="utf-8")
        comments = {
            token.start[0]: (ASIDE.sub("", token.string), not token.line[: token.start[1]].strip())
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
        classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
        body = next(node.body for node in classes if node.name == own.__name__)
        for node in body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                beside, above = comments.get(node.end_lineno or 0, ("", False))[0], node.lineno - 1
                lines: list[str] = []
                while comments.get(above, ("", False))[1]:
                    lines, above = [comments[above][0], *lines], above - 1
                if text := beside or " ".join(lines):
                    found[node.target.id] = text
    return found
