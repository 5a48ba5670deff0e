"""The structure of the package, read from its imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pgcheck"

# Every file may import files of packages above its own, and of its own package.
ORDER = (
    "errors", "arrays", "displayed", "model", "workers", "formats", "trajectories", "exact", "estimators", "external",
    "verification", "report", "cli",
)  # fmt: skip
# These may import everything.
FACES = ("__init__", "__main__", "adapters", "agents", "notebooks", "policies", "testing", "pytest_plugin")
NETWORKS = ("model/network", "adapters")
DOORS = {
    "yaml": ("formats/nodes",), "rich": ("report/printer", "report/progress"), "typer": ("cli/",),
    "torch": NETWORKS, "jax": NETWORKS, "gymnasium": ("formats/environments/registry", "external/environment"),
    "dask": ("workers/dask",), "distributed": ("workers/dask",),
    "matplotlib": ("report/plots/",), "fontTools": ("report/plots/fonts",), "networkx": ("report/plots/",),
    "jinja2": ("report/html/",),
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Modules that a file imports, anywhere: also where only the types are needed."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


FILES = sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_point_one_way(path: Path) -> None:
    room = place(path).split("/")[0]
    assert room in ORDER or room in FACES, "a new file or package needs its place in ORDER"
    if room in FACES:
        return
    own = {name.split(".")[1] for name in imports(path) if name.startswith("pgcheck.")} - {"__version__"}
    later = {name for name in own if ORDER.index(name) > ORDER.index(room)}
    assert not later


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """Files that import each other in a circle; none where there is no such circle."""
    left = dict(edges)
    while free := [name for name, targets in left.items() if not targets & set(left)]:
        for name in free:
            del left[name]
    return sorted(left)


def test_no_files_import_each_other_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for path in FILES:
        if path.stem != "__init__":
            wanted = {name.removeprefix("pgcheck.").replace(".", "/") for name in imports(path)}
            edges[place(path)] = {name for name in wanted if (PACKAGE / f"{name}.py").is_file()}
    assert cycle(edges) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["a", "b", "c"]


def tables_of_indices(code: str) -> list[str]:
    """What is read as the table of indices of a policy: `policy.index`, `batch.policy.index[...]`, `plain.index`."""
    owners = {"policy", "behavior", "actor", "reference", "plain"}
    attributes = (
        node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute) and node.attr == "index"
    )
    return [
        ast.unparse(node)
        for node in attributes
        if getattr(node.value, "id", getattr(node.value, "attr", "")) in owners
    ]


@pytest.mark.parametrize("path", FILES, ids=place)
def test_nothing_beyond_the_model_touches_a_table_of_indices(path: Path) -> None:
    assert place(path).startswith("model/") or tables_of_indices(path.read_text()) == []


def test_a_table_of_indices_would_be_seen() -> None:
    assert tables_of_indices("x = batch.policy.index[s]; y = names.index(s)") == ["batch.policy.index"]


@pytest.mark.parametrize("path", FILES, ids=place)
def test_each_dependency_has_one_door(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(path)}
    for module, doors in DOORS.items():
        assert module not in outside or place(path).startswith(doors)
    assert "click" not in outside
    assert not outside & {"scipy", "pydantic"}


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


def test_nothing_of_dask_is_loaded_without_a_scheduler() -> None:
    of_dask = {"dask", "distributed", "pgcheck.workers.dask"}
    code = "from pgcheck.workers.processes import Processes\nProcesses(2)\n"
    assert not loaded_by(f"{code}from pgcheck.cli.main import run\nassert run(['exact']) == 0") & of_dask


@pytest.mark.dask
def test_dask_would_be_seen() -> None:
    assert {"dask", "distributed"} <= loaded_by("import pgcheck.workers.dask")


COMMANDS = ("exact", "sample", "converge", "compare", "plan", "verify")


def with_plot(*option: str) -> set[str]:
    words = [[name, *(["reinforce"] if name == "verify" else []), "bandit", *option] for name in COMMANDS]
    return loaded_by(f"from pgcheck.cli.main import run\nfor words in {words}: assert run(words) == 0, words")


def test_nothing_of_matplotlib_is_loaded_without_a_picture() -> None:
    loaded = with_plot("--quiet")
    assert not loaded & {"matplotlib", "fontTools", "networkx", "PIL", "pgcheck.report.plots"}
    assert "numpy" in loaded


@pytest.mark.plot
def test_matplotlib_would_be_seen(tmp_path: Path) -> None:
    assert {"matplotlib", "fontTools"} <= with_plot("--plot", str(tmp_path / "a.svg"))
    assert "matplotlib.pyplot" not in with_plot("--plot", str(tmp_path / "a.svg"))


@pytest.mark.parametrize("words", ["['--version']", "['--help']", "['exact', '--help']"])
def test_version_and_help_load_nothing_heavy(words: str) -> None:
    loaded = loaded_by(f"from pgcheck.cli.main import run\nassert run({words}) == 0")
    assert not loaded & {"numpy", "yaml", "pgcheck.report.printer"}


def test_exact_loads_nothing_that_it_does_not_use() -> None:
    loaded = loaded_by("from pgcheck.cli.main import run\nassert run(['exact']) == 0")
    assert {"numpy", "rich.table", "pgcheck.exact.induction"} <= loaded
    assert not loaded & {"rich.progress", "pgcheck.estimators.base", "pgcheck.trajectories.sampling"}


def test_all_that_is_public_is_there_and_documented() -> None:
    import pgcheck

    assert {"load", "exact_gradient", "sample_gradient", "converge", "Batch", "MDP", "Policy"} <= set(pgcheck.__all__)
    for name in pgcheck.__all__:
        assert getattr(pgcheck, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pgcheck.nothing  # noqa: B018
