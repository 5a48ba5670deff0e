"""Programs in any language as estimators: what is right has the expectation of the same function in Python."""

import os
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, verify
from pgcheck.errors import UsageError
from pgcheck.external.opening import leading_estimators, opened
from pgcheck.external.program import Program
from pgcheck.external.program_process import words_of
from pgcheck.trajectories.paths import listed
from pgcheck.verification.verification import Verification
from tests.external.programs import LOOP, ONCE, RIGHT, UNDISCOUNTED, answering, program
from tests.oracles import Floats
from tests.verification import zoo

# How a program may answer: what it makes of a batch.
ROWS = "answer(header, message)"
TABLES = "[table(header, episode) for episode in message['episodes']]"
FORMS = {
    "rows": ROWS,
    "rows like theta": TABLES,
    "rows of theta, one after another": "[sum(table(header, episode), []) for episode in message['episodes']]",
    "one": f"[sum(numbers) / len(message['episodes']) for numbers in zip(*{ROWS})]",
    "one like theta": f"[[sum(x) / len(x) for x in zip(*rows)] for rows in zip(*{TABLES})]",
}


def printing(form: str) -> str:
    return f"print(json.dumps({form}), flush=True)"


def judged(spec: str, *models: str) -> Verification:
    with opened(spec) as estimator:
        return verify(estimator, list(models) or None)


def reinforce(batch: Batch) -> Floats:
    return np.asarray(zoo.RIGHT["vectorised"](batch))


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_right_program_has_the_expectation_of_the_same_function(tmp_path: Path, form: str) -> None:
    verification = judged(answering(tmp_path, printing(FORMS[form])), "two_state")
    (finding,), (expected,) = verification.findings, verify(reinforce, ["two_state"]).findings
    assert verification.verdict == "pass"
    np.testing.assert_allclose(finding.expectation.mean, expected.expectation.mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("form", ["rows", "one like theta"])
def test_each_episode_and_each_batch_has_the_gradient_of_the_same_function(tmp_path: Path, form: str) -> None:
    batch, _ = listed(*pgcheck.load("two_state"))
    index = np.random.default_rng(0).integers(0, len(batch), (700, 3))
    expected = reinforce(batch)
    with Program(answering(tmp_path, printing(FORMS[form]))) as estimator:
        np.testing.assert_allclose(estimator.of_batches(batch, index), expected[index].mean(axis=1), atol=1e-14)
        whole = expected if form == "rows" else expected.mean(axis=0)
        np.testing.assert_allclose(estimator(batch), whole, atol=1e-14)
        assert estimator(batch.part(slice(0, 0))).shape == (0, 3, 2)
        assert estimator.of_batches(batch, index[:0]).shape == (0, 3, 2)


@pytest.mark.parametrize("once", [False, True], ids=["all headers", "one header"])
def test_a_program_works_on_the_whole_battery(
    tmp_path: Path, once: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = ONCE.replace("UNDISCOUNTED", "False") if once else LOOP.replace("BODY", RIGHT)
    spec = program(tmp_path, "open('starts', 'a').write('x')\n" + source)
    verification = judged(spec)
    assert verification.verdict == "pass"
    assert {finding.mdp.name for finding in verification.findings} >= {"two-state", "early-exit", "long-chain"}
    starts, told = len((tmp_path / "starts").read_text()), capsys.readouterr().err
    if once:  # what it wrote when it met the second header is not shown
        assert starts > len(verification.findings)
        assert told == f"note: {spec} reads one model only: it is started again for each\n"
    else:
        assert (starts, told) == (1, "")


@pytest.mark.parametrize("once", [False, True], ids=["all headers", "one header"])
def test_a_forgotten_discount_is_named(tmp_path: Path, once: bool) -> None:
    spec = program(tmp_path, ONCE.replace("UNDISCOUNTED", "True")) if once else answering(tmp_path, UNDISCOUNTED)
    verification = judged(spec, "two_state", "early_exit")
    assert verification.verdict == "fail"
    assert [diagnosis.id for diagnosis in verification.diagnosis] == ["dropped-gamma"]


# What is done to a batch before the right gradients are printed, or to these, and what it is called.
EPISODES = "for e in message['episodes']"
WRONG = {
    "nonlinear": f"{EPISODES}: e['rewards'] = [max(-1, min(1, r)) for r in e['rewards']]\n    {RIGHT}",
    "bootstrap": f"{EPISODES}:\n        if not e['terminated']: e['rewards'][-1] += 7\n    {RIGHT}",
    "sign": printing(f"[[-x for x in row] for row in {ROWS}]"),
    "length-normalised": f"rows = [len(e['actions']) {EPISODES}]\n    "
    + printing(f"[[x / n for x in row] for n, row in zip(rows, {ROWS})]"),
    "regulariser": printing(f"[[x + 0.25 for x in row] for row in {ROWS}]"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_wrong_is_named_with_altered_episodes(tmp_path: Path, name: str) -> None:
    verification = judged(answering(tmp_path, WRONG[name]), "two_state", "early_exit")
    assert verification.verdict == "fail"
    assert name in {diagnosis.id for diagnosis in verification.diagnosis}


def test_a_program_that_ignores_a_second_header_is_judged_on_the_second_model(
    tmp_path: Path,
) -> None:
    """It answers episodes of a second model of the same size, all of them with the probabilities of the first."""
    source = "header = json.loads(input())\n" + LOOP.replace("header = message\n        ", "").replace("BODY", RIGHT)
    names = []
    for name, preference in (("first", 0.5), ("second", -2)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(
            "horizon: 2\nstates: [s]\nactions: [a, b]\nstart: s\n"
            "transitions: {s: {a: s, b: {to: s, reward: 1}}}\n"
            f"policy: {{softmax: {{s: {{a: {preference}}}}}}}\n"
        )
        names.append(str(path))
    assert judged(program(tmp_path, source), *names).verdict == "pass"


def test_episodes_off_policy_have_the_probabilities_of_their_behavior(tmp_path: Path) -> None:
    ratio = """for e, row in zip(message['episodes'], rows):
        ratio = 1.0
        for s, a in zip(e['states'], e['actions']): ratio *= header['probs'][s][a] / header['behavior_probs'][s][a]
        row[:] = [ratio * x for x in row]"""
    spec = answering(tmp_path, f"rows = {ROWS}\n    {ratio}\n    print(json.dumps(rows), flush=True)")
    with opened(spec) as estimator:
        assert verify(estimator, ["two_state"], off_policy=True).verdict == "pass"
    with opened(answering(tmp_path, RIGHT)) as estimator:
        verification = verify(estimator, ["two_state"], off_policy=True)
    assert [diagnosis.id for diagnosis in verification.diagnosis] == ["ratio"]


def test_batches_of_equal_episodes_share_the_text_of_an_episode_and_lines_come_in_lots(tmp_path: Path) -> None:
    """More than a megabyte goes each way, whatever the pipes hold: neither side waits for the other for ever."""
    batch, _ = listed(*pgcheck.load("two_state", horizon=10), most=4000)
    pad = f"print(json.dumps({ROWS}) + ' ' * 2_000_000, flush=True)"
    with Program(answering(tmp_path, pad), timeout=60) as estimator:
        np.testing.assert_allclose(estimator(batch), reinforce(batch), atol=1e-13)
    with Program(answering(tmp_path, RIGHT), timeout=60) as estimator:
        index = np.arange(len(batch))[:, None]
        np.testing.assert_allclose(estimator.of_batches(batch, index), reinforce(batch), atol=1e-13)


def test_the_words_of_a_program_are_those_of_a_shell() -> None:
    assert words_of("cmd:node 'my file.js' --no-gamma") == ["node", "my file.js", "--no-gamma"]
    for spec in ("cmd:", "cmd:  "):
        with pytest.raises(UsageError, match="which program"):
            words_of(spec)
    with pytest.raises(UsageError, match="No closing quotation"):
        words_of("cmd:'mine")


def test_programs_are_estimators_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("cmd:mine")  # a place that exists names a model, but for programs
    words = ["cmd:mine", "cmd:./my program", "reinforce", "two_state", "cmd:x"]
    assert leading_estimators(words) == (words[:3], words[3:])
