"""Finding plugins, naming and changing their fields, and the rules on who may import what."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

import pytest

from bench.core.errors import BadInput
from bench.core.types import Recipe
from bench.experiment.overrides import change, parse
from bench.experiment.plugged import code_digest
from bench.experiment.registry import KINDS, Plugin, catalog
from bench.experiment.settings import PROFILES
from bench.results.identity import parameters

CATALOGS = {kind: catalog(kind) for kind in KINDS}
NAMES = [(kind, name) for kind, found in CATALOGS.items() for name in found.variants]


# names


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_names_resolve(kind: str, name: str) -> None:
    plugin = CATALOGS[kind].get(name)
    assert (plugin.kind, plugin.name) == (kind, name)
    assert plugin.about.endswith(".")  # a sentence
    assert plugin.inputs["name"] == name and plugin.inputs["revision"] == plugin.revision >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_each_variant_once_the_default_ones_first(kind: str) -> None:
    found = CATALOGS[kind]
    names = [plugin.name for plugin in found.choose("everything")]
    usual = [plugin.name for plugin in found.choose("all")]
    assert names[: len(usual)] == usual and sorted(names) == sorted(found.variants)


def test_all_means_the_contestants_and_two_controls() -> None:
    chosen = {kind: [p.name for p in CATALOGS[kind].choose("all")] for kind in KINDS}
    assert set(chosen["methods"]) == {"clean", "random", "em", "emax", "mi-ue", "tap"}
    assert set(chosen["defenses"]) == {"none", "at-8", "cutout", "uer", "iss-gray", "iss-jpeg10"}
    assert chosen["methods"][0] == "clean" and chosen["defenses"][0] == "none"
    assert all(len(names) == len(set(names)) for names in chosen.values())


def test_controls() -> None:
    controls = {name for kind, name in NAMES if CATALOGS[kind].get(name).control}
    noise = {f"random{what}" for what in ("", "-signed", "-l2", "-l2-unit", "-l0", "-unbounded")}
    defenses = {"none", "op-none", "dfr-random", "leak-0"}
    assert controls == {"clean", *noise, "region-4", "region-16", "region-64", "shuffled", *defenses}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_profile_makes_two_variants_one(kind: str, profile: str) -> None:
    """Those of one class that differ at full length differ in every profile."""
    found = CATALOGS[kind]
    full = {name: (type(found.get(name).value), parameters(found.get(name).value)) for name in found.variants}
    short = {name: parameters(found.get(name).at(profile).value) for name in found.variants}
    for one, other in combinations(found.variants, 2):
        kin = issubclass(full[one][0], full[other][0]) or issubclass(full[other][0], full[one][0])
        assert not kin or full[one][1] == full[other][1] or short[one] != short[other], (one, other)


def test_no_name_means_two_things() -> None:
    """--set NAME.FIELD=VALUE has one namespace."""
    names = [name for _, name in NAMES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("at-3", {"radius": 3 / 255}),
        ("iss-jpeg55", {"quality": 55}),
        ("iss-bdr5", {"bits": 5}),
        ("leak-70", {"leaks": 70, "side": 8}),
        ("leak-unet-70", {"leaks": 70, "steps": 4000}),
    ],
)
def test_patterns(name: str, fields: dict[str, float]) -> None:
    plugin = CATALOGS["defenses"].get(name)
    assert plugin.name == name and not plugin.control
    assert fields.items() <= plugin.inputs.items()


@pytest.mark.parametrize("name", ["at-8", "iss-jpeg10", "iss-bdr2"])
def test_fixed_name_is_its_pattern(name: str) -> None:
    found, number = CATALOGS["defenses"], re.sub(r"\D", "", name)
    make, code = next(p for key, p in found.patterns.items() if key.startswith(name.removesuffix(number)))
    assert (make(number), code) == (found.variants[name].value, found.variants[name].code)


def test_choosing_keeps_the_order_and_drops_repetitions() -> None:
    chosen = CATALOGS["methods"].choose(" tap, em ,tap,")
    assert [plugin.name for plugin in chosen] == ["tap", "em"]
    with pytest.raises(BadInput, match="no methods named; there are: "):
        CATALOGS["methods"].choose(" , ")


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("methods", "emx", "emax"),
        ("methods", "miue", "mi-ue"),
        ("defenses", "cutuot", "cutout"),
        ("defenses", "grayscale", "iss-gray"),
        ("defenses", "at-x", "at-"),
    ],
)
def test_unknown_name_gets_the_nearest(kind: str, name: str, near: str) -> None:
    with pytest.raises(BadInput, match=f"unknown {kind[:-1]} {name!r}; did you mean '{near}.*there are: "):
        CATALOGS[kind].get(name)


def test_profiles_scale_a_copy() -> None:
    plugin = CATALOGS["methods"].get("tap")
    before, scaled = plugin.inputs, plugin.at("quick")
    assert scaled.inputs != before == plugin.inputs
    assert plugin.at("no such profile") == plugin


# plugins of one's own

MINE = """
    \"\"\"Mine: a method in one file.\"\"\"
    from dataclasses import dataclass
    import torch
    from bench.core.method import Method

    @dataclass(frozen=True)
    class Mine(Method):
        def craft(self, clean, lab):
            return torch.full(clean.images.shape, self.eps)
"""


def plugged(folder: Path, rest: str, kind: str = "methods", name: str = "mine") -> Path:
    (folder / kind).mkdir(exist_ok=True)
    (folder / kind / f"{name}.py").write_text(dedent(MINE) + dedent(rest))
    return folder


def test_plugin_of_a_folder_is_found_and_joins_all(tmp_path: Path) -> None:
    found = catalog("methods", plugged(tmp_path, "VARIANTS = {'mine': Mine()}"))
    assert found.get("mine").about == "Mine: a method in one file."
    assert found.everything == [*CATALOGS["methods"].everything, "mine"]
    assert "mine" not in catalog("methods").variants


def test_module_may_have_the_name_of_one_of_ours(tmp_path: Path) -> None:
    found = catalog("methods", plugged(tmp_path, "VARIANTS = {'mine': Mine()}", name="em"))
    assert found.get("mine") and found.get("em") == CATALOGS["methods"].get("em")


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("VARIANTS = {'clean': Mine()}", "methods/mine.py: the name 'clean' is already taken"),
        ("VARIANTS = {'all': Mine()}", "methods/mine.py: the name 'all' is already taken"),
        ("VARIANTS = {'everything': Mine()}", "methods/mine.py: the name 'everything' is already taken"),
        ("", "methods/mine.py has no VARIANTS, expected a dict"),
        ("VARIANTS = {}", "methods/mine.py has no VARIANTS, expected a dict"),
        ("VARIANTS = {'mine': Mine()}\nALL = ('mien',)", "mien"),
    ],
)
def test_bad_plugin_is_refused(tmp_path: Path, rest: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        catalog("methods", plugged(tmp_path, rest))


def test_pattern_that_is_taken_is_refused(tmp_path: Path) -> None:
    """Otherwise a plugin would silently change what at-7 means."""
    rest = "VARIANTS = {'mine': Mine()}\nPATTERNS = {'at-{x}': lambda x: Mine()}"
    with pytest.raises(BadInput, match="at-"):
        catalog("defenses", plugged(tmp_path, rest, "defenses"))


def test_folder_without_plugins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected a folder with methods/, defenses/ or nets/"):
        catalog("methods", tmp_path)
    catalog("defenses", plugged(tmp_path, ""))


# the digest of the code

CODE = '''
"""About."""
import torch

# a comment
STEP = 2

class A:
    """About A."""
    eps = 1

    def f(self, x):
        """About f."""
        return x + STEP  # another
'''


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("# a comment", "# nothing of the kind"),
        CODE.replace('"""About f."""', '"""Other words,\n\n        more of them."""'),
        CODE.replace('"""About."""', ""),
        CODE.replace("  # another", "").replace("x + STEP", "(x\n            + STEP)"),
        CODE + "\n\n\n",
    ],
)
def test_digest_of_code_ignores_words(other: str) -> None:
    assert other != CODE and code_digest(other) == code_digest(CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("STEP = 2", "STEP = 3"),
        CODE.replace("x + STEP", "x - STEP"),
        CODE.replace("eps = 1", "eps = 1\n    norm = 'l2'"),
    ],
)
def test_digest_of_code_sees_code(other: str) -> None:
    assert code_digest(other) != code_digest(CODE)


def test_digest_of_code_ignores_a_docstring_that_stands_alone() -> None:
    one, other = 'class A(B):\n    """One."""\n', 'class A(B):\n    """Other."""\n'
    assert code_digest(one) == code_digest(other)


# changing fields


@dataclass(frozen=True)
class Sample:
    count: int = 1
    share: float = 0.5
    on: bool = False
    clip: float | None = None
    limit: int | None = 3
    marks: tuple[float, ...] = ()
    kind: Literal["one", "two"] = "one"
    name: str = "a"
    recipe: Recipe = field(default=Recipe())


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("count", "7", 7),
        ("share", "0.25", 0.25),
        ("share", "8/255", 8 / 255),
        ("share", "1e-3", 0.001),
        ("on", "true", True),
        ("on", "False", False),
        ("clip", "5", 5.0),
        ("clip", "none", None),
        ("limit", "None", None),
        ("limit", "40", 40),
        ("marks", "0.5,0.75", (0.5, 0.75)),
        ("marks", "", ()),
        ("kind", "two", "two"),
        ("name", "none", "none"),
    ],
)
def test_text_becomes_the_fields_type(path: str, text: str, value: Any) -> None:
    found = getattr(change(Sample(), path, text, "sample"), path)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("count", "2.5", "sample.count is '2.5', expected int"),
        ("count", "many", "sample.count is 'many', expected int"),
        ("share", "half", "sample.share is 'half', expected float"),
        ("share", "1/0", "sample.share is '1/0', expected float"),
        ("share", "nan", "sample.share is 'nan', expected"),
        ("share", "inf", "sample.share is 'inf', expected"),
        ("on", "yes", "sample.on is 'yes', expected bool"),
        ("limit", "few", "sample.limit is 'few', expected int"),
        ("marks", "0.5;0.75", "sample.marks is '0.5;0.75', expected float"),
        ("kind", "tow", "'tow'; did you mean 'two'"),
        ("recipe", "5", "sample.recipe is '5', expected"),
        ("recipe.epochs", "x", "sample.recipe.epochs is 'x', expected int"),
        ("recipe.epochs", "0", "Recipe: epochs is 0, expected above 0"),
        ("recipe.schedule", "cosin", "did you mean 'cosine'"),
        ("coutn", "1", "unknown field of sample 'coutn'; did you mean 'count'"),
        ("recipe.epoch", "1", "unknown field of sample.recipe 'epoch'; did you mean 'epochs'"),
        ("count.x", "1", "unknown field of sample.count 'x'"),
        ("", "1", "unknown field of sample ''"),
    ],
)
def test_bad_value_is_refused_in_words(path: str, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        change(Sample(), path, text, "sample")


def test_change_copies() -> None:
    sample = Sample()
    other = change(sample, "recipe.epochs", "5", "sample")
    assert (sample.recipe.epochs, other.recipe.epochs) == (Recipe().epochs, 5)
    assert change(sample, "count", 9, "sample").count == 9  # values that are no text are kept


def test_parse_of_an_integer_written_as_a_fraction() -> None:
    with pytest.raises(BadInput):
        parse("8/255", int, "steps")


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_every_field_can_be_set_from_its_own_text(kind: str, name: str) -> None:
    plugin: Plugin = CATALOGS[kind].get(name)
    for path, value in plugin.inputs.items():
        if path not in ("name", "crafted_as", "revision") and not isinstance(value, dict):
            assert change(plugin.value, path, str(value), name) == plugin.value
