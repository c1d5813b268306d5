"""The page: alone in the world, every link has its target, every name is text."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jinja2 import DictLoader, UndefinedError, nodes
from markupsafe import escape

from bench.cli.main import main
from bench.report.figures.write import write_figures
from bench.report.formats import escaped, latex
from bench.report.html.page import TEMPLATES, inline, page
from bench.report.html.warnings import warnings_of_row, warnings_of_setting
from bench.report.summary import anchor, collect
from bench.results.rows import Row, save
from support.evidence import SETTING, TRACE, grid, keep_sample, row
from support.rows import completed

DRAWN = {"svg", "defs", "style", "g", "path", "use", "clipPath", "rect", "image", "pattern"}  # by matplotlib
EVIL = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """What a browser would see: ids, links, addresses, the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data)

    def all(self, attribute: str, *, of: str | None = None) -> list[str]:
        return [a[attribute] for name, a in self.tags if attribute in a and of in (None, name)]


def run_folder(place: Path, rows: list[Row]) -> Path:
    (place / "rows").mkdir(parents=True)
    for each in rows:
        save(completed(each), place / "rows")
    return place


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid, reported in a process where torch cannot be had."""
    place = run_folder(tmp_path_factory.mktemp("place") / "run", grid())
    keep_sample(place, "em")
    code = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        f"from bench.cli.main import main; sys.exit(main(['report', {str(place)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "report.html" in ended.stdout and "Test accuracy" in ended.stdout
    return place


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    return (run / "report" / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(text: str) -> Reader:
    return Reader(text)


def test_it_is_alone(text: str, seen: Reader, run: Path) -> None:
    said = re.sub(r"data:image/png;base64,[^\"]*", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", said)
    assert all(source.startswith("data:") for source in seen.all("src"))
    assert not {"link", "iframe", "object", "base"} & {name for name, _ in seen.tags}
    assert all(target.startswith("#") for target in (*seen.all("href"), *seen.all("xlink:href")))
    assert str(run) not in text and str(Path.home()) not in text


def test_every_link_has_its_target_and_no_id_is_twice(seen: Reader) -> None:
    ids = seen.all("id")
    assert len(ids) == len({*ids})
    targets = {target[1:] for target in (*seen.all("href"), *seen.all("xlink:href"))}
    assert targets <= {*ids} and {own for own in ids if own.startswith("part.")} <= targets
    clips = re.findall(r"url\(#([^)]+)\)", " ".join(seen.all("clip-path") + seen.all("style")))
    assert clips and {*clips} <= {*ids}


def test_from_the_heat_map_to_the_cell_to_its_curve(text: str) -> None:
    target = {kind: anchor(kind, SETTING, "tap", "none") for kind in ("cell", "curve")}
    assert text.index(f'href="#{target["cell"]}"') < text.index(f'id="{target["cell"]}"')
    section = text[text.index(f'id="{target["cell"]}"') :]
    assert f'href="#{target["curve"]}"' in section[: section.index("</article>")]
    assert f'<g id="{target["curve"]}"' in text


def test_hostile_names_are_text() -> None:
    hostile = row(EVIL, EVIL, data=EVIL, rerun=EVIL, environment={"commit": EVIL}, craft={EVIL: EVIL})
    hostile = replace(hostile, seeds={EVIL: 1}, mi_estimator=EVIL, published=EVIL, finished=EVIL)
    broken = row("em", EVIL, acc=None, data=EVIL, status="failed", reason=f"{EVIL}\n{EVIL}", mi_reason=EVIL)
    text = page(collect([hostile, broken]), {})
    seen = Reader(text)
    assert "<script>alert" not in text and EVIL in "".join(seen.words)
    assert [name for name, _ in seen.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)


def test_hostile_names_are_text_in_the_drawings_too(tmp_path: Path) -> None:
    """matplotlib keeps what it draws as comments: what ends a comment there would begin markup here."""
    hostile = [EVIL, "--><script>alert(1)</script>", "]]><g onload='alert(1)'>", "$\\x{&"]
    rows = [row(m, d, data=hostile[1]) for m in hostile for d in (*hostile[:2], "none")]
    summaries = collect(rows)
    figures = write_figures(summaries, tmp_path, tmp_path)
    text = page(summaries, figures)
    seen = Reader(text)
    names = [name for name, _ in seen.tags]
    assert names.count("svg") == 3 and names.count("script") == 1
    assert not any(name.startswith("on") for _, attributes in seen.tags for name in attributes)
    ids = seen.all("id")
    assert len(ids) == len({*ids}) and {t[1:] for t in (*seen.all("href"), *seen.all("xlink:href"))} <= {*ids}
    for drawing in re.findall(r"<svg.*?</svg>", text, re.S):
        assert "alert(1)" in drawing  # the names are in it
        elements = {element.tag for element in ElementTree.fromstring(drawing.replace("xlink:", "")).iter()}
        assert elements <= DRAWN


def test_the_leaderboard_is_that_of_its_verb(run: Path, text: str, tmp_path: Path) -> None:
    """The same cells in the same order, in tables that can be sorted."""
    place = run_folder(tmp_path / "run", grid())
    assert main(["leaderboard", str(place)]) == 0
    blocks = (place / "leaderboard.md").read_text(encoding="utf-8").split("\n\n")
    expected = [
        [cell.strip() for line in block.splitlines() if ":--" not in line for cell in line[1:-1].split("|")]
        for block in blocks
        if block.startswith("| method")
    ]
    section = text[text.index(f'id="{anchor("part", SETTING, "Leaderboard")}"') :]
    tables = re.findall(r'<table class="sortable.*?</table>', section[: section.index("</section>")], re.S)
    found = [Reader(re.sub(r"<caption>.*?</caption>", "", shown, flags=re.S)).words for shown in tables]
    assert len(found) == 4 and found == expected
    for key, said in re.findall(r'<td(?: data-key="([^"]*)")?>([^<]*)</td>', "".join(tables)):
        number = re.match(r"-?[\d.]+", said)
        assert (
            key == {"-": "", "control": ""}.get(said, said)
            if number is None
            else float(key) == float(number[0])
        )


def test_the_page_ranks_over_the_set_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `leaderboard` does with the same words: table, cost figure and cost table are of one set."""
    rows = [replace(own, key=f"{number:064x}"[::-1]) for number, own in enumerate(grid())]
    place = run_folder(tmp_path / "run", rows)
    assert main(["report", str(place), "--defenses", "none,cutot"]) == 2
    assert "did you mean 'cutout'?" in capsys.readouterr().err
    assert not (place / "report").exists() and not (place / "rows.csv").exists()

    assert main(["report", str(place), "--defenses", "none"]) == 0
    assert main(["leaderboard", str(place), "--defenses", "none"]) == 0
    words = " ".join(" ".join(Reader((place / "report" / "report.html").read_text()).words).split())
    board = (place / "leaderboard.md").read_text()
    said = board[board.index("Set of defenses") : board.index("iss-gray.") + len("iss-gray.")]
    assert "Set of defenses: none (hash" in said and "there are rows: cutout, iss-gray." in said
    assert said in words
    assert "mi-ue: unranked" not in words  # the cell that it lacks is not in the set
    (summary,) = collect(rows, ranked=["none"])
    assert {cost.worst.defense for cost in summary.costs() if cost.worst} == {"none"}


def test_processors_are_said_and_doubted_where_there_are_several() -> None:
    rows = [row("em", rep=i, environment={"processor": name}) for i, name in enumerate(("One", "Another"))]
    rows += [row("tap", environment={})]  # from before it was kept
    (summary,) = collect(rows)
    words = Reader(page([summary], {})).words
    assert words[words.index("processors") + 1] == "Another; One"
    assert "mixed: processor (Another, One, absent)." in summary.accuracy.caption
    assert any("processor (Another, One, absent)" in warning for warning in warnings_of_setting(summary))


def test_settings_do_not_share_a_target() -> None:
    seen = Reader(page(collect([row("em"), row("em", setting="e" * 64)]), {}))
    ids = seen.all("id")
    assert len(ids) == len({*ids})


@pytest.mark.parametrize("name", TEMPLATES.list_templates(["j2"]))
def test_a_template_escapes_what_it_is_given_and_refuses_what_it_is_not(name: str) -> None:
    """Whatever its name is, and nothing in it turns that off."""
    template = TEMPLATES.overlay(loader=DictLoader({name: "<i>{{ given }}"})).get_template(name)
    assert template.render(given=EVIL) == f"<i>{escape(EVIL)}"
    with pytest.raises(UndefinedError, match="given"):
        template.render()
    assert TEMPLATES.loader is not None
    tree = TEMPLATES.parse(TEMPLATES.loader.get_source(TEMPLATES, name)[0])
    assert not [*tree.find_all(nodes.EvalContextModifier)]
    assert "safe" not in {found.name for found in tree.find_all(nodes.Filter)}


def test_it_says_what_happened(text: str, seen: Reader) -> None:
    words = " ".join(" ".join(seen.words).split())
    assert "RuntimeError: <b>no</b> & nothing" in words and 'File "methods/em.py", line 3' in words
    assert "images are gray" in words and "No row: it was not run." in words
    assert "synthetic" in words and "Spread unknown" in words
    assert "run --methods tap" in words and "No command to compute it again" in words
    assert "data:image/png;base64," in text and "delta amplified" in text
    assert "Without samples beside the rows: clean, mi-ue, tap." in words
    for fact in ("d" * 64, "c0ffee", SETTING):
        assert fact in words


def test_a_cell_shows_the_interval_of_its_mi() -> None:
    text = page(collect([row("em", mi_low=0.01234, mi_high=0.0567), row("tap")]), {})
    assert "0.0123 to 0.0567" in text and text.count(" to 0.0") == 1


def test_tables_can_be_sorted_by_numbers(seen: Reader) -> None:
    keys = seen.all("data-key", of="td")
    numbers = [key for key in keys if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", key)]
    assert len(numbers) > 50
    assert "None" not in keys and "nan" not in keys


def test_same_rows_same_page(run: Path, text: str, tmp_path: Path) -> None:
    """From the figures that are there: drawing them again is tested with them."""
    figures = {path.stem: path.with_suffix("") for path in (run / "report").glob("*.svg")}
    rows = grid()
    first = page(collect(rows), figures)
    assert page(collect(rows[::-1]), figures) == first


def test_ids_of_a_drawing_get_its_name() -> None:
    drawing = (
        '<?xml?><svg xmlns="http://w3"><metadata>http://x</metadata><path id="p1"/><use xlink:href="#p1"/>'
    )
    drawing += '<g id="curve.a.b" clip-path="url(#p1)"/></svg>'
    assert inline(drawing, "cost") == (
        '<svg><path id="cost-p1"/><use xlink:href="#cost-p1"/>'
        '<g id="curve.a.b" clip-path="url(#cost-p1)"/></svg>'
    )


# Doubts


def test_a_victim_that_did_not_learn_is_no_evidence() -> None:
    assert any("hardly fits" in warning for warning in warnings_of_row(row("em", train_acc=0.1), []))
    assert not warnings_of_row(row("em"), [])
    assert not warnings_of_row(row("em", acc=None, status="failed", train_acc=0.1), [])


def test_a_cell_that_equals_clean_is_doubted() -> None:
    clean = row("clean", control=True, linf=0.0)
    twin = replace(row("em"), test_acc=clean.test_acc, curve=clean.curve)
    assert any("exactly those of clean" in warning for warning in warnings_of_row(twin, [clean]))
    assert not warnings_of_row(replace(twin, test_acc=0.123), [clean])
    assert not warnings_of_row(clean, [clean])
    assert any("are the clean ones" in warning for warning in warnings_of_row(row("em", linf=0.0), []))


def test_doubts_about_a_setting() -> None:
    def said(*rows: Row) -> str:
        (summary,) = collect(rows)
        return " ".join(warnings_of_setting(summary))

    calm = [row("clean", rep=rep, synthetic=False, control=True) for rep in range(2)]
    assert said(*calm) == ""
    assert "synthetic" in said(*(replace(r, synthetic=True) for r in calm))
    assert "Spread unknown" in said(calm[0])
    assert "There is no clean" in said(*(replace(r, method="em") for r in calm))
    other = replace(calm[1], environment={"commit": "beef-dirty", "device": "cpu"})
    assert "mixed: commit (beef-dirty, c0ffee)" in said(calm[0], other) and "changed after" in said(
        calm[0], other
    )
    unlearned = [row("em", "at-8", rep, train_acc=0.1) for rep in range(2)]
    assert "Doubted, see their cells: 2 under at-8." in said(*calm, *unlearned)
    assert "1 of 2 cells have no accuracy (failed)" in said(*calm, row("em", acc=None, status="failed"))


# The other tables


def test_latex_prints_every_sign_as_it_is() -> None:
    assert escaped("a_b & 5% {x} ~ ^ \\ #1 $") == (
        r"a\_b \& 5\% \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \#1 \$"
    )
    (summary,) = collect([row("m_1", acc=0.25), row("m_1", rep=1, acc=0.35)])
    assert r"m\_1 & 30.0 $\pm$7.1 \\" in latex(summary.accuracy).splitlines()


def test_latex_lies_beside_markdown(run: Path) -> None:
    names = {path.stem for path in run.glob("*.md")}
    assert names and names == {path.stem for path in run.glob("*.tex")}


def test_reasons_stand_below_the_latex_table() -> None:
    (summary,) = collect([row("em", acc=None, status="failed", reason=TRACE)])
    text = latex(summary.accuracy)
    assert "& failed" in text
    assert "em x none: failed: RuntimeError" in text.partition(r"\end{tabular}")[2]


@pytest.mark.parametrize("rows", [None, []])
def test_nothing_to_report(
    tmp_path: Path, rows: list[Row] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path if rows is None else run_folder(tmp_path / "run", rows)
    assert main(["report", str(place)]) == 2
    assert "expected" in capsys.readouterr().err
    assert not (place / "report").exists() and not (place / "rows.csv").exists()
