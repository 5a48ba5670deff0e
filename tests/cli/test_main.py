import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck.formats.schema import model_schema
from tests.conftest import ROOT, Run

NAMES = [["left", "stay"], ["left", "move"], ["right", "stay"], ["right", "move"]]


def test_exact_has_the_keys_of_the_contract(run: Run) -> None:
    done = run("exact", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    expected = pgcheck.exact_gradient(*pgcheck.load("two_state"))
    assert answer["schema"] == "pgcheck/1"
    assert answer["parameters"] == NAMES
    assert answer["gradient"] == expected.gradient.tolist()  # to the last digit
    assert answer["value"] == expected.value
    assert (answer["method"], answer["trajectories"], answer["probability"]) == (
        "enumeration",
        23,
        expected.probability,
    )
    assert answer["agreement"] < 1e-15


def test_backward_induction_says_that_it_ran_alone(run: Run) -> None:
    answer = json.loads(run("exact", "--method", "backward-induction", "--format", "json").stdout)
    assert (answer["method"], answer["probability"], answer["agreement"]) == ("backward-induction", None, None)
    assert answer["trajectories"] == 23


def test_beyond_the_limit_there_is_a_note_on_stderr(run: Run) -> None:
    done = run("exact", "frozen_lake", "--format", "json")
    assert done.returncode == 0
    assert done.stderr.startswith("note: 3.8e96 trajectories, over 100,000,000")
    answer = json.loads(done.stdout)
    assert answer["trajectories"] > 10**96
    assert answer["method"] == "backward-induction"
    assert run("exact", "frozen_lake", "--quiet").stderr == ""


def test_enumeration_beyond_the_limit_is_refused_with_the_size_of_the_count(run: Run) -> None:
    done = run("exact", "short_corridor", "--horizon", "20000", "--method", "enumeration")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: about 10^5114 trajectories to enumerate; the limit is 100,000,000.")
    assert "Lower the horizon from 20,000 to 30 (71,541,612 trajectories)" in done.stderr
    assert "--method backward-induction" in done.stderr


def far_rewards(far: float) -> str:
    """A model whose gradient is 0.4 in size, whatever is added to two of its rewards."""
    return (
        "{horizon: 2, states: [s, t], actions: [a, b], start: s, transitions:"
        f" {{s: {{a: {{to: t, reward: {far:.0f}}}, b: {{to: t, reward: {far + 1:.0f}}}}},"
        " t: {a: s, b: {to: s, reward: 0.5}}}}"
    )


@pytest.mark.parametrize(
    ("far", "statuses"),
    [(0, (0, 0, 0, 0)), (1e9, (2, 0, 0, 2)), (1e12, (2, 2, 2, 2)), (1e15, (2, 2, 2, 2))],
)
def test_what_rounding_may_cost_depends_on_the_command(
    run: Run, tmp_path: Path, far: float, statuses: tuple[int, ...]
) -> None:
    """1e-6 of the gradient for `exact`, a tenth of the tolerance for `verify`, 1e-3 beside rollouts."""
    path = tmp_path / "far.yaml"
    path.write_text(far_rewards(far))
    commands = ["exact"], ["sample"], ["converge", "--n", "10,100"], ["verify", "reinforce"]
    runs = [run(*command, str(path)) for command in commands]
    assert tuple(done.returncode for done in runs) == statuses
    assert all("digits can be trusted.\n  Lower the horizon" in done.stderr for done in runs if done.returncode == 2)
    assert ("rounding may have changed the exact gradient by up to" in runs[1].stdout) == (far == 1e9)


def test_digits_that_rounding_leaves_are_printed_and_no_others(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "far.yaml"
    path.write_text(far_rewards(1e7))
    done = run("exact", str(path))
    assert done.stdout.splitlines()[4].split() == ["s", "a", "0.5", "-0.25"]
    path.write_text(far_rewards(1e7).replace("0.5}", "1/3}"))
    done = run("exact", str(path), "--method", "backward-induction")
    rounding = float(done.stdout.split("rounding at most")[1])
    shown = done.stdout.splitlines()[6].split()[-1]
    assert abs(float(shown) + 1 / 12) < 10 * rounding  # pi (1 - pi) times 1/3
    assert 4 <= len(shown.lstrip("-0.")) <= 7


def test_a_long_horizon_is_sampled(run: Run) -> None:
    done = run("sample", "value_polytope", "--horizon", "2000", "--gamma", "1", "--n", "10", "--format", "json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["rounding"] < 1e-9 * np.linalg.norm(answer["gradient"])


def test_exact_shows_the_most_likely_trajectories(run: Run) -> None:
    answer = json.loads(run("exact", "--top", "50", "--format", "json").stdout)
    shown = answer["most_likely"]
    assert len(shown) == 23
    assert math.fsum(t["probability"] for t in shown) == pytest.approx(1)
    assert math.fsum(t["share"] for t in shown) == pytest.approx(1)
    assert math.fsum(t["probability"] * t["return"] for t in shown) == pytest.approx(answer["value"])
    assert [t["probability"] for t in shown] == sorted((t["probability"] for t in shown), reverse=True)
    assert json.loads(run("exact", "--trajectories", "50", "--format", "json").stdout) == answer  # its old name
    assert "--trajectories" not in run("exact", "--help").stdout


@pytest.mark.parametrize("model", ["two_state", "aliased_gridworld", "early_exit", "bandit"])
def test_the_greatest_shares_are_those_among_all_trajectories(run: Run, model: str) -> None:
    words = "exact", model, "--horizon", "3", "--format", "json", "--top"
    every = json.loads(run(*words, "100000").stdout)
    answer = json.loads(run(*words, "7", "--by", "share").stdout)
    assert "most_likely" not in answer
    shares = [t["share"] for t in answer["greatest_shares"]]
    by_size = sorted((t["share"] for t in every["most_likely"]), key=abs, reverse=True)
    assert np.abs(shares) == pytest.approx(np.abs(by_size[:7]))
    for t in answer["greatest_shares"]:
        assert any(
            t["states"] == u["states"] and t["share"] == pytest.approx(u["share"]) for u in every["most_likely"]
        )
    likeliest = json.loads(run(*words, "7", "--by", "probability").stdout)["most_likely"]
    assert likeliest == every["most_likely"][:7]


def test_the_greatest_shares_of_too_many_trajectories_are_refused(run: Run) -> None:
    done = run("exact", "frozen_lake", "--top", "3", "--by", "share", "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "error: 3.8e96 trajectories; the greatest shares are found by enumeration, of at most"
    )
    assert "--by probability" in done.stderr
    assert "give --top K too" in run("exact", "--by", "share").stderr
    assert "--by 'size': expected probability or share" in run("exact", "--top", "3", "--by", "size").stderr


def test_sample_has_the_keys_of_the_contract(run: Run) -> None:
    answer = json.loads(run("sample", "--n", "1e3", "--seed", "7", "--format", "json").stdout)
    assert (answer["n"], answer["seed"], answer["estimator"]) == (1000, 7, "reinforce")
    assert answer["parameters"] == NAMES
    off = np.array(answer["estimate"]) - np.array(answer["gradient"])
    assert answer["error"] == pytest.approx(np.linalg.norm(off))
    assert answer["relative_error"] == pytest.approx(np.linalg.norm(off) / np.linalg.norm(answer["gradient"]))
    assert 0.9 < answer["cosine"] <= 1


def test_sample_shows_both_readings_of_the_mean(run: Run) -> None:
    plain = json.loads(run("sample", "--n", "1e6", "--format", "json").stdout)
    answer = json.loads(run("sample", "--n", "1e6", "--top", "30", "--format", "json").stdout)
    assert answer["estimate"] == pytest.approx(plain["estimate"], rel=1e-12)
    shown = answer["most_likely"]
    assert sum(t["count"] for t in shown) == 10**6
    for t in shown:
        assert t["frequency"] == t["count"] / 1e6
        assert abs(t["frequency"] - t["probability"]) < 5 * math.sqrt(t["probability"] / 1e6)
    assert answer["unweighted"]["distinct"] == 23
    assert answer["unweighted"]["error"] > 100 * answer["error"]
    words = run("sample", "--top", "10").stdout
    assert "how often tau was drawn stands in for its probability" in words
    assert "weight per rollout (correct)" in words
    assert "weight per distinct trajectory (wrong)" in words


def test_converge_has_the_keys_of_the_contract(run: Run) -> None:
    answer = json.loads(run("converge", "--n", "10..1e4", "--replicates", "8", "--format", "json").stdout)
    assert (answer["seed"], answer["estimator"], answer["parameters"]) == (0, "reinforce", NAMES)
    assert [row["n"] for row in answer["rows"]] == [10, 100, 1000, 10_000]
    assert all(set(row) == {"n", "error", "relative_error", "cosine", "expected"} for row in answer["rows"])
    assert answer["slope"] == pytest.approx(-0.5, abs=0.15)


def test_a_row_of_converge_is_what_sample_gives(run: Run) -> None:
    rows = [
        json.loads(line)
        for line in run("converge", "--replicates", "1", "--format", "jsonl", "--seed", "3").stdout.splitlines()
    ]
    assert [row["n"] for row in rows] == [10, 100, 1000, 10**4, 10**5, 10**6]
    for row in rows[:3]:
        answer = json.loads(run("sample", "--n", str(row["n"]), "--seed", "3", "--format", "json").stdout)
        assert row.pop("expected") == pytest.approx(answer["expected_error"])
        assert {key: answer[key] for key in row} == row


def test_the_seed_is_always_told(run: Run) -> None:
    assert "seed 0" in run("sample").stdout
    assert "seed 5" in run("converge", "--seed", "5", "--n", "10").stdout


def test_trajectories_are_one_a_line(run: Run) -> None:
    lines = [json.loads(line) for line in run("trajectories").stdout.splitlines()]
    assert len(lines) == 23
    assert math.fsum(t["probability"] for t in lines) == pytest.approx(1)
    mdp, _ = pgcheck.load("two_state")
    for t in lines:
        assert len(t["states"]) == len(t["actions"]) + 1 == len(t["rewards"]) + 1
        assert t["terminated"] == (t["states"][-1] == 2)
    value = math.fsum(t["probability"] * sum(mdp.gamma**i * r for i, r in enumerate(t["rewards"])) for t in lines)
    assert value == pytest.approx(pgcheck.exact_gradient(*pgcheck.load("two_state")).value)


def test_sampled_trajectories_carry_counts(run: Run) -> None:
    lines = [json.loads(line) for line in run("trajectories", "--n", "1000").stdout.splitlines()]
    assert sum(t["count"] for t in lines) == 1000
    assert "probability" not in lines[0]
    assert len({json.dumps({k: v for k, v in t.items() if k != "count"}) for t in lines}) == len(lines)


@pytest.mark.parametrize("command", ["exact", "sample", "converge", "trajectories", "models", "show"])
def test_every_table_exists_in_every_form(run: Run, command: str) -> None:
    answers = {form: run(command, "--format", form) for form in ("table", "json", "jsonl", "csv")}
    assert {done.returncode for done in answers.values()} == {0}
    assert {done.stderr for done in answers.values()} == {""}
    assert json.loads(answers["json"].stdout)["schema"] == "pgcheck/1"
    lines = [json.loads(line) for line in answers["jsonl"].stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(answers["csv"].stdout)))
    assert len(rows) == len(lines) > 0
    assert list(rows[0]) == list(lines[0])
    for line, row in zip(lines, rows, strict=True):
        for key, value in line.items():
            if isinstance(value, float):
                assert float(row[key]) == value
            elif isinstance(value, list):
                assert json.loads(row[key]) == value


def test_show_tells_the_model_as_understood(run: Run) -> None:
    answer = json.loads(run("show", "frozen_lake", "--format", "json").stdout)
    assert (answer["num_states"], answer["num_actions"], answer["num_parameters"]) == (16, 4, 44)
    assert answer["start"] == {"r0c0S": 1.0}
    by_horizon = {row["horizon"]: row["trajectories"] for row in answer["trajectories"]}
    assert by_horizon[8] == 82_581_088
    assert by_horizon[100] > 10**96
    text = run("show").stdout
    assert "start: left 0.5, right 0.5" in text
    assert "terminal: goal" in text


def test_show_lists_the_transitions(run: Run) -> None:
    rows = [line.split() for line in run("show").stdout.splitlines()]
    table = rows[rows.index(["state", "action", "to", "p", "reward", "done"]) + 2 :]
    assert table[:6] == [  # read off mdps/two_state.yaml
        ["left", "stay", "left", "1", "0"],
        ["left", "move", "left", "0.2", "0"],
        ["left", "move", "right", "0.8", "1"],
        ["right", "stay", "right", "1", "0.5"],
        ["right", "move", "goal", "1", "2", "yes"],
        [],
    ]
    mdp, _ = pgcheck.load("frozen_lake")
    text = run("show", "frozen_lake").stdout
    assert f"... and {len(mdp.prob) - 100} more outcomes; --format json shows all" in text
    listed = json.loads(run("show", "frozen_lake", "--format", "json").stdout)["transitions"]
    assert len(listed) == len(mdp.prob) > 100
    sums: dict[tuple[str, str], float] = {}
    for row in listed:
        sums[row["state"], row["action"]] = sums.get((row["state"], row["action"]), 0.0) + row["p"]
    assert list(sums.values()) == pytest.approx([1] * len(sums))
    assert sum(row["reward"] for row in listed) == mdp.reward.sum()


def test_models_lists_what_is_bundled_default_first(run: Run) -> None:
    rows = json.loads(run("models", "--format", "json").stdout)["models"]
    assert rows[0]["name"] == "two_state"
    assert len(rows) >= 9
    assert all(row["description"] for row in rows)


def test_a_model_comes_from_a_path_or_standard_input(run: Run, tmp_path: Path) -> None:
    text = (ROOT / "mdps" / "bandit.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text)
    by_name = json.loads(run("exact", "bandit", "--format", "json").stdout)
    assert json.loads(run("exact", "mine.yaml", "--format", "json").stdout) == by_name
    assert json.loads(run("exact", "-", "--format", "json", stdin=text).stdout) == by_name


def test_horizon_and_gamma_replace_those_of_the_file(run: Run) -> None:
    answer = json.loads(run("exact", "--horizon", "2", "--gamma", "1/2", "--format", "json").stdout)
    expected = pgcheck.exact_gradient(*pgcheck.load("two_state", horizon=2, gamma=0.5))
    assert (answer["horizon"], answer["gamma"], answer["trajectories"]) == (2, 0.5, 11)
    assert_allclose(answer["gradient"], expected.gradient, rtol=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["exact", "two_stat"], "did you mean the bundled model two_state?"),
        (["exact", "no/such/file.yaml"], "no such file or bundled model"),
        (["exact", "."], "a directory"),
        (["exact", "--horizon", "0"], "--horizon '0': expected 1 to"),
        (["exact", "--gamma", "2"], "--gamma '2': expected a number from 0 to 1"),
        (["exact", "--gamma", "-0.5"], "--gamma '-0.5'"),
        (["exact", "--method", "guess"], "guess"),
        (["exact", "--max-trajectories", "0"], "--max-trajectories"),
        (["exact", "--top", "0"], "--top '0'"),
        (["exact", "--trajectories", "0"], "--trajectories '0'"),
        (["sample", "--n", "many"], "--n 'many': expected a whole number"),
        (["sample", "--n", "0"], "--n '0': expected 1 to"),
        (["sample", "--n", "1e16"], "--n '1e16'"),
        (["sample", "--seed", "-1"], "--seed"),
        (["sample", "--seed", "1e17"], "--seed"),
        (["sample", "--format", "xml"], "xml"),
        (["converge", "--n", "100..10"], "ends before it begins"),
        (["converge", "--replicates", "0"], "--replicates"),
        (["sample", "--seed", "-1"], "error: --seed '-1': expected 0 to 9,007,199,254,740,991\n"),
        (["sample", "--format", "yaml"], "error: --format 'yaml': expected table, json, jsonl or csv\n"),
        (["exact", "--method", "guess"], "error: --method 'guess': expected enumeration or backward-induction\n"),
        (["plan", "--accuracy", "500%"], "error: --accuracy '500%': expected more than 0 and at most 100 %"),
        (
            ["exact", "two_state", "bandit"],
            "error: 'bandit': too many arguments; expected pgcheck exact [OPTIONS] [M",
        ),
        (["nothing"], "error: unknown command 'nothing'; expected one of compare, converge, "),
        (["exactt"], "error: unknown command 'exactt'; did you mean exact? (see: pgcheck --help)\n"),
        (["sample", "--nn", "3"], "error: unknown option '--nn'; did you mean --n? (see: pgcheck sample --help)\n"),
        (["--nothing"], "error: unknown option '--nothing' (see: pgcheck --help)\n"),
        (["sample", "-x"], "error: unknown option '-x' (see: pgcheck sample --help)\n"),
        (["sample", "--n"], "error: --n needs a value after it (see: pgcheck sample --help)\n"),
        (["exact", "--quiet=3"], "error: --quiet takes no value; write --quiet alone (see: pgcheck exact --help)\n"),
        (["verify"], "error: ESTIMATOR is missing; expected pgcheck verify [OPTIONS] ESTIMATOR"),
    ],
)
def test_a_faulty_command_line_exits_2_and_says_why(run: Run, words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_faulty_model_exits_2_with_its_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "horizon: 1\nstates: [a]\nactions: [go]\nstart: a\ntransitions:\n  a: {go: [{to: a, p: 0.95}]}\n"
    )
    done = run("exact", "m.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("m.yaml:6:11: error: transitions.a.go: probabilities sum to 0.95, not 1; add the")


def test_the_suffix_of_the_file_chooses_the_format(run: Run, tmp_path: Path) -> None:
    for suffix, form in (
        (".json", "json"),
        (".jsonl", "jsonl"),
        (".csv", "csv"),
        (".txt", "table"),
        (".md", "table"),
    ):
        assert run("exact", "-o", f"a{suffix}").returncode == 0
        assert (tmp_path / f"a{suffix}").read_text() == run("exact", "--format", form).stdout
    run("exact", "-o", "a.json", "--format", "csv")
    assert (tmp_path / "a.json").read_text() == run("exact", "--format", "csv").stdout
    run("trajectories", "-o", "t.jsonl")
    run("trajectories", "-o", "t.anything")
    assert (tmp_path / "t.jsonl").read_text() == (tmp_path / "t.anything").read_text() == run("trajectories").stdout


@pytest.mark.parametrize("command", ["sample", "converge", "compare", "trajectories"])
def test_n_has_a_short_name(run: Run, command: str) -> None:
    assert run(command, "-n", "20").stdout == run(command, "--n", "20").stdout != run(command, "-n", "30").stdout


def test_schema_prints_the_json_schema_of_the_model_file(run: Run, tmp_path: Path) -> None:
    done = run("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == model_schema()
    run("schema", "-o", "s.json")
    assert (tmp_path / "s.json").read_text() == done.stdout


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout == f"pgcheck {pgcheck.__version__}\n"
    for words in (["--help"], ["exact", "--help"], ["-h"]):
        done = run(*words)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: pgcheck")


def test_a_bug_exits_70_and_debug_shows_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("pgcheck.exact.table.exact_gradient", broken)
    done = run("exact")
    assert (done.returncode, done.stdout) == (70, "")
    assert "please report it" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError: inside" in run("exact", "--debug").stderr


@pytest.mark.parametrize(
    "words",
    [
        ["exact"],
        ["exact", "nope"],
        ["sample", "--n", "0"],
        ["verify", "dropped-gamma", "bandit", "two_state"],
        ["nope"],
    ],
    ids=" ".join,
)
def test_a_process_of_its_own_says_the_same(run: Run, launch: Run, words: list[str]) -> None:
    """Most tests run the command line in their own process: what they see is what a shell sees."""
    here, there = run(*words), launch(*words)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
