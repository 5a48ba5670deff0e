"""The pages of README.md and docs/ as a whole: links, the site, and reference pages against the program."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pgcheck
from tests import commands_page
from tests.conftest import ROOT, Run
from tests.links import broken_links
from tests.page_checks import COMMANDS
from tests.pages import DOCS, README, pages


@pytest.mark.parametrize("page", [README, *sorted(DOCS.rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_a_broken_link_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A heading: with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#a-heading-with-code) [b](https://example.com) [c](gone.md) [d](other.md#gone) `[e](f)`"
    )
    assert broken_links(page) == ["gone.md", "other.md#gone"]


def test_the_page_of_commands_is_that_of_the_program() -> None:
    assert commands_page.PAGE.read_text() == commands_page.commands_page(), (
        "python -m tests.write_docs writes it anew"
    )


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_that_help_shows_is_on_the_page(name: str, run: Run) -> None:
    shown = set(re.findall(r"^ +(?:-\w, )?(--[a-z0-9-]+)", run(name, "--help").stdout, re.MULTILINE))
    section = commands_page.PAGE.read_text().partition(f"\n## pgcheck {name}\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| (?:`|<code>)(?:-\w, )?(--[a-z0-9-]+)", section, re.MULTILINE))
    assert shown - {"--help"} == told
    assert told


@pytest.mark.docs
def test_the_site_is_built_and_asks_nobody_for_anything(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path),
    ]  # --quiet would undo --strict
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = {page: page.read_text() for page in tmp_path.rglob("*.html")}
    assert len(built) > len(pages())
    assert not [(page, link) for page, text in built.items() for link in requests(text)]


def requests(page: str) -> list[str]:
    """What a page in HTML loads from elsewhere when it is opened."""
    return re.findall(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=[\"']?((?:https?:)?//[^\"'> ]+)", page)


def test_a_request_is_found_out() -> None:
    page = '<a href="https://a.example"><link rel=x href="https://b.example/c.css"><script src=//d.example/e.js>'
    assert requests(page) == ["https://b.example/c.css", "//d.example/e.js"]


def test_every_public_name_is_on_the_page_of_the_library() -> None:
    shown = re.findall(r"^::: pgcheck[\w.]*?\.(\w+)$", (DOCS / "reference" / "library.md").read_text(), re.MULTILINE)
    assert set(pgcheck.__all__) <= set(shown)
    assert len(set(shown)) == len(shown)


KEYS = [  # a heading of the page of JSON, and a command that prints all keys of its table
    ("exact", "exact --top 1"), ("sample", "sample --n 100 --top 1"), ("converge", "converge --n 10,100"),
    ("converge", "converge --n 10 --estimator reinforce,gae"),
    ("plan", "plan --estimator reinforce"), ("compare", "compare --n 100 --estimator reinforce"),
    ("explain", "explain scale two_state"),
    ("verify", "verify dropped-gamma two_state --evidence sampled --max-rollouts 4096"), ("estimators", "estimators"),
    ("trajectories", "trajectories --format json"), ("show", "show"), ("models", "models"),
]  # fmt: skip


@pytest.mark.parametrize(("heading", "command"), KEYS)
def test_the_page_of_json_has_all_keys(heading: str, command: str, run: Run) -> None:
    printed = json.loads(run(*command.split(), *([] if "--format" in command else ["--format", "json"])).stdout)
    assert keys_of(printed) <= told_keys(heading) | told_keys("Every object")


def test_a_key_that_the_page_lacks_is_found_out() -> None:
    printed = {"models": [{"name": "a", "start": {"left": 1}, "more": [{"new_key": 1}]}]}
    assert keys_of(printed) - told_keys("models") == {"start", "more", "new_key"}


def told_keys(heading: str) -> set[str]:
    """The keys in a section of the page of JSON."""
    page = (DOCS / "reference" / "json.md").read_text()
    return set(re.findall(r"`([a-z_0-9]+)`", page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]))


def keys_of(value: Any) -> set[str]:
    """The keys of an object and of the objects in it, but for those that are names of a model."""
    if isinstance(value, list):
        return set().union(*(keys_of(it) for it in value))
    if isinstance(value, dict):
        return set(value).union(*(keys_of(it) for name, it in value.items() if name != "start"))
    return set()
