"""One run of an agent: made anew, with all draws answered, until its gradient is known."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.agents import Agent, AgentFunction, TimeLimit
from pgcheck.external.clipping import watching_patches
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.draws.endings import Stopped, UnanswerableError
from pgcheck.external.draws.guard import Guard, existing_generators, global_states, seed_all
from pgcheck.external.draws.installed import Installed, import_with_torch, plainly
from pgcheck.external.draws.tracing import place_of_draw
from pgcheck.external.gradient import gradient_of
from pgcheck.external.optimizers import Watch, watched
from pgcheck.external.subject import Subject, flat_parameters, is_torch, parameters_of, subject_of
from pgcheck.model.mdp import MDP
from pgcheck.model.parameters import parts

MOST_INSTALLATIONS = 3  # in each of them a run may import a library whose draws are to be answered


@dataclass(frozen=True, eq=False)
class Variation:
    """How a loop is run.

    Attributes:
      time_limit: the flag at the horizon; None is that of the agent.
      pad: whether episodes idle until the horizon; None is what the agent says.
      unclipped: whether gradients are left as they are where the loop clips them.
      features: those of the model's linear policy `[S, A, d]`, for agents that observe them; None where it has none.
      sampled: whether draws come out at random, also those that cannot be listed.
    """

    time_limit: TimeLimit | None = None
    pad: bool | None = None
    unclipped: bool = False
    features: Floats | None = None
    sampled: bool = False


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one run has shown.

    Attributes:
      gradient: the estimate of ∇J `[d]`; None where the run has computed none.
      watch: what its optimizers did.
      answers: its draws, and the episodes of its environments.
    """

    gradient: Floats | None
    watch: Watch
    answers: Answers


class Runner:
    """Runs an agent on a model, as often as it is asked to; each run begins alike.

    Args:
      function: makes the agent.
      mdp: the model; its rewards are those of the environment.
      variation: how it is run.

    Raises (from every method):
      EstimatorError: the agent cannot be made or run, its draws cannot be answered, or it does not begin alike.
    """

    def __init__(self, function: AgentFunction, mdp: MDP, variation: Variation | None = None) -> None:
        variation = variation or Variation()
        self._function, self._mdp, self._variation = function, mdp, variation
        self._settings: Mapping[str, Any] = {
            "observation": function.observation,
            "time_limit": variation.time_limit or function.time_limit,
            "pad": function.pad if variation.pad is None else variation.pad,
            "features": variation.features,
        }
        self._guard: Guard  # of the draws that are installed
        self._installed: Installed | None = None
        self._watch: Watch | None = None  # of the run that is under way
        self._updating = False
        self._restore: Callable[[], None] = global_states()
        self._subject: Subject | None = None

    @property
    def subject(self) -> Subject:
        """The policy at the start of each run."""
        if self._subject is None:
            self.run(DrawnAnswers(0, 0) if self._variation.sampled else Answers())
        if self._subject is None:
            raise EstimatorError(f"{self._function.name}: its parameters were empty whenever they were asked for")
        return self._subject

    def run(self, answers: Answers, *, goes_on: bool = False) -> Outcome:
        """Returns what a run shows; with `goes_on` it is not stopped where its gradient is known."""
        restore = self._restore = global_states()
        try:
            outcome = self._settled(answers, goes_on)
            if answers.noise is None and (drawn := self._guard.changed()):
                raise self._unanswerable(drawn[0], outcome.answers)
        finally:
            restore()
            if answers.noise is not None:
                self._guard.restore()
        return outcome

    def _settled(self, answers: Answers, goes_on: bool) -> Outcome:
        """A run that imports nothing: one that does is made again, with the draws of what it has imported."""
        for left in reversed(range(MOST_INSTALLATIONS)):
            import_with_torch()
            modules = len(sys.modules)
            if self._installed is None:
                self._guard = Guard()
                watching = watching_patches(lambda: self._watch, unclipped=self._variation.unclipped)
                self._installed = Installed([*self._guard.patches(), *watching])
            try:
                with plainly():
                    outcome = self._run(self._installed, answers, goes_on)
            except Exception:
                if not left or len(sys.modules) == modules:
                    raise
            else:
                if not left or len(sys.modules) == modules:
                    return outcome
            self._subject, self._installed, answers = None, None, answers.anew()
        raise AssertionError("the last run has returned or raised")

    def _run(self, installed: Installed, answers: Answers, goes_on: bool) -> Outcome:
        # Those who only wait for another process need no gymnasium.
        from pgcheck.external.environment import environment_of
        from pgcheck.external.environments import use_model

        self._restore()  # what a run before this one has set
        seed_all()
        self._guard.begin()
        self._updating, answers.is_making = False, True
        with answered_by(answers), installed.answering(), use_model(self._mdp, **self._settings):
            env = environment_of(self._mdp, **self._settings)
            with _ending(answers, self._function.name):
                agent = self._function(env)
            parameters = self._parameters(agent, env)
            watch = Watch(lambda: self._parameters(agent, env), self._start(), goes_on, answers.end)
            if parameters is not None:
                self._check_start(parameters)
            _clear(parameters)
            if answers.noise is None:
                self._guard.settle()
            else:
                self._guard.release(answers.noise)
            self._watch, self._updating, answers.is_making = watch, True, False
            returned: Any = None
            try:
                with watched(watch), _ending(answers, self._function.name):
                    returned = agent.update()
            except Stopped:
                pass
            finally:
                self._watch, self._updating = None, False
            if fault := answers.fault or watch.fault:
                raise fault
            parameters = self._parameters(agent, env)
            if self._subject is None:
                raise EstimatorError(f"{self._function.name}: its parameters were empty whenever they were asked for")
            gradient = gradient_of(watch, returned, parameters, self._subject)
        if not answers.episodes:
            raise EstimatorError(
                f"{self._function.name}: the agent made no step in the environment that it was given (or in one of "
                'gymnasium.make("pgcheck/NAME-v0")); does it make one of its own, or in another process?'
            )
        return Outcome(gradient, watch, answers)

    def _parameters(self, agent: Agent, env: Any) -> Any:
        """The policy's parameters, without those on which its logits do not depend; None while there are none."""
        try:
            parameters = parameters_of(agent)
        except Exception:
            if callable(agent.parameters) and self._updating:
                return None  # the update has still to make them
            if not callable(agent.parameters):
                raise
            return None
        if self._subject is None:
            self._subject = subject_of(agent, parameters, self._mdp, env.unwrapped.observation_rows)
        if is_torch(parameters):
            return {name: parameters[name] for name in self._subject.policy.shapes if name in parameters}
        return parameters

    def _start(self) -> Mapping[str, Floats] | None:
        if self._subject is None:
            return None
        return parts(self._subject.policy.theta, self._subject.policy.shapes)

    def _check_start(self, parameters: Any) -> None:
        """Raises EstimatorError where the agent does not begin with the parameters of the other runs."""
        assert self._subject is not None
        theta = self._subject.policy.theta
        present = flat_parameters(parameters)
        if not np.array_equal(present, theta):
            raise EstimatorError(
                f"{self._function.name} made other parameters when it was called again: each run has to begin alike\n"
                "  Seed it, as by torch.manual_seed(0) in its first line, and keep no state outside of it"
            )

    def _unanswerable(self, generator: str, answers: Answers) -> UnanswerableError:
        """The error about a draw that was not answered: who made it, and where."""
        assert self._installed is not None
        installed = self._installed
        place = place_of_draw(
            lambda: self._run(installed, answers.again(), goes_on=False),
            lambda: self._updating and bool(self._guard.changed()),
        )
        where = f"{place}" if place is not None else f"{self._function.name}: a place that could not be found"
        made_before = any(generator.startswith(name) for name, _ in existing_generators())
        remedy = (
            "that was made before the run, and its draws cannot be answered: make it in the agent's function, or in "
            "a variable of the module"
            if made_before
            else "only draws from finite sets can be listed, not uniform and normal numbers or dropout's masks. Draw "
            "an action by Categorical or choice, a chance of p by Bernoulli(p) or choice([0, 1], p=[1 - p, p])"
        )
        return UnanswerableError(
            f"{where}\n  This draw cannot be answered. It is made by {generator}: {remedy}\n"
            "  Or let runs be sampled: --evidence sampled"
        )


@contextlib.contextmanager
def _ending(answers: Answers, name: str) -> Iterator[None]:
    """Lets a fault of a draw come before what users' code made of it, and sys.exit() end the run alone."""
    try:
        yield
    except Stopped:
        raise
    except SystemExit as error:
        raise answers.fault or EstimatorError(f"{name} called sys.exit({error.code!r})") from None
    except Exception:
        if answers.fault is not None:
            raise answers.fault from None
        raise


def _clear(parameters: Any) -> None:
    """Takes away what gradients the agent's function has left behind."""
    if is_torch(parameters):
        for parameter in parameters.values():
            parameter.grad = None
