"""Methods and defenses are found in folders and installed packages, not listed.

A plugin module has VARIANTS (name -> configured plugin) and may have PATTERNS ("at-{radius}" ->
function of the text in the braces), ALL (the names that `all` means; default: all variants) and
CONTROLS (names that are no contestants). A plugin's class may have PROFILES (profile -> field ->
value): how it is scaled down there.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.core.errors import BadInput, unknown
from bench.core.texts import LONGEST, bad_names
from bench.experiment.acceptable import bad_values
from bench.experiment.declared import PREFIX, declare
from bench.experiment.fingerprint import HOME as HOME  # noqa: PLC0414 (others take it from here)
from bench.experiment.named import split
from bench.experiment.overrides import change
from bench.experiment.plugged import Missing, Source, code_digest, files, others, plug
from bench.results.identity import parameters

KINDS = ("methods", "defenses")
BASES = {"methods": ("bench.core.method", "Method"), "defenses": ("bench.core.defense", "Undefended")}
SCHEMES = {  # "file:PATH" -> module whose at(PATH) it is, of which EXAMPLE is one
    "methods": {"file": "bench.data.poisons.imported"},
    "defenses": {"purified": "bench.data.poisons.purified"},
}


@dataclass(frozen=True)
class Plugin:
    """A configured method or defense under its name."""

    kind: str  # methods or defenses
    name: str
    value: Any
    code: str  # digest of its module's code without comments and docstrings; identity of a draft
    about: str = ""
    control: bool = False  # no contestant: clean, random, none
    place: str = ""  # what it was named by, where that is more than its name: file:a/b.npy
    module: str = ""  # in sys.modules, whose table has it; of what has no table, that of its class
    crafted_as: str = ""  # the variant whose delta a method publishes, where that is another one

    @property
    def revision(self) -> int | None:
        """As its class declares it; None of a draft."""
        declared: int | None = vars(type(self.value)).get("revision")
        return declared

    @property
    def inputs(self) -> dict[str, Any]:
        """What a row's key takes of it: name, revision or, of a draft, code, and all parameters."""
        made = {"crafted_as": self.crafted_as or self.name} if self.kind == KINDS[0] else {}
        return {"name": self.name, **made, **self._version, **parameters(self.value)}

    @property
    def crafting(self) -> dict[str, Any]:
        """What the key of a method's delta takes of it."""
        own = parameters(self.value, publishing=False)
        return {"name": self.crafted_as or self.name, **self._version, **own}

    @property
    def _version(self) -> dict[str, Any]:
        """Of a draft its code and the revisions of the classes that it extends."""
        if self.revision is not None:
            return {"revision": self.revision}
        extended = [(kind.__name__, vars(kind).get("revision")) for kind in type(self.value).__mro__]
        known = repr([(name, number) for name, number in extended if isinstance(number, int)])
        return {"draft": hashlib.sha256((self.code + known).encode()).hexdigest()[:16]}

    @property
    def publishes_otherwise(self) -> bool:
        """Whether variants may publish its delta in other ways, so that it is kept."""
        return any(f.metadata.get("publishing") for f in fields(self.value))

    def at(self, profile: str) -> Plugin:
        """Return the plugin as its class scales itself for a profile."""
        value = self.value
        for path, new in getattr(value, "PROFILES", {}).get(profile, {}).items():
            value = change(value, path, new, self.name)
        return replace(self, value=value)


@dataclass
class Catalog:
    """All plugins of one kind."""

    kind: str
    variants: dict[str, Plugin] = field(default_factory=dict)
    patterns: dict[str, tuple[Callable[[str], Any], str]] = field(default_factory=dict)
    everything: list[str] = field(default_factory=list)  # what `all` means
    load: Callable[[str], ModuleType] = importlib.import_module  # of our modules: as they are, or declare
    missing: dict[str, str] = field(default_factory=dict)  # module -> why its plugins are not there

    @property
    def names(self) -> list[str]:
        return [*self.variants, *self.patterns, *(f"{scheme}:PATH" for scheme in self.schemes)]

    @property
    def groups(self) -> dict[str, list[str]]:
        """What a word means: all, the default matrix; everything, that and whatever else has a name."""
        others = sorted(self.variants, key=lambda name: not self.variants[name].control)
        return {"all": self.everything, "everything": [*dict.fromkeys([*self.everything, *others])]}

    @property
    def schemes(self) -> dict[str, str]:
        return SCHEMES.get(self.kind, {})

    def get(self, name: str) -> Plugin:
        if name in self.variants:
            return self.variants[name]
        for pattern, (make, code) in self.patterns.items():
            before, after = re.split(r"\{\w+\}", pattern)
            found = re.fullmatch(f"{re.escape(before)}([1-9]\\d*){re.escape(after)}", name)
            if found and len(name) <= LONGEST:
                return Plugin(self.kind, name, make(found[1]), code, f"as {pattern}")
        scheme, _, place = name.partition(":")
        if place and scheme in self.schemes:
            return imported(place, self.load, scheme)
        raise BadInput("; ".join([str(unknown(self.kind[:-1], name, self.names)), *self.missing.values()]))

    def choose(self, names: str) -> list[Plugin]:
        """Choose all (the default matrix), everything, or names separated by commas, each once."""
        wanted = []
        for name in filter(None, map(str.strip, split(names, self.schemes))):
            wanted += self.groups.get(name, [name])
        if not wanted:
            raise BadInput(f"no {self.kind} named; there are: {', '.join(self.names)}")
        chosen = {name: self.get(name) for name in dict.fromkeys(wanted)}
        for first, second in combinations(chosen, 2):
            if chosen[first].name == chosen[second].name:
                name = chosen[first].name
                raise BadInput(f"{first} and {second} would both be called {name!r}; rename one")
        return [*chosen.values()]


def imported(
    place: str | None, load: Callable[[str], ModuleType] = importlib.import_module, scheme: str = "file"
) -> Plugin:
    """Make what SCHEME:PLACE names, or an example where no place is given; BadInput where there is none."""
    kind = next(kind for kind, schemes in SCHEMES.items() if scheme in schemes)
    module = load(SCHEMES[kind][scheme])
    value = module.EXAMPLE if place is None else module.at(place)
    code, about = code_digest(Path(str(module.__file__)).read_text(encoding="utf-8")), module.ABOUT
    return Plugin(kind, value.who, value, code, about, place=f"{scheme}:{value.place}")


def _first_line(plugin: type, module: ModuleType) -> str:
    """Of the class's docstring, or of the module's where the class has only what dataclass gave it."""
    own = plugin.__doc__ or ""
    text = (module.__doc__ or "") if own.startswith(f"{plugin.__name__}(") else own
    return text.strip().split("\n")[0]


def catalog(kind: str, plugins: Path | None = None, *, declared: bool = False) -> Catalog:
    """Find the plugins of a kind: the suite's own, those in DIR/methods or DIR/defenses, and installed ones.

    declared: as their files say, without importing what they compute with; fit to be looked at, not to run.
    Raises BadInput.
    """
    found = Catalog(kind, load=declare if declared else importlib.import_module)
    for source in [*_own(kind, found.load), *others(kind, plugins, declared=declared)]:
        try:
            _add(found, source.module(), source)
        except Missing as missing:
            found.missing[source.where] = str(missing)
    return found


def _own(kind: str, load: Callable[[str], ModuleType]) -> list[Source]:
    return [Source(f"{kind}/{p.name}", p, partial(load, f"{kind}.{p.stem}")) for p in files(HOME / kind)]


def import_plugins(folder: Path | None) -> None:
    """Import what is no part of the suite, which must be there before a job of its is unpickled."""
    for kind in KINDS:
        for source in others(kind, folder):
            with suppress(Missing):
                source.module()
    plug(folder)


def _add(found: Catalog, module: ModuleType, source: Source) -> None:
    where, code = source.where, source.code
    variants: Mapping[str, Any] | None = getattr(module, "VARIANTS", None)
    if not variants:
        raise BadInput(f"{where} has no VARIANTS, expected a dict of name -> plugin")
    everything, controls = list(getattr(module, "ALL", variants)), list(getattr(module, "CONTROLS", ()))
    patterns: Mapping[str, Callable[[str], Any]] = getattr(module, "PATTERNS", {})
    for name in [*everything, *controls]:
        if name not in variants:
            raise BadInput(f"{where}: ALL or CONTROLS has {name!r}, expected one of {', '.join(variants)}")
    shapes = {re.sub(r"{\w+}", "{}", pattern) for pattern in found.patterns}
    for pattern in patterns:
        if len(re.findall(r"{\w+}", pattern)) != 1:
            raise BadInput(f"{where}: pattern {pattern!r}, expected one name in braces")
    if wrong := next(bad_names([*variants, *patterns]), None):
        raise BadInput(f"{where}: {wrong}")
    for name in [*variants, *patterns]:
        if name in found.variants or re.sub(r"{\w+}", "{}", name) in shapes or name in found.groups:
            raise BadInput(f"{where}: the name {name!r} is already taken")
    place, of = BASES[found.kind]
    load = declare if module.__name__.startswith(PREFIX) else importlib.import_module
    base, first = getattr(load(place), of), dict[str, Plugin]()
    for name, value in variants.items():
        if wrong := next(bad_values(value, base), None):
            raise BadInput(f"{where}: {name!r} {wrong}")
        about, control = _first_line(type(value), module), name in controls
        plugin = Plugin(found.kind, name, value, code, about, control, module=module.__name__)
        if found.kind == KINDS[0]:  # the first of those that craft the same gives them its seeds
            made = repr((type(value), parameters(value, publishing=False)))
            other = first.setdefault(made, plugin)
            plugin = plugin if other is plugin else replace(plugin, crafted_as=other.name)
        found.variants[name] = plugin
    found.patterns |= {pattern: (make, code) for pattern, make in patterns.items()}
    found.everything += everything
    # controls first: every table is read against them
    found.everything.sort(key=lambda name: not found.variants[name].control)
