"""Many checks, each of an estimator on models of its own, side by side: the road that `verify` takes with each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pgcheck.errors import PgcheckError, UsageError
from pgcheck.external.opening import Opened, is_agent, opened
from pgcheck.external.policies import with_policy
from pgcheck.external.process import TIMEOUT
from pgcheck.formats.given import Options
from pgcheck.formats.loading import read_model
from pgcheck.formats.modelfile import Model
from pgcheck.formats.overrides import Overrides
from pgcheck.model.endless import cut
from pgcheck.verification.battery import battery_models
from pgcheck.verification.evidence import ModelProgress
from pgcheck.verification.models import problems_of
from pgcheck.verification.sampled_evidence import Announce
from pgcheck.verification.sampling import CONFIDENCE
from pgcheck.verification.verdict import MAX_LISTED_TRAJECTORIES, EvidenceKind, usual_max_calls, verify
from pgcheck.verification.verification import Verification
from pgcheck.workers.executor import HERE, Arrays, Executor

NO_OVERRIDES = Overrides(horizon=None, gamma=None, entropy=None, kl=None)


@dataclass(frozen=True)
class Rules:
    """How an estimator is judged: arguments of `verify`, and the seed and the seconds of a call."""

    off_policy: bool = False
    same_start: bool = False
    up_to_scale: bool = False
    allow: tuple[str, ...] = ()
    tolerance: float | None = None
    batch_sizes: tuple[int, ...] | None = None
    max_trajectories: int = MAX_LISTED_TRAJECTORIES
    max_calls: int | None = None
    evidence: EvidenceKind = "auto"
    confidence: float = CONFIDENCE
    max_rollouts: int | None = None
    seed: int = 0
    timeout: float = TIMEOUT


@dataclass(frozen=True)
class Check:
    """An estimator, and how it is checked.

    Attributes:
      estimator: its place or name, as in `opened`.
      models: their sources; none is the battery.
      rules: how it is judged.
      overrides: numbers in place of the models' own.
      source: what the models' sources do not say themselves.
      policy: the place of the function that makes a policy of each MDP; None is the models' own.
      expect: the verdict that is wanted: `pass`, or `fail` of an estimator that is known to be wrong.
      command: the command line that does the same.
    """

    estimator: str
    models: tuple[str, ...] = ()
    rules: Rules = Rules()
    overrides: Overrides = field(default_factory=lambda: NO_OVERRIDES)
    source: Options = field(default_factory=lambda: Options())
    policy: str | None = None
    expect: str = "pass"
    command: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a check.

    Attributes:
      verdict: the verdict, or why there is none.
      notes: on its models.
    """

    verdict: Verification | PgcheckError
    notes: tuple[str, ...] = ()


Recorded = Callable[[Check, Outcome], str]  # a function of a module, so that it can be pickled


@dataclass(frozen=True)
class Checking:
    """Does checks by their numbers (`Task`): each comes to a text, as bytes `[n]`.

    Args:
      checks: all of them.
      recorded: writes down what came of one.
    """

    checks: tuple[Check, ...]
    recorded: Recorded
    label: str = "checking"

    def __call__(self, part: int, /) -> Arrays:
        """Returns what came of a check, as the bytes of a text in UTF-8."""
        check = self.checks[part]
        return (np.frombuffer(self.recorded(check, outcome_of(check)).encode(), np.uint8),)


def run_checks(checks: Sequence[Check], recorded: Recorded, *, executor: Executor = HERE) -> Iterator[str]:
    """Yields what came of each check, in their order, each as soon as it and those before it are done.

    Args:
      checks: what is to be checked. The error of one is what came of it, and does not end the others.
      recorded: makes a text of a check and its outcome, where the check was done; a function of a module.
      executor: does them; further ones are under way meanwhile.
    """
    for (text,) in executor.map(Checking(tuple(checks), recorded), range(len(checks))):
        yield text.tobytes().decode()


def outcome_of(check: Check) -> Outcome:
    """Returns what comes of a check: loads its models, opens its estimator, and judges it."""
    notes: list[str] = []
    try:
        models = [_loaded(check, source) for source in check.models]
        notes = [note for model in models for note in model.notes]
        problems = problems_of(models or battery_for(check), off_policy=check.rules.off_policy)
        with opened(check.estimator, timeout=check.rules.timeout) as function:
            return Outcome(judged(function, problems, check), tuple(notes))
    except PgcheckError as error:
        return Outcome(error, tuple(notes))


def _loaded(check: Check, source: str) -> Model:
    """A model of a check, with the policy that was asked for."""
    model = with_policy(read_model(source, **check.overrides, **check.source), check.policy)
    return replace(model, mdp=cut(model.mdp, model.policy))


def battery_for(check: Check) -> list[Model]:
    """Returns the models of a check that names none, with the policy that was asked for."""
    return [with_policy(model, check.policy) for model in battery_models(**check.overrides)]


def judged(
    function: Opened,
    problems: Sequence[Model],
    check: Check,
    *,
    progress: ModelProgress | None = None,
    announce: Announce | None = None,
    executor: Executor = HERE,
) -> Verification:
    """Returns the verdict on an estimator or agent that has been opened.

    Args:
      function: what was opened.
      problems: the models; where the check names none, an agent is run on a battery of its own.
      check: how it is judged.
      progress, announce, executor: as in `verify`.

    Raises:
      EstimatorError, UsageError: as `verify` does; also where an agent would be given a policy.
    """
    rules, of_agent, on_battery = check.rules, is_agent(function), not check.models
    if of_agent and check.policy is not None:
        raise UsageError("--policy is not for agents: an agent has a policy of its own")
    for_agents = of_agent and on_battery  # models on which loops have few runs
    usual = None if of_agent else usual_max_calls(None if on_battery else problems, rules.batch_sizes)
    return verify(
        function, None if for_agents else problems, **(check.overrides if for_agents else NO_OVERRIDES),
        off_policy=rules.off_policy, same_start=rules.same_start, up_to_scale=rules.up_to_scale, allow=rules.allow,
        tolerance=rules.tolerance, batch_sizes=rules.batch_sizes, max_trajectories=rules.max_trajectories,
        max_calls=rules.max_calls or usual, skip_unsuitable=None if for_agents else on_battery,
        evidence=rules.evidence, confidence=rules.confidence, max_rollouts=rules.max_rollouts,
        rng=np.random.default_rng(rules.seed), progress=progress, announce=announce, executor=executor,
    )  # fmt: skip
