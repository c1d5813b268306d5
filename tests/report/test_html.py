"""The page: alone in the world, every link has its target, every name is text."""

from __future__ import annotations

import base64
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
from bench.report.html.page import TEMPLATES, inline, render
from bench.report.html.warnings import warnings_of_row, warnings_of_setting
from bench.report.summary import anchor, collect
from bench.results.rows import Row, save
from support.evidence import grid, keep_sample, row
from support.rows import keyed

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


KEPT = keyed(row("clean")).setting
ONE = ("tap", "iss-gray", 1)  # is not there: its cell is measured once
ONCE = [r for r in grid() if (r.method, r.defense, r.rep) != ONE]


def run_folder(place: Path, rows: list[Row]) -> Path:
    (place / "rows").mkdir(parents=True)
    for each in rows:
        save(keyed(each), place / "rows")
    return place


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid, reported in a process where torch cannot be had."""
    place = run_folder(tmp_path_factory.mktemp("place") / "run", ONCE)
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
    target = {kind: anchor(kind, KEPT, "tap", "none") for kind in ("cell", "curve")}
    assert text.index(f'href="#{target["cell"]}"') < text.index(f'id="{target["cell"]}"')
    section = text[text.index(f'id="{target["cell"]}"') :]
    assert f'href="#{target["curve"]}"' in section[: section.index("</article>")]
    assert f'<g id="{target["curve"]}"' in text


class Nested(HTMLParser):
    """Elements with what lies in them, which a list of tags does not say."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = ElementTree.Element("page")
        self.open = [self.root]
        self.feed(re.sub(r"<svg.*?</svg>", "<svg>drawn</svg>", text, flags=re.S))
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = ElementTree.SubElement(self.open[-1], tag, {name: value or "" for name, value in attrs})
        if tag not in self.VOID:
            self.open.append(own)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text = (self.open[-1].text or "") + data


def words_of(element: ElementTree.Element) -> str:
    return "".join(element.itertext()).strip()


def test_every_table_scrolls_in_a_box_of_its_own_and_has_a_caption_and_whole_rows(text: str) -> None:
    page = Nested(text).root
    boxes = [box for box in page.iter("figure") if box.get("class") == "table"]
    tables = [(box.find("figcaption"), box.find("div/table")) for box in boxes]
    assert len(tables) == len([*page.iter("table")]) > 5
    for caption, table in tables:
        assert caption is not None and words_of(caption) and table is not None
        names, lines = table.findall("thead/tr/th"), table.findall("tbody/tr")
        assert lines and all(len(line) == len(names) for line in lines)
        assert all([cell.tag for cell in line] == ["th", *["td"] * (len(names) - 1)] for line in lines)
        assert all(line[0].get("scope") == "row" for line in lines)
        assert any(words_of(cell) not in ("", "-") for line in lines for cell in line[1:])


def test_no_part_is_empty_and_all_are_listed(text: str) -> None:
    page = Nested(text).root
    parts = [part for part in page.iter("section") if part.get("id", "").startswith("part.")]
    listed = [link.get("href") for nav in page.iter("nav") for link in nav.iter("a")]
    assert [f"#{part.get('id')}" for part in parts] == [at for at in listed if at and at.startswith("#part.")]
    for part in parts:
        heading, *rest = part
        assert heading.tag == "h3" and any(words_of(child) or child.find("img") is not None for child in rest)
    for image in page.iter("img"):
        shown = base64.b64decode(image.get("src", "").partition(",")[2])
        assert shown.startswith(b"\x89PNG") and image.get("alt")
    (nothing,) = collect([row("em", acc=None, status="failed", reason="x")])
    few = {
        part.get("id", "").rpartition(".")[2] for part in Nested(render([nothing], {})).root.iter("section")
    }
    assert "accuracy" in " ".join(few) and not any("curves" in name or "cost" in name for name in few)


def test_first_columns_stay_and_no_picture_is_wider_than_the_page(text: str) -> None:
    """As the style says it; what a browser makes of that is tested where there is one."""
    style = text.partition("<style>")[2].partition("@media")[0]
    rules = {
        name.strip(): said
        for names, said in re.findall(r"([^{}]+)\{([^{}]*)\}", style)
        for name in names.split(",")
    }
    assert re.search(r"position: sticky; left: 0; background", rules["th[scope=row]"])
    assert "overflow-x: auto" in rules[".scroll"]
    assert "max-width: 100%" in rules["figure img"] and "max-width: 100%" in rules["figure svg"]


def test_a_number_in_doubt_is_marked_and_says_why() -> None:
    (summary,) = collect([row("clean", control=True), row("em", acc=0.1)])
    why = "did not learn: 14.2 % of the images it was shown, chance 10.0 %"
    pair = "em", "none"
    cells = {**summary.accuracy.cells, pair: replace(summary.accuracy.cells[pair], doubt=why)}
    doubted = replace(summary, accuracy=replace(summary.accuracy, cells=cells))
    page = Nested(render([doubted], {})).root
    (cell,) = [cell for cell in page.iter("td") if cell.get("title")]
    assert words_of(cell) == "10.0‡" and cell.get("title") == why
    plain = Nested(render([summary], {})).root
    styles = [
        {words_of(own)[:4]: own.get("style") for own in root.iter("td") if own.get("style")}
        for root in (page, plain)
    ]
    assert styles[0]["10.0"] != styles[1]["10.0"] and styles[0]["50.0"] == styles[1]["50.0"]
    assert f"‡ em x none: {why}" in [words_of(item) for item in page.iter("li")]


def test_hostile_names_are_text() -> None:
    hostile = row(EVIL, EVIL, data=EVIL, rerun=EVIL, environment={"commit": EVIL}, craft={EVIL: EVIL})
    hostile = replace(hostile, seeds={EVIL: 1}, mi_estimator=EVIL, published=EVIL, finished=EVIL)
    broken = row("em", EVIL, acc=None, data=EVIL, status="failed", reason=f"{EVIL}\n{EVIL}", mi_reason=EVIL)
    text = render(collect([hostile, broken]), {})
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
    text = render(summaries, figures)
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
    place = run_folder(tmp_path / "run", ONCE)
    assert main(["leaderboard", str(place)]) == 0
    blocks = (place / "leaderboard.md").read_text(encoding="utf-8").split("\n\n")
    expected = [
        [cell.strip() for line in block.splitlines() if ":--" not in line for cell in line[1:-1].split("|")]
        for block in blocks
        if block.startswith("| method")
    ]
    assert len(expected) == 5
    expected = [table for table in expected if any(re.match(r"-?\d", cell) for cell in table)]
    section = text[text.index(f'id="{anchor("part", KEPT, "Leaderboard")}"') :]
    tables = re.findall(r'<table class="sortable.*?</table>', section[: section.index("</section>")], re.S)
    assert [Reader(shown).words for shown in tables] == expected
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
    words = Reader(render([summary], {})).words
    assert words[words.index("processors") + 1] == "Another; One"
    assert "mixed: processor (Another, One, absent)." in summary.accuracy.caption
    assert any("processor (Another, One, absent)" in warning for warning in warnings_of_setting(summary))


def test_settings_do_not_share_a_target() -> None:
    seen = Reader(render(collect([row("em"), row("em", setting="e" * 64)]), {}))
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
    for fact in ("d" * 64, "c0ffee", KEPT):
        assert fact in words


def test_a_cell_shows_the_interval_of_its_mi() -> None:
    text = render(collect([row("em", mi_low=0.01234, mi_high=0.0567), row("tap")]), {})
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
    first = render(collect(rows), figures)
    assert render(collect(rows[::-1]), figures) == first


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
    (summary,) = collect([row("clean", control=True), row("em", acc=0.1, train_acc=0.1)])
    assert any(
        "No verdict (‡)" in warning and "1 under none" in warning for warning in warnings_of_setting(summary)
    )
    flags = [
        words_of(own) for own in Nested(render([summary], {})).root.iter("p") if own.get("class") == "flag"
    ]
    assert len(flags) == 1 and flags[0].startswith("‡ No verdict: did not learn: 10.0 %")
    (learned,) = collect([row("clean", control=True), row("em", acc=0.1)])
    assert "‡" not in render([learned], {})


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
    assert "No verdict (‡), since a victim did not learn: 1 under at-8." in said(*calm, *unlearned)
    assert "1 of 2 cells have no accuracy (failed)" in said(*calm, row("em", acc=None, status="failed"))


# The other tables


def test_latex_lies_beside_markdown(run: Path) -> None:
    names = {path.stem for path in run.glob("*.md")}
    assert names and names == {path.stem for path in run.glob("*.tex")}


@pytest.mark.parametrize("rows", [None, []])
def test_nothing_to_report(
    tmp_path: Path, rows: list[Row] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path if rows is None else run_folder(tmp_path / "run", rows)
    assert main(["report", str(place)]) == 2
    assert "expected" in capsys.readouterr().err
    assert not (place / "report").exists() and not (place / "rows.csv").exists()
