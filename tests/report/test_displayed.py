"""Results that show themselves in notebooks: as tables with the names of the model, and as pictures."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.assessment import assess
from pgcheck.estimators.catalogue import estimator
from pgcheck.estimators.comparison import compare, plan
from pgcheck.exact.table import gradient_table
from tests.report.graphs import HARD, with_hard_names
from tests.report.test_markup import Page


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def model() -> tuple[pgcheck.MDP, pgcheck.Policy]:
    return pgcheck.load("two_state")


def wrong(batch: pgcheck.Batch) -> object:
    """Minus REINFORCE."""
    discount = batch.gamma ** np.arange(batch.rewards.shape[1])
    return -np.einsum("n,nt...->n...", (batch.rewards * discount).sum(axis=1), batch.score)


PAIR = [estimator("reinforce"), estimator("reward-to-go")]
RESULTS: dict[str, Callable[[], object]] = {
    "mdp": lambda: model()[0],
    "model": lambda: pgcheck.load_model("two_state"),
    "exact": lambda: pgcheck.exact_gradient(*model()),
    "table": lambda: gradient_table(*model()),
    "sampled": lambda: pgcheck.sample_gradient(*model(), 1000, rng()),
    "assessment": lambda: assess(*model(), 1000, rng(), top=3),
    "convergence": lambda: pgcheck.converge(*model(), n=[10, 100, 1000], rng=rng()),
    "comparison": lambda: compare(*model(), PAIR, 1000, rng()),
    "plan": lambda: plan(*model(), PAIR, 0.05, rng()),
    "verification": lambda: pgcheck.verify(wrong, [model()]),
}
# What each has to show: names of the model, and numbers that were found by other ways (tests of the results).
SHOWN = {
    "mdp": ("two-state: 3 states", "move", "0.8"), "model": ("23", "0.622459", "4 parameters"),
    "exact": ("left", "stay", "-0.32009232", "J = 1.679716671"), "table": ("0.622459", "-0.32009232"),
    "sampled": ("right", "move", "N = 1,000"), "assessment": ("right move > goal", "0.23751", "expected error"),
    "convergence": ("1,000", "expected", "error falls as"), "comparison": ("reward-to-go", "N = 1,000"),
    "plan": ("reward-to-go", "5.00 %"), "verification": ("FAIL", "sign", "200.00 %"),
}  # fmt: skip
DRAWN = [name for name in RESULTS if name not in ("sampled", "exact")]


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_shows_its_names_and_numbers(name: str) -> None:
    shown = Page(RESULTS[name]()._repr_html_())  # type: ignore[attr-defined]
    text = "".join(text for _, text in shown.texts)
    for word in SHOWN[name]:
        assert word in text
    assert "seed" not in text  # which the library does not know
    assert set(shown.tags) <= {"div", "p", "pre", "br", "b", "table", "thead", "tbody", "tr", "th", "td"}


def test_all_results_are_here() -> None:
    from pgcheck.notebooks import blocks_of

    shown = {type(make()) for make in RESULTS.values()}
    assert shown == set(blocks_of.registry) - {object}


def test_hard_names_stay_names() -> None:
    mdp = with_hard_names()
    for result in (mdp, pgcheck.exact_gradient(mdp, pgcheck.TabularSoftmax.of(mdp))):
        shown = Page(result._repr_html_())
        assert HARD[2] in shown.of("td")
        assert "script" not in shown.tags


def test_of_a_long_table_the_first_rows_are_shown() -> None:
    mdp, policy = pgcheck.load("forty_rooms")
    shown = Page(pgcheck.exact_gradient(mdp, policy)._repr_html_())
    assert len(shown.of("td")) == 3 * 60
    assert "... the first 60 rows" in shown.of("p")


def test_nothing_is_loaded_before_a_result_is_shown() -> None:
    script = (
        "import sys, pgcheck, numpy as np\nm = pgcheck.load('two_state')\n"
        "exact = pgcheck.exact_gradient(*m)\nrepr(exact), repr(pgcheck.converge(*m, n=[10, 100]))\n"
        "before = set(sys.modules)\nexact._repr_html_()\n"
        "early = ('pgcheck.report', 'pgcheck.notebooks', 'matplotlib')\n"
        "print(*(name for name in before if name.startswith(early)))\n"
        "print('pgcheck.notebooks' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\nTrue False\n"


@pytest.mark.parametrize("name", [name for name in RESULTS if name != "verification"])
def test_a_result_keeps_its_pickle_and_its_text(name: str) -> None:
    result = RESULTS[name]()
    copy = pickle.loads(pickle.dumps(result))
    assert repr(copy) == repr(result)
    assert copy._repr_html_() == result._repr_html_()  # type: ignore[attr-defined]
    assert b"displayed" not in pickle.dumps(result)


def test_texts_are_as_before() -> None:
    mdp, policy = model()
    assert repr(mdp) == "MDP('two-state': 3 states, 2 actions, 5 outcomes, horizon 3, gamma 0.9)"
    assert repr(pgcheck.exact_gradient(mdp, policy)).startswith("ExactGradient(\n  value=1.67971667")


def test_without_matplotlib_a_plot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "pgcheck.report.plots."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(pgcheck.UsageError, match=r"plot\(\) needs matplotlib; .* pip install 'pgcheck\[plot\]'"):
        pgcheck.load_model("two_state").plot()


@pytest.mark.plot
@pytest.mark.parametrize("name", DRAWN)
def test_a_result_draws_itself(name: str) -> None:
    drawn = RESULTS[name]().plot()  # type: ignore[attr-defined]
    root = ElementTree.fromstring(drawn._repr_svg_())
    texts = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert {"mdp": "left", "model": "left"}.get(name, "") in texts
    assert texts


@pytest.mark.plot
def test_an_exact_gradient_is_drawn_with_its_model() -> None:
    mdp, policy = model()
    root = ElementTree.fromstring(pgcheck.exact_gradient(mdp, policy).plot(mdp)._repr_svg_())
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"left", "right", "stay", "move"} <= texts


@pytest.mark.plot
def test_several_estimators_share_a_picture() -> None:
    mdp, policy = model()
    one, other = (pgcheck.converge(mdp, policy, n=[10, 100], estimator=name) for name in ("reinforce", "gae"))
    root = ElementTree.fromstring(one.plot(other)._repr_svg_())
    texts = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "reinforce" in texts
    assert "gae" in texts


@pytest.mark.plot
def test_the_widths_of_a_model_are_those_of_the_policy_that_is_given() -> None:
    mdp, policy = model()
    alike, skewed = mdp.plot().axes[0], mdp.plot(policy).axes[0]
    assert len({patch.get_linewidth() for patch in alike.patches}) < len({p.get_linewidth() for p in skewed.patches})
