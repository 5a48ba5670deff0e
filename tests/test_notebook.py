"""The notebook runs, and shows what is stored in it. `python -m tests.test_notebook` writes its outputs anew."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples" / "where_does_p_go.ipynb"
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

Notebook = dict[str, Any]


def stored() -> Notebook:
    notebook: Notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def executed(notebook: Notebook, folder: Path) -> Notebook:
    """The same notebook after a fresh kernel has run it in a folder; raises where a cell does."""
    import nbformat
    from nbclient import NotebookClient

    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"  # else it warns of other folders
    node = nbformat.reads(json.dumps(notebook), as_version=4)
    client = NotebookClient(
        node, kernel_name="python3", timeout=300, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    node.metadata = METADATA
    for output in (output for cell in node.cells if cell.cell_type == "code" for output in cell.outputs):
        if len(output.get("data", {})) > 1:
            del output.data["text/plain"]  # what a result shows instead where there is neither HTML nor SVG
    run: Notebook = json.loads(nbformat.writes(node))
    return run


def texts(notebook: Notebook) -> list[str]:
    """What its code cells print, and show as HTML, in order."""
    outputs = [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]
    shown = ["".join(output.get("text") or output.get("data", {}).get("text/html", "")) for output in outputs]
    return [text for text in shown if text]


def agree(ours: str, theirs: str) -> bool:
    """Whether two texts differ in nothing but the last digits of numbers."""
    numbers = zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=False)
    return NUMBER.sub("0", ours) == NUMBER.sub("0", theirs) and all(
        float(one) == pytest.approx(float(other), rel=1e-4, abs=1e-12) for one, other in numbers
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    return executed(stored(), tmp_path_factory.mktemp("notebook"))


@pytest.mark.notebook
@pytest.mark.plot
def test_the_notebook_runs_and_shows_what_is_stored(run: Notebook) -> None:
    shown = texts(run)
    assert len(shown) == 5
    for ours, theirs in zip(shown, texts(stored()), strict=True):
        assert agree(ours, theirs), ours


@pytest.mark.notebook
@pytest.mark.plot
def test_its_pictures_are_drawn_anew(run: Notebook) -> None:
    assert pictures(run) == pictures(stored()) == 2


def pictures(notebook: Notebook) -> int:
    """How many SVG pictures it shows."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    data = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    return sum("".join(it["image/svg+xml"]).startswith("<svg") for it in data if "image/svg+xml" in it)


@pytest.mark.notebook
def test_a_cell_that_raises_is_found(tmp_path: Path) -> None:
    from nbclient.exceptions import CellExecutionError

    notebook = stored()
    notebook["cells"] = [notebook["cells"][1] | {"source": "import pgcheck\npgcheck.load('no such model')"}]
    with pytest.raises(CellExecutionError, match="no such model"):
        executed(notebook, tmp_path)


def test_other_numbers_and_other_words_would_be_seen() -> None:
    assert agree("off by 4.9%, 1e-16", "off by 4.9%, 3e-16")
    assert not agree("off by 4.9%", "off by 4.8%")
    assert not agree("off by 4.9%", "off 4.9%")
    assert not agree("1 2", "1")


def test_it_is_short_and_knows_nothing_of_the_machine_that_ran_it() -> None:
    text, notebook = NOTEBOOK.read_text(encoding="utf-8"), stored()
    assert len(notebook["cells"]) <= 12
    assert len(text) < 300_000
    assert notebook["metadata"] == METADATA
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"] == [1, 2, 3, 4, 5]
    assert not re.search(r"0x[0-9a-f]{6}|/(?:home|root|tmp|work|usr)/|\d\d:\d\d:\d\d", text)


def test_the_numbers_in_it_are_those_of_another_way() -> None:
    """The gradient of two-state by finite differences of J, which the comment of the model file derives by hand."""
    shown = "\n".join(texts(stored()))
    numbers = re.search(r"\[\[(-?\d\.\d+) +(-?\d\.\d+)\]\n \[(-?\d\.\d+) +(-?\d\.\d+)\]\]", shown)
    assert numbers is not None
    step, theta = 1e-6, [0.3, -0.2, 0.1, 0.0]
    for k, told in enumerate(numbers.groups()):
        up, down = ([x + sign * step * (i == k) for i, x in enumerate(theta)] for sign in (1, -1))
        assert float(told) == pytest.approx((value(*up) - value(*down)) / (2 * step), abs=1e-6)


def value(stay_left: float, move_left: float, stay_right: float, move_right: float) -> float:
    """J of two-state: V_h of both states with h steps left, from the comment in mdps/two_state.yaml."""
    p = 1 / (1 + math.exp(stay_left - move_left))
    q = 1 / (1 + math.exp(stay_right - move_right))
    left = right = 0.0
    for _ in range(3):
        left, right = (
            (1 - 0.8 * p) * 0.9 * left + 0.8 * p * (1 + 0.9 * right),
            (1 - q) * (0.5 + 0.9 * right) + 2 * q,
        )
    return (left + right) / 2


def write() -> None:
    """Runs the notebook and stores its outputs."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(stored(), Path(folder))
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
