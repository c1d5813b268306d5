"""Every page stays true: links lead somewhere, commands parse, code runs, lists are those of the registry."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import bench
from bench import data
from bench.cli import about, markdown
from bench.cli.main import main, parsed, parser
from bench.core.contract import check_classes, check_delta, check_published, published
from bench.core.defense import Undefended, check_augmented, check_prepared
from bench.core.errors import BadInput
from bench.core.method import Lab
from bench.core.pixels import to_float
from bench.core.rng import generator
from bench.core.types import Recipe, Split
from bench.experiment.registry import KINDS, Plugin, catalog
from bench.nets import Net
from bench.nets.body import Architecture, Shape
from support.pages import DOCS, PAGES, ROOT, blocks, commands, headings, relative_links, text_of
from support.toys import CLASSES, SIZE, shrink, small_net, toy_kit, toy_lab

PLUGGED = ("README.md", "docs/your-own-method.md", "docs/your-own-defense.md")
PATTERNED = {"waves-{side}": "waves-2", "paste-{percent}": "paste-25"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# Links, commands, code blocks


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    """Files and folders, and the sections of pages."""
    for link in relative_links(page):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page: Path) -> None:
    for arguments in commands(page):
        parser().parse_args(arguments)


def test_most_pages_have_commands() -> None:
    assert sum(bool(commands(page)) for page in DOCS.glob("*.md")) >= 8


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_whole(page: Path) -> None:
    """Python parses, YAML is options of a run."""
    assert text_of(page).count("```") % 2 == 0
    for source in blocks(page, "python"):
        ast.parse(source)


def test_the_configuration_on_the_page_is_one(tmp_path: Path) -> None:
    (source,) = blocks(DOCS / "running.md", "yaml")
    (tmp_path / "run.yaml").write_text(source, encoding="utf-8")
    args = parsed(["run", "--config", str(tmp_path / "run.yaml")])
    assert (args.methods, args.overrides) == ("em,tap", ["em.steps=5"])


def test_the_comparison_on_the_page_is_what_its_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = DOCS / "leaderboard.md"
    (asked,) = [
        arguments
        for arguments in commands(page)
        if "results/reference" in arguments and arguments[0] == "compare"
    ]
    (said,) = blocks(page, "text")
    monkeypatch.chdir(ROOT)
    assert main(asked) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert " ".join(said.split()) in printed


# Lists that are generated


def test_the_lists_in_readme_are_current() -> None:
    _, _, rest = text_of(ROOT / "README.md").partition(markdown.MARKS[0])
    shown, _, _ = rest.partition(markdown.MARKS[1])
    made = markdown.overview([catalog(kind, declared=True) for kind in KINDS])
    assert shown.strip() == made, "run: python -m bench list --markdown README.md"


def test_a_list_is_brought_up_to_date_between_its_marks(tmp_path: Path) -> None:
    page, (first, last) = tmp_path / "page.md", markdown.MARKS
    page.write_text(f"before\n{first}\nold\n{last}\nafter\n", encoding="utf-8")
    assert main(["list", "--markdown", str(page)]) == 0
    found = text_of(page)
    assert found.startswith(f"before\n{first}\n| ") and found.endswith(f" |\n{last}\nafter\n")
    assert "old" not in found


def test_a_page_without_marks_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    assert main(["list", "--markdown", str(page)]) == 2
    assert "expected a page with the marks" in capsys.readouterr().err and text_of(page) == "nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_variants_are_told_apart_by_what_is_said_of_them(kind: str) -> None:
    found = catalog(kind, declared=True)
    said = [about.described(plugin, found) for plugin in found.variants.values()]
    assert [text for text in said if said.count(text) > 1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_generated_page_has_every_plugin_with_its_source_and_fields(kind: str) -> None:
    found = catalog(kind, declared=True)
    made = markdown.plugins(found)
    for name in [*found.variants, *found.patterns]:
        assert f"| `{name}` | " in made, name
    assert made.count("**Differs from the paper:**") >= len(found.variants) / 4
    assert made.count("??? note") >= 5
    blocks = groupby(made.splitlines(), lambda line: line.lstrip().startswith("| "))
    tables = [{line.count("|") for line in block} for is_table, block in blocks if is_table]
    assert len(tables) > 10 and all(len(cells) == 1 for cells in tables)  # as many in every line


def test_marks_on_pages_are_known() -> None:
    marks = {mark for page in PAGES for mark in re.findall(r"<!-- generated: (\w+) -->", text_of(page))}
    assert marks == {*KINDS, "nets", "profiles"}
    assert "| `resnet18` |" in markdown.nets() and "| `paper` |" in markdown.profiles()


# The pages on how to add something


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All plugins that pages show, a file each."""
    folder = tmp_path_factory.mktemp("plugged")
    for page in PLUGGED:
        for source in blocks(ROOT / page, "python"):
            kind = "methods" if "bench.core.method" in source else "defenses"
            name = (ast.get_docstring(ast.parse(source)) or "").partition(":")[0].lower()
            (folder / kind).mkdir(exist_ok=True)
            (folder / kind / f"{name}.py").write_text(source, encoding="utf-8")
    return folder


def shown(kind: str, folder: Path) -> Iterator[Plugin]:
    """The plugins of the pages, small, with one of each pattern."""
    own, found = catalog(kind), catalog(kind, folder)
    patterns = set(found.patterns) - set(own.patterns)
    for name in [*(set(found.variants) - set(own.variants)), *(PATTERNED[name] for name in patterns)]:
        yield shrink(found.get(name))


def test_plugins_are_declared_without_torch(plugged: Path) -> None:
    for kind, least in zip(KINDS, (4, 2), strict=True):
        as_declared, imported = (catalog(kind, plugged, declared=way) for way in (True, False))
        assert as_declared.names == imported.names and not as_declared.missing
        assert len(set(imported.variants) - set(catalog(kind).variants)) >= least


def test_methods_keep_the_contract(plugged: Path, split: Split) -> None:
    for plugin in shown("methods", plugged):
        method = plugin.value
        before = split.images.clone()
        delta = method.craft(split, toy_lab())
        check_delta(delta, split.images, method.threat, plugin.name)
        found = published(method.threat, split.images, delta)
        check_published(found, split.images, method.threat, plugin.name)
        if method.form == "class-wise":
            check_classes(found, split.images, split.labels, "abcd", plugin.name)
        assert torch.equal(method.craft(split, toy_lab()), delta) and torch.equal(split.images, before)


def test_defenses_keep_the_contract(plugged: Path, split: Split) -> None:
    for plugin in shown("defenses", plugged):
        defense, net = plugin.value, small_net()
        prepared = defense.purify(split.images, split.labels, toy_kit(defense, split))
        check_prepared(prepared, split.images, plugin.name)
        x = to_float(prepared)
        check_augmented(defense.augment(x, generator(0)), x, plugin.name)
        losses = [defense.loss(net, x, split.labels, generator(seed), 0.5) for seed in (0, 0, 1)]
        assert losses[0].ndim == 0 and torch.isfinite(losses[0]) and losses[0] == losses[1]
        moved = not torch.equal(prepared, split.images) or losses[0] != losses[2]
        assert moved, f"{plugin.name} does nothing"


@pytest.mark.parametrize("source", blocks(DOCS / "your-own-net.md", "python"))
def test_nets_keep_the_contract(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "your-own-net.md", "exec"), scope)
    nets: dict[str, Architecture] = scope["NETS"]
    for name, architecture in nets.items():
        body = architecture.body(Shape(3, SIZE, CLASSES))
        net = Net(body, CLASSES, "fp32")
        x = torch.rand(2, 3, SIZE, SIZE, generator=generator(0))
        assert net.features(x).shape == (2, body.width) and net(x).shape == (2, CLASSES), name
        assert torch.equal(net.eval()(x), net(x))
        Recipe(**architecture.recipe)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="images of 6 pixels, expected"):
            architecture.body(Shape(3, 6, CLASSES))


def test_data_that_the_page_writes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = DOCS / "your-own-data.md"
    for source in blocks(page, "python"):
        exec(compile(source, page.name, "exec"), {"__name__": "example"})
    specs = [
        arguments[arguments.index("--data") + 1] for arguments in commands(page) if "--data" in arguments
    ]
    assert {spec.partition(":")[0] for spec in specs} == {"parquet", "folder"}
    for spec in specs:
        found = data.load(spec, root=None, limit=None, cache=tmp_path / "cache")
        assert (found.channels, found.size, set(found.classes)) == (3, 16, {"dark", "bright"})
        assert len(found.train) + len(found.val) == 400


def test_the_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scope: dict[str, Any] = {"__name__": "example"}
    for source in blocks(DOCS / "python.md", "python"):
        exec(compile(source, "python.md", "exec"), scope)
    assert scope["row"].status == "ok" and len(scope["rows"]) == 2
    said = capsys.readouterr().out
    assert "uint8 (200, 16, 16, 3)" in said and "(60, 16, 16, 3)" in said and "purified 0." in said
    assert set(bench.__all__) == set(
        re.findall(r"members: \[(.*)\]", text_of(DOCS / "python.md"))[0].split(", ")
    )


# The site and the package


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose own tags are left out."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
SITE: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from leaves(part)


def test_every_page_is_in_the_navigation() -> None:
    named = set(leaves(SITE["nav"]))
    assert {page.name for page in DOCS.glob("*.md")} <= named
    for name in named - {"index.md"}:  # index.md is README
        assert (DOCS / name).is_file() or (ROOT / name).is_file(), name


def test_a_papers_number_beside_ours_is_two_clicks_away() -> None:
    """From README to the page on claims, and from there to the card; how sure ours is, how to repeat it."""
    page, card = DOCS / "claims.md", ROOT / "results" / "claims" / "card.md"
    assert "docs/claims.md" in relative_links(ROOT / "README.md")
    assert "../results/claims/card.md" in relative_links(page)
    assert {"how-to-read-a-line", "how-to-repeat-one"} <= headings(page)
    said = text_of(card)
    assert "| published | read | ours | n |" in said and "\n    python -m bench run --methods METHOD" in said


def test_the_hooks_on_the_page_are_those_of_the_class() -> None:
    page = text_of(DOCS / "your-own-defense.md")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| `\(([^)]*)\)", page, re.M)
    assert len(rows) == 7
    for name, given in rows:
        takes = [each.partition(":")[0].strip() for each in given.split(",")]
        assert takes == [*inspect.signature(getattr(Undefended, name)).parameters][1:], name


def test_what_the_page_says_of_the_lab_is_there_and_whole() -> None:
    said = set(re.findall(r"`lab\.(\w+)", text_of(DOCS / "your-own-method.md")))
    public = {name for name in {**vars(Lab), **Lab.__annotations__} if not name.startswith("_")}
    assert said == public - {"build", "seed", "facts", "left", "judge"}


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
    assert citation["version"] == bench.__version__
    assert f"## {bench.__version__} ({citation['date-released']})" in text_of(ROOT / "CHANGELOG.md")
    assert f"version = {{{bench.__version__}}}" in text_of(ROOT / "docs" / "faq.md")


def test_the_image_copies_what_is_there() -> None:
    """And what it copies is in the context."""
    kept = {line[1:] for line in text_of(ROOT / ".dockerignore").splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (.+) \S+$", text_of(ROOT / "Dockerfile"), re.M)
    sources = {source for line in copied for source in line.split()}
    assert sources == kept and all((ROOT / source).exists() for source in sources)


def test_the_notes_of_a_release_are_its_section_of_the_changes() -> None:
    """And there are none for the tag of another version."""
    said, other = (
        subprocess.run(
            [sys.executable, ROOT / ".ci" / "release", tag], capture_output=True, text=True, check=False
        )
        for tag in (f"v{bench.__version__}", "v0.0.0")
    )
    section = text_of(ROOT / "CHANGELOG.md").partition(f"\n## {bench.__version__} (")[2]
    assert said.stdout.startswith("- ") and said.stdout in section and "\n## " not in said.stdout
    assert other.returncode == 1 and f"expected v{bench.__version__}" in other.stderr


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_every_workflow_is_linted() -> None:
    assert WORKFLOWS and all(
        f".github/workflows/{file.name}" in text_of(ROOT / "tox.ini") for file in WORKFLOWS
    )


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_workflows_run_what_is_there(file: Path) -> None:
    jobs = yaml.safe_load(text_of(file))["jobs"]
    ran = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    known = {".ci/run", ".ci/release", *re.findall(r"^\[testenv:(\w+)\]", text_of(ROOT / "tox.ini"), re.M)}
    for line in ran:
        assert any(name in line for name in known), line


@pytest.mark.parametrize("folder", [ROOT / "results", ROOT / "results" / "archive"], ids=lambda f: f.name)
def test_a_list_of_stored_results_has_every_folder_and_the_number_of_its_rows(folder: Path) -> None:
    (table,) = re.findall(r"^\| folder \|.*\n\|.*\n((?:\|.*\n)+)", text_of(folder / "README.md"), re.M)
    listed = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        listed[cells[0].partition("`")[2].partition("`")[0]] = next(
            c for c in cells if c in {"-"} or c.isdigit()
        )
    there = {place: len([*place.rglob("rows/*.json")]) for place in folder.iterdir() if place.is_dir()}
    assert listed == {place.name: str(rows or "-") for place, rows in there.items()}
