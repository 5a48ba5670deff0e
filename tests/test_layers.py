"""The structure of the package, read from its imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pgcheck"

# Every file may import files of the rows above its own, and of its own row those to its left.
LAYERS = (
    ("errors",),
    ("mdp", "policy", "arguments", "output"),
    (
        "nodes",
        "reader",
        "bundled",
        "transitions",
        "modelfile",
        "schema",
        "tree",
        "gather",
        "batch",
        "counting",
        "rollouts",
    ),
    ("exact", "sampling", "trajectories"),
    ("moments", "critic", "estimate", "estimators", "recursions"),
    ("estimation", "readings", "prediction", "convergence", "comparison"),
    ("interface", "calls", "loading", "worker", "runner"),
    (
        "battery",
        "expectation",
        "others",
        "fields",
        "probes",
        "bench",
        "matching",
        "changes",
        "diagnosis",
        "verification",
    ),
    ("report", "wording", "views", "standings", "verdicts"),
    ("adapters", "testing", "pytest_plugin", "cli"),
    ("__main__",),
)
DOORS = {"yaml": {"nodes"}, "rich": {"report"}, "typer": {"cli"}}
ORDER = [name for layer in LAYERS for name in layer]


def imports(path: Path) -> set[str]:
    """Modules that a file imports, anywhere but under TYPE_CHECKING."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "pgcheck"}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


FILES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_imports_point_one_way(path: Path) -> None:
    assert path.stem in ORDER, "a new file needs its place in LAYERS"
    own = {name.split(".")[1] for name in imports(path) if name.startswith("pgcheck.")} & set(ORDER)
    later = {name for name in own if ORDER.index(name) >= ORDER.index(path.stem)}
    assert not later


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_each_dependency_has_one_door(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(path)}
    for module, doors in DOORS.items():
        assert module not in outside or path.stem in doors
    assert "click" not in outside
    assert not outside & {"scipy", "pydantic"}
    assert not outside & {"torch", "jax"} or path.stem == "adapters"


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_library_needs_neither_typer_nor_rich() -> None:
    loaded = loaded_by(
        "import numpy as np, pgcheck\n"
        "m = pgcheck.load('two_state')\n"
        "pgcheck.exact_gradient(*m); pgcheck.sample_gradient(*m, 10, np.random.default_rng(0)); pgcheck.converge(*m)"
    )
    assert not loaded & {"typer", "rich", "click"}
    assert "numpy" in loaded


@pytest.mark.parametrize("words", ["['--version']", "['--help']", "['exact', '--help']"])
def test_version_and_help_load_nothing_heavy(words: str) -> None:
    loaded = loaded_by(f"from pgcheck.cli import run\nassert run({words}) == 0")
    assert not loaded & {"numpy", "yaml", "pgcheck.report"}


def test_all_that_is_public_is_there_and_documented() -> None:
    import pgcheck

    assert {"load", "exact_gradient", "sample_gradient", "converge", "Batch", "MDP", "Policy"} <= set(pgcheck.__all__)
    for name in pgcheck.__all__:
        assert getattr(pgcheck, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pgcheck.nothing  # noqa: B018
