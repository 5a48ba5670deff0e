"""Two examples of every command, at the end of its help; a test runs them all."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A command line that works.

    `my_pg.py` and `my_model.yaml` stand for the user's own files: an estimator `reinforce(batch)`, and a model file.

    Attributes:
      purpose: what it is for, in a few words.
      command: the line.
      needs: the module without which it cannot run.
    """

    purpose: str
    command: str
    needs: str = ""


EXAMPLES: dict[str, tuple[Example, Example]] = {
    "exact": (
        Example("the gradient of a small bundled model", "pgcheck exact"),
        Example("of your own model, and its five likeliest trajectories", "pgcheck exact my_model.yaml --top 5"),
    ),
    "sample": (
        Example("how often each trajectory was drawn, beside its probability", "pgcheck sample --top 10"),
        Example(
            "a million rollouts with less variance", "pgcheck sample frozen_lake -n 1e6 --estimator reward-to-go"
        ),
    ),
    "converge": (
        Example("the error of REINFORCE on a small bundled model", "pgcheck converge"),
        Example(
            "an error that stalls: this estimator is biased", "pgcheck converge -n 10..1e9 --estimator dropped-gamma"
        ),
    ),
    "plan": (
        Example("how many rollouts an error of 1 % takes", "pgcheck plan --accuracy 1%"),
        Example("two estimators on your own model", "pgcheck plan my_model.yaml --estimator reinforce,gae"),
    ),
    "compare": (
        Example("all built-in estimators, with 10,000 rollouts each", "pgcheck compare early_exit -n 10k"),
        Example("your own function beside REINFORCE", "pgcheck compare --estimator reinforce,my_pg.py:reinforce"),
    ),
    "verify": (
        Example("your own function, on a battery of small models", "pgcheck verify my_pg.py:reinforce"),
        Example("a built-in estimator that is wrong, on one model", "pgcheck verify dropped-gamma two_state"),
    ),
    "explain": (
        Example("why gamma^t belongs there, and how to mend it", "pgcheck explain dropped-gamma"),
        Example("all mistakes that have a name", "pgcheck explain"),
    ),
    "estimators": (
        Example("their formulas, and which of them are biased", "pgcheck estimators"),
        Example("the same for a spreadsheet", "pgcheck estimators -o estimators.csv"),
    ),
    "trajectories": (
        Example("all of a bandit, with their probabilities", "pgcheck trajectories bandit"),
        Example("those of 1,000 rollouts, with their counts", "pgcheck trajectories -n 1000 --format csv"),
    ),
    "models": (
        Example("their names and what is special about them", "pgcheck models"),
        Example("the same for programs", "pgcheck models --format json"),
    ),
    "show": (
        Example("what pgcheck understands of your own model", "pgcheck show my_model.yaml"),
        Example("a bundled model with another discount", "pgcheck show frozen_lake --gamma 0.9"),
    ),
    "convert": (
        Example("a model file to begin with", "pgcheck convert two_state -o my_model.yaml"),
        Example("a Gymnasium environment as arrays", "pgcheck convert gym:FrozenLake-v1 -o lake.npz", "gymnasium"),
    ),
    "report": (
        Example("one page on a bundled model", "pgcheck report two_state -o report.html", "jinja2"),
        Example(
            "with the verdict on your own function",
            "pgcheck report my_model.yaml --estimator my_pg.py:reinforce",
            "jinja2",
        ),
    ),
    "schema": (
        Example("for an editor that checks YAML", "pgcheck schema -o model.schema.json"),
        Example("what the keys of a model file mean", "pgcheck schema | grep description"),
    ),
}
