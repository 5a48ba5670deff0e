"""Every block of code in README.md and docs/ is true. `python -m tests.write_docs` writes their outputs anew."""

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import pgcheck
from tests import page_checks
from tests.conftest import ROOT
from tests.page_checks import CHECKS
from tests.pages import Block, blocks, commands, pages

NEEDS = {  # a mark, and the words in a block that need what the mark is about
    "torch": r"\bimport torch|torch_(loss|policy)\.py|examples/agents/",
    "jax": r"\bimport jax",
    "gymnasium": r"\bimport gymnasium|\bgym:|pgcheck\.env|examples/agents/",
    "dask": r"^\$ .*--scheduler",
    "plot": r"^\$ .*--plot |\.plot\(",
    "html": r"^\$ pgcheck report",
}
PROGRAMS = {"jq": r"\| jq ", "node": r"cmd:node ", "mawk": r"cmd:mawk ", "gcc": r"\bgcc "}
TEXTS = {"docs/how-to/program.md": 1}  # output that cannot be run, by page


def needs(block: Block) -> list[Any]:
    """The marks of a block: what it needs to run, where it runs at all."""
    if block.language not in ("console", "python", "pycon") or (block.file and "/" in block.file):
        return []
    marks: list[Any] = [
        getattr(pytest.mark, mark) for mark, words in NEEDS.items() if re.search(words, block.text, re.MULTILINE)
    ]
    lacking = [name for name, words in PROGRAMS.items() if re.search(words, block.text) and not shutil.which(name)]
    return [*marks, *(pytest.mark.skip(reason=f"needs {name}") for name in lacking)]


BLOCKS = [block for page in pages() for block in blocks(page)]
CODE = [block for block in BLOCKS if block.language not in ("", "text")]


@pytest.mark.parametrize("block", [pytest.param(block, marks=needs(block), id=block.place) for block in CODE])
def test_a_block_is_true(block: Block) -> None:
    assert block.language in CHECKS, f"{block.place}: {block.language} is not checked"
    CHECKS[block.language](block)


FALSE = [
    ("console", "$ pgcheck --version\npgcheck 9.9\n"),
    ("console", "$ pgcheck models --format csv | head -2 | tail -1 | cut -c 1-11\ntwo_states\n"),
    ("console", "pgcheck exact\n"),
    ("pycon", ">>> 1 + 1\n3\n"),
    ("pycon", "no prompt\n"),
    ("python", "import pgcheck\npgcheck.no_such_function\n"),
    ("python", "# examples/reinforce.py\ndef reinforce(batch):\n    return batch\n"),
    ("python", "# examples/reinforce.py\nimport numpy as np\n...\nimport numpy as np\n"),
    ("python", "# unused.py\nimport numpy as np\n"),
    ("js", "// examples/programs/reinforce.js\nlet nothing;\n"),
    ("js", "let header;\n"),
    ("yaml", "jobs:\n  a:\n    steps:\n      - run: pgcheck verify --no-such-option\n"),
    ("yaml", "repos:\n- repo: local\n  hooks:\n  - entry: pgcheck verfy\n"),
    ("yaml", "name: nothing\n"),
    ("toml", '[[check]]\nestimator = "examples/reinforce.py:reinforce"\nno-such-key = 1\n'),
    ("toml", '[[check]]\nestimator = "examples/no_such_file.py:reinforce"\n'),
    ("sh", "pgcheck exact --no-such-option\n"),
    ("sh", "pgcheck trajectories | pgcheck verfy -\n"),
    ("sh", "pgchek exact\n"),
    ("json", '{"a": 1\n'),
    ("dockerfile", "RUN pip install 'pgcheck==9.9.9'\n"),
]


@pytest.mark.parametrize(("language", "text"), FALSE)
def test_a_false_block_is_found_out(language: str, text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n```{language}\n{text}```\n")
    (block,) = blocks(page)
    with pytest.raises((AssertionError, ValueError, pgcheck.PgcheckError)):
        CHECKS[language](block)


def test_an_old_picture_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo '<svg><text>new</text></svg>' > drawn.svg\n```\n")
    (tmp_path / "drawn.svg").write_text("<svg><text>new</text></svg>")
    monkeypatch.setattr(page_checks, "PICTURES", tmp_path)
    CHECKS["console"](*blocks(page))
    (tmp_path / "drawn.svg").write_text("<svg><text>old</text></svg>")
    with pytest.raises(AssertionError, match=r"drawn\.svg"):
        CHECKS["console"](*blocks(page))


def test_texts_that_nobody_runs_are_few() -> None:
    texts = [block.page.relative_to(ROOT).as_posix() for block in BLOCKS if block.language in ("", "text")]
    assert {page: texts.count(page) for page in texts} == TEXTS


def test_a_block_in_a_list_is_found_with_its_place(tmp_path: Path) -> None:
    text = "# Page\n\n1. First:\n\n    ```console\n    $ pgcheck models\n    two\n    ```\n"
    assert blocks(tmp_path, text) == [Block(tmp_path, 6, "console", "$ pgcheck models\ntwo\n")]


def test_every_fence_belongs_to_a_block() -> None:
    for page in pages():
        assert len(re.findall(r"^ *```", page.read_text(), re.MULTILINE)) == 2 * len(blocks(page)), page


def test_no_command_is_run_twice() -> None:
    sessions = [block.text for block in BLOCKS if block.language == "console"]
    run = Counter(command for session in sessions for command, _ in commands(session))
    assert [command for command, times in run.items() if times > 1] == []
