"""The page as text: what is in it, that it holds together, and what the command does around it."""

import hashlib
import itertools
import json
import os
import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.mistakes.catalogue import explain
from pgcheck.report.verification import WHY
from tests import oracles
from tests.conftest import ROOT, Run, pgcheck_command
from tests.report.html.pages import Made, failing, hostile, page, plain, report
from tests.report.terminals import lines_of, seen_on_terminal
from tests.test_layers import loaded_by

pytestmark = pytest.mark.html

TWO_MISTAKES = """
import numpy as np

def gradient(batch):
    to_go = [[sum(g.rewards[k] * batch.gamma ** (k - t) for k in range(t, len(g.rewards)))
              for t in range(len(g.rewards))] for g in batch]
    return [-sum(w * batch.score[i, t] for t, w in enumerate(weights)) for i, weights in enumerate(to_go)]
"""
EMPTY = {"meta", "br", "link", "img", "input", "hr"}
MADE = pytest.mark.parametrize("made", [failing, plain, hostile])


class Elements(HTMLParser):
    """The elements of a page with their attributes; fails where one is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def named(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def faults_of_ids(html: str) -> set[str]:
    """Ids that two elements have, and references to an id that no element has."""
    elements = Elements(html).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    texts = " ".join(" ".join(attributes.values()) for _, attributes in elements)
    wanted = set(re.findall(r"url\(#([^)]+)\)", texts))
    wanted |= {a["href"][1:] for _, a in elements if a.get("href", "").startswith("#")}
    return {it for it in ids if ids.count(it) > 1} | wanted - set(ids)


@MADE
def test_ids_are_unique_and_lead_somewhere(made: Callable[[], Made]) -> None:
    assert faults_of_ids(made().html) == set()


def test_ids_that_are_not_would_be_found() -> None:
    html = plain().html
    assert "model" in faults_of_ids(html.replace('id="gradient"', 'id="model"'))
    assert "gradient" in faults_of_ids(html.replace('id="gradient"', 'id="elsewhere"'))


def colours_of(html: str) -> tuple[set[str], set[str], set[str]]:
    """The variables that pictures use, those that the style sheet sets, and colours that do not follow the page."""
    style, _, body = html.partition("</style>")
    svg = "".join(re.findall(r"<svg.*?</svg>", body, re.DOTALL))
    attributes = " ".join(re.findall(r'style="([^"]*)"', svg))
    used = set(re.findall(r"var\((--[a-z0-9-]+)", attributes)) - {"--width"}
    fixed = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"var\([^)]*\)|url\([^)]*\)", "", attributes)))
    return used, set(re.findall(r"(--[a-z0-9-]+):", style)), fixed


@MADE
def test_every_colour_of_a_picture_is_the_pages(made: Callable[[], Made]) -> None:
    used, known, fixed = colours_of(made().html)
    assert {"--ink", "--series-0", "--heat-40"} <= used <= known
    assert fixed == set()


def test_colours_that_are_not_would_be_found() -> None:
    html = plain().html
    assert "--heat-40" not in colours_of(html.replace("--heat-40:", "--other:"))[1]
    assert colours_of(html.replace("var(--ink,#222222)", "#222222"))[2] == {"#222222"}


@MADE
def test_a_page_is_accessible(made: Callable[[], Made]) -> None:
    elements = Elements(made().html)
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
    assert elements.named("html") == [{"lang": "en"}]
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in elements.named("svg"))
    assert len(elements.named("svg")) == len(elements.named("figure")) == len(elements.named("figcaption")) >= 5
    assert all(cell["scope"] in ("col", "row") for cell in elements.named("th"))


def test_its_numbers_are_those_of_plain_loops() -> None:
    mdp, policy = pgcheck.load("bandit")
    gradient = oracles.complex_step(mdp, policy)
    numbers = dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", plain().html))
    assert float(numbers["‖∇J(θ)‖"]) == pytest.approx(float(np.linalg.norm(gradient)), rel=1e-6)
    rewards = mdp.reward @ (policy.probs()[0][mdp.action] * mdp.prob)
    assert float(numbers["J(θ)"]) == pytest.approx(float(rewards), rel=1e-6)


def test_it_says_what_the_other_commands_say(run: Run) -> None:
    html = failing().html
    sampled = json.loads(run("sample", "two_state", "--top", "8", "--format", "json").stdout)
    for it in sampled["most_likely"]:
        cells = f">{it['probability']:.6g}<", f">{it['count']:,}<", f">{it['frequency']:.6g}<"
        assert re.search(".{0,60}".join(map(re.escape, cells)), html)
    together = sum(it["probability"] for it in sampled["most_likely"])
    assert f"with {100 * together:.2f} % of the probability" in html
    compared = json.loads(run("compare", "two_state", "--estimator", "reward-to-go", "--format", "json").stdout)
    assert f">{compared['estimators'][0]['error']:.2e}<" in html


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("two_state", "--estimator", "reward-to-go"), 0),
        (("two_state", "--estimator", "reward-to-go,dropped-gamma"), 1),
        (("two_state", "--estimator", "reward-to-go,nowhere.py:f"), 2),
        (("two_state", "--estimator", "dropped-gamma", "--allow", "dropped-gamma"), 0),
    ],
)
def test_the_exit_status_is_that_of_verify_and_the_page_is_written(
    arguments: tuple[str, ...], status: int, run: Run, tmp_path: Path
) -> None:
    done = run("report", *arguments, "-o", "page.html")
    assert done.returncode == status
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == arguments[2].count(",") + 1  # a line for each verdict
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count('<article id="verdict-') == arguments[2].count(",") + 1
    assert ("nowhere.py: no such file" in html) == (status == 2)


@pytest.mark.parametrize(
    ("allowed", "explained"), [((), ["dropped-gamma", "sign"]), (("--allow", "dropped-gamma"), ["sign"])]
)
def test_every_mistake_that_is_not_allowed_is_explained(
    allowed: tuple[str, ...], explained: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(TWO_MISTAKES)
    html = page("two_state", "--estimator", "mine.py:gradient", *allowed, folder=tmp_path).html
    assert re.findall("<h4>(.*?): ", html) == explained
    assert html.count("ψ_t = ∇log π(a_t|s_t)") == len(explained)  # the formulas can be read
    assert WHY not in html
    for mistake in explained:
        near = explain(mistake).see
        assert near
        assert all(f"<code>pgcheck explain {name}</code>" in html for name in (mistake, *near))


def test_a_pass_is_not_explained() -> None:
    html = page("two_state", "--estimator", "dropped-gamma", "--allow", "dropped-gamma").html
    assert "<h4>" not in html
    assert "ψ_t" not in html


def test_without_estimators_there_is_no_verdict() -> None:
    assert plain().status == 0
    assert 'id="verdicts"' not in plain().html
    assert 'href="#verdicts"' not in plain().html
    assert "uniform-trajectories" in plain().html  # the wrong reading stands beside the right one


def test_the_same_command_writes_the_same_bytes() -> None:
    one, other = (report("bandit", env={**os.environ, "PYTHONHASHSEED": seed}).html for seed in ("1", "2"))
    assert one == other == plain().html
    assert page("bandit", "--seed", "1").html != one


def test_drawn_verdicts_make_the_same_page_where_no_clock_ends_them() -> None:
    arguments = ("bandit", "--estimator", "reward-to-go", "--evidence", "sampled")
    one, other = (page(*arguments, "--max-rollouts", "4096") for _ in range(2))
    timed = page(*arguments)
    assert one.html == other.html
    promise = "<p>The same command writes the same page.</p>"
    assert [promise in it.html for it in (one, timed, failing())] == [True, False, True]
    assert "With <code>--max-rollouts N</code> all of the page is the same every time." in timed.html


def test_options_of_verify_are_obeyed_and_told() -> None:
    assert page("two_state", "--estimator", "dropped-gamma").status == 1
    assert page("two_state", "--estimator", "dropped-gamma", "--tolerance", "0.5").status == 0
    drawn = (
        "--same-start", "--batch-sizes", "2", "--evidence", "sampled", "--confidence", "0.99",
        "--max-rollouts", "4096",
    )  # fmt: skip
    made = page("two_state", "--estimator", "reward-to-go", *drawn)
    assert made.status == 0
    assert "with confidence 99 % (4,096 batches of 2)" in made.told
    for command in ("pgcheck verify reward-to-go two_state", "pgcheck report two_state --estimator reward-to-go"):
        (options,) = re.findall(f'<pre class="command">{command} (.*?)(?: -o report.html)?</pre>', made.html)
        assert sorted(options.split()) == sorted(drawn)


def test_it_tells_how_to_make_it_again(tmp_path: Path) -> None:
    text = failing().html
    assert f"pgcheck {pgcheck.__version__}" in text
    assert f"<td>{np.__version__}</td>" in text
    (digest,) = re.findall(r">mdps/two_state.yaml</th><td>SHA-256 <code>([0-9a-f]{16})", text)
    assert hashlib.sha256((ROOT / "mdps/two_state.yaml").read_bytes()).hexdigest().startswith(digest)
    (model,) = re.findall(r"<summary>The model as a file</summary>\n<pre>(.*?)</pre>", text, re.DOTALL)
    (tmp_path / "again.yaml").write_text(model.replace("&#39;", "'").replace("&#34;", '"'), encoding="utf-8")
    again, first = (pgcheck.load(it)[0] for it in (str(tmp_path / "again.yaml"), "two_state"))
    assert np.array_equal(again.prob, first.prob)
    assert again.name == first.name


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("-o", "page.json"), 2, "expected a file that ends in .html"),
        (("-o", "no/such/folder/page.html"), 74, "cannot be written"),
        (("nowhere", "-o", "page.html"), 2, "no such file or bundled model"),
        (("-n", "0", "-o", "page.html"), 2, "--n"),
        (
            ("--axes", "ast", "-o", "page.html"),
            2,
            "no MODEL: name one after report",
        ),
        (("--policy", "nowhere.py:f", "-o", "page.html"), 2, "nowhere.py"),
    ],
)
def test_what_it_refuses(arguments: tuple[str, ...], status: int, message: str, run: Run, tmp_path: Path) -> None:
    done = run("report", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_gets_no_page() -> None:
    seen = seen_on_terminal([*pgcheck_command(), "report", "bandit"], 80, dict(os.environ))
    (line,) = lines_of(seen)
    assert line.endswith("write it to a file: -o report.html")


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(missing: str, tmp_path: Path) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('none', name={missing!r})")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [*pgcheck_command(), "report", "bandit"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: report needs {missing}; install it with: pip install 'pgcheck[report]'\n"


def test_nothing_of_it_is_loaded_without_it() -> None:
    of_pages = {"jinja2", "markupsafe", "matplotlib", "fontTools", "networkx"}
    assert not loaded_by("from pgcheck.cli.main import run\nassert run(['exact']) == 0") & of_pages
    code = (
        "import contextlib, io\nfrom pgcheck.cli.main import run\nassert run(['report', 'bandit', '-o', {!r}]) == 0"
    )
    assert of_pages <= loaded_by(code.format(os.devnull))


def test_the_template_and_its_style_come_with_the_package() -> None:
    folder = files("pgcheck.report.html")
    assert [(folder / name).is_file() for name in ("page.jinja", "page.css", "page.txt")] == [True, True, False]
