"""What the texts of the options of `verify` stand for, on the command line and in a file that lists checks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from pgcheck.cli import arguments
from pgcheck.cli.model_options import AboutModel
from pgcheck.cli.options import seconds_of, seed_of
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.verification.checks import Rules


def tolerance_of(text: str) -> float:
    """Returns the relative bias of `--tolerance`."""
    return arguments.share(text, "--tolerance")


def ids_of(text: str) -> tuple[str, ...]:
    """Returns the ids of deviations of `--allow`."""
    from pgcheck.verification.allowance import checked_ids

    return checked_ids([name.strip() for name in text.split(",")])


def batch_sizes_of(text: str) -> list[int]:
    """Returns the sizes of `--batch-sizes`."""
    from pgcheck.verification.verdict import MAX_BATCH_SIZE

    return arguments.counts(text, "--batch-sizes", MAX_BATCH_SIZE)


def max_rollouts_of(text: str) -> int:
    """Returns the number of `--max-rollouts`."""
    from pgcheck.trajectories.sampling import MAX_N
    from pgcheck.verification.sequential import FIRST_LOOK

    return arguments.count(text, "--max-rollouts", MAX_N, lo=FIRST_LOOK)


def evidence_of(text: str) -> str:
    """Returns the word of `--evidence`."""
    from pgcheck.verification.verdict import EVIDENCE

    return arguments.choice(text, "--evidence", EVIDENCE)


def confidence_of(text: str) -> float:
    """Returns the confidence of `--confidence`, such as 0.999 or 99.9%."""
    value = arguments.share(text, "--confidence")
    if not 0.5 <= value <= 1 - 1e-12:
        raise UsageError(f"--confidence {arguments.shortened(text)}: expected at least 0.5 and below 1, like 0.999")
    return value


def _of_model(name: str, text: str) -> str:
    """Returns the text of an option about models as it is; a UsageError says that it stands for nothing."""
    about = AboutModel(**{name: text, "explore": name == "max_states"})  # type: ignore[arg-type]
    about.overrides()
    about.source()
    return text


OF_RULES: Mapping[str, Callable[[str], object]] = {
    "tolerance": tolerance_of,
    "allow": ids_of,
    "batch-sizes": batch_sizes_of,
    "max-trajectories": partial(arguments.count, option="--max-trajectories", hi=10**9),
    "max-calls": partial(arguments.count, option="--max-calls", hi=10**9),
    "evidence": evidence_of,
    "confidence": confidence_of,
    "max-rollouts": max_rollouts_of,
    "seed": lambda text: seed_of(text)[0],
    "timeout": seconds_of,
}
OF_MODELS = (
    "horizon", "gamma", "entropy", "kl",
    "start", "axes", "rewards-on", "rewards", "terminal", "observe", "max-states",
)  # fmt: skip
MEANINGS: Mapping[str, Callable[[str], object]] = {
    **OF_RULES,
    **{key: partial(_of_model, key.replace("-", "_")) for key in OF_MODELS},
}


def rules_of(**options: str | bool | Sequence[str] | None) -> "Rules":
    """Returns what the options of the command line stand for; None is an option that was not given.

    Raises:
      UsageError: the text of one stands for nothing.
    """
    meanings: dict[str, tuple[object, ...]] = {}
    for name, given in options.items():
        if isinstance(given, bool):
            meanings[name] = (given,)
        elif given is not None:
            texts = [given] if isinstance(given, str) else given
            meanings[name] = tuple(OF_RULES[name.replace("_", "-")](text) for text in texts)
    return rules_from(meanings)


def rules_from(meanings: Mapping[str, tuple[Any, ...]]) -> "Rules":
    """Returns the rules that these are, by their names: one meaning each, or one for each element of a list."""
    from pgcheck.verification.checks import Rules

    rules: dict[str, Any] = {}
    for name, several in meanings.items():
        if name == "allow":
            rules[name] = tuple(chain.from_iterable(several))
        elif name == "batch_sizes":
            rules[name] = tuple(sorted(set(chain.from_iterable(several))))
        else:
            (rules[name],) = several
    return Rules(**rules)
