"""The pages in docs/mistakes say what `pgcheck explain` says, and the code in them does what they say.

`python -m tests.test_mistake_pages` writes them anew; it needs torch and gymnasium.
"""

import re
import sys
from pathlib import Path

import pytest

from pgcheck import verify
from pgcheck.estimators.mistakes.catalogue import EXPLANATIONS
from pgcheck.estimators.mistakes.explanation import Case, Explanation, Harmless
from pgcheck.report.explanation_page import explanation_page, index_page
from pgcheck.verification.measuring import Measurement, function_of, measured
from pgcheck.verification.verification import Verification
from tests.conftest import ROOT, Run

FOLDER = ROOT / "docs" / "mistakes"
FENCE = re.compile(r"```python[^\n]*\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def marks_of(explanation: Explanation) -> list[pytest.MarkDecorator]:
    """What a test of its code needs."""
    return [getattr(pytest.mark, name) for name in explanation.needs]


EACH = pytest.mark.parametrize(
    "explanation", [pytest.param(it, id=it.id, marks=marks_of(it)) for it in EXPLANATIONS.values()]
)


def sources(explanation: Explanation) -> tuple[str, str]:
    """The wrong and the right function as they stand on the committed page."""
    wrong, right = FENCE.findall((FOLDER / f"{explanation.id}.md").read_text(encoding="utf-8"))
    return wrong, right


def checked(source: str, case: Case) -> Verification:
    """The verdict on a function of a page."""
    return verify(
        function_of(source),
        list(case.models) or None,
        horizon=case.horizon,
        gamma=case.gamma,
        entropy=case.entropy,
        off_policy=case.off_policy,
        up_to_scale=case.up_to_scale,
        skip_unsuitable=True,
    )


@EACH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_wrong_function_of_a_page_fails_with_its_id_first_and_with_the_figures(explanation: Explanation) -> None:
    verification = checked(sources(explanation)[0], explanation.case)
    assert verification.verdict == "fail"
    assert verification.diagnosis[0].id == explanation.id
    committed = (FOLDER / f"{explanation.id}.md").read_text(encoding="utf-8")
    assert_alike(committed, explanation_page(explanation, Measurement(verification.findings)))


@EACH
def test_the_right_function_of_a_page_passes(explanation: Explanation) -> None:
    verification = checked(sources(explanation)[1], explanation.case)
    assert (verification.verdict, verification.diagnosis) == ("pass", ())


HARMLESS = [
    pytest.param(source, it, id=it.case.measuring(source.id), marks=marks_of(source))
    for source in EXPLANATIONS.values()
    for it in source.harmless
    if it.case is not None
]


@pytest.mark.parametrize(("explanation", "harmless"), HARMLESS)
def test_there_is_no_bias_where_it_is_said_to_do_no_harm(explanation: Explanation, harmless: Harmless) -> None:
    case = harmless.case
    assert case is not None
    verdict = checked(sources(explanation)[0], case).verdict
    assert verdict == ("fail" if harmless.here_only else "pass")
    for finding in measured(explanation, case=case).findings if harmless.here_only else ():
        scale = finding.scale if case.up_to_scale else 1.0
        assert scale is not None
        assert finding.is_right(1e-6, scale)


def test_a_bias_would_be_seen_where_it_does_harm() -> None:
    explanation = EXPLANATIONS["length-normalised"]
    findings = measured(explanation, case=Case(models=("two_state",), up_to_scale=True)).findings
    assert findings
    for finding in findings:
        assert finding.scale is not None
        assert not finding.is_right(1e-6, finding.scale)


def assert_alike(committed: str, made: str) -> None:
    """Figures may differ by 1e-4, as from one processor to another; nothing else."""
    assert NUMBER.sub("0", committed) == NUMBER.sub("0", made)
    pairs = zip(NUMBER.findall(committed), NUMBER.findall(made), strict=True)
    for ours, theirs in pairs:
        assert float(ours.replace(",", "")) == pytest.approx(float(theirs.replace(",", "")), rel=1e-4, abs=1e-4)


def test_a_changed_page_would_be_seen() -> None:
    page = (FOLDER / "sign.md").read_text(encoding="utf-8")
    assert_alike(page, page)
    for old, new in (("200.00 %", "200.10 %"), ("minus", "plus"), ("return -np", "return np")):
        assert old in page
        with pytest.raises(AssertionError):
            assert_alike(page.replace(old, new), page)


def test_there_is_a_page_for_each_and_a_list_of_all() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"index.md", *(f"{name}.md" for name in EXPLANATIONS)}
    assert (FOLDER / "index.md").read_text(encoding="utf-8") == index_page()


def test_links_between_pages_lead_somewhere() -> None:
    for path in FOLDER.iterdir():
        for name in re.findall(r"\]\(([\w-]+\.md)\)", path.read_text(encoding="utf-8")):
            assert (FOLDER / name).is_file(), f"{path.name}: {name}"


@pytest.mark.parametrize("name", ["dropped-gamma", "score-without-pi"])
def test_a_function_can_be_copied_from_its_page_into_a_file(run: Run, tmp_path: Path, name: str) -> None:
    wrong, right = sources(EXPLANATIONS[name])
    (tmp_path / "wrong.py").write_text(wrong, encoding="utf-8")
    (tmp_path / "right.py").write_text(right, encoding="utf-8")
    done = run("verify", "wrong.py:gradient", "two_state")
    assert (done.returncode, f"pgcheck explain {name}" in done.stdout) == (1, True)
    assert run("verify", "right.py:gradient", "two_state").returncode == 0


def write() -> None:
    """Writes all pages."""
    FOLDER.mkdir(exist_ok=True)
    for explanation in EXPLANATIONS.values():
        measurement = measured(explanation)
        if measurement.missing:
            sys.exit(f"{explanation.id} cannot be measured without {', '.join(measurement.missing)}")
        (FOLDER / f"{explanation.id}.md").write_text(explanation_page(explanation, measurement), encoding="utf-8")
    (FOLDER / "index.md").write_text(index_page(), encoding="utf-8")


if __name__ == "__main__":
    write()
