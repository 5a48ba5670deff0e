"""What critics, clipping and shared trunks do to a loop's gradient, by name."""

import importlib
from typing import Any

import pytest

from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import Agent, AgentFunction, agent, sb3
from pgcheck.verification.loop_verdict import verify_agent
from pgcheck.verification.verification import Verification

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]

ONE = ["two_state"]


def verified(function: AgentFunction, **options: Any) -> Verification:
    return verify_agent(LocalAgent(function), ONE, **options)


def ids(verification: Verification) -> list[str]:
    return [diagnosis.id for diagnosis in verification.diagnosis]


def actor_critic(
    *,
    keeps: bool = False,
    steps: int | None = None,
    lam: float = 1.0,
    discount: float | None = None,
    at_limit: bool = False,
    of_values: float = 0.0,
    of_entropy: float = 0.0,
    clip: float | None = None,
    tells: bool = True,
    time_limit: Any = "truncated",
) -> AgentFunction:
    """Returns an agent with a trunk that its critic shares, in double precision.

    Args:
      keeps: whether γ^t stands before the advantages.
      steps: of the buffer; without them a run is one episode. The sum is divided by the number of steps of a buffer.
      lam, discount: of generalised advantages; without a discount it is the model's.
      at_limit: whether V(s') is added where the time limit ends an episode.
      of_values, of_entropy: coefficients of the value loss and of the entropy.
      clip: the greatest norm of a gradient.
      tells: whether the agent tells its critic's values.
      time_limit: of the environment.
    """
    torch = importlib.import_module("torch")

    @agent(observation="one-hot", time_limit=time_limit)
    def function(env: Any) -> Agent:
        torch.manual_seed(0)
        trunk = torch.nn.Sequential(torch.nn.Linear(env.observation_space.shape[0], 6), torch.nn.Tanh()).double()
        actor = torch.nn.Linear(6, int(env.action_space.n)).double()
        critic = torch.nn.Linear(6, 1).double()
        parameters = [*trunk.parameters(), *actor.parameters(), *critic.parameters()]
        optimizer = torch.optim.SGD(parameters, 0.1)
        gamma = float(env.unwrapped.gamma)
        g = gamma if discount is None else discount

        def seen(observation: Any) -> Any:
            return trunk(torch.as_tensor(observation, dtype=torch.float64))

        def update() -> None:
            kept: list[Any] = []
            while True:
                observation, _ = env.reset()
                done, t = False, 0
                while not done and len(kept) != steps:
                    distribution = torch.distributions.Categorical(logits=actor(seen(observation)[None]))
                    action = distribution.sample()
                    following, reward, terminated, truncated, _ = env.step(action.item())
                    done = terminated or truncated
                    value, after = critic(seen(observation))[0], critic(seen(following))[0].detach()
                    goes_on = not done or (truncated and at_limit)
                    kept.append(
                        (
                            distribution.log_prob(action)[0],
                            distribution.entropy()[0],
                            value,
                            reward,
                            after,
                            goes_on,
                            done,
                            t,
                        )
                    )
                    observation, t = following, t + 1
                if len(kept) == steps or steps is None:
                    break
            loss: Any = 0.0
            last: Any = 0.0
            for log_prob, entropy, value, reward, after, goes_on, done, t in reversed(kept):
                last = reward + g * after * goes_on - value.detach() + g * lam * last * (not done)
                loss = loss - (gamma**t if keeps else 1.0) * last * log_prob - of_entropy * entropy
                loss = loss + of_values * (last + value.detach() - value) ** 2
            optimizer.zero_grad()
            (loss / (steps or 1)).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
            optimizer.step()

        return Agent(
            logits=lambda rows: actor(trunk(rows.double())), parameters=[*trunk.parameters(), *actor.parameters()],
            update=update, values=(lambda rows: critic(trunk(rows.double()))) if tells else None,
        )  # fmt: skip

    return function


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "right": ({"keeps": True}, []),
    "γ^t": ({}, ["dropped-gamma"]),
    "value at the limit": ({"keeps": True, "at_limit": True}, ["bootstrap"]),
    "λ": ({"keeps": True, "lam": 0.95}, ["bootstrap"]),
    "another γ": ({"keeps": True, "discount": 0.99}, ["other-gamma"]),
    "a buffer": (
        {"steps": 4, "lam": 0.95, "at_limit": True},
        ["dropped-gamma", "bootstrap", "bootstrap", "bootstrap", "window", "scale"],
    ),
    "value loss": ({"keeps": True, "of_values": 0.25}, ["value-loss"]),
    "value loss and entropy": (
        {"of_values": 0.25, "of_entropy": 0.1}, ["dropped-gamma", "regulariser", "value-loss"],
    ),
    "clipped": ({"keeps": True, "clip": 0.1}, ["clipped-norm"]),
    "clipped and γ^t": ({"clip": 0.1}, ["clipped-norm", "dropped-gamma"]),
}  # fmt: skip


SLOW = ("λ", "another γ", "a buffer", "value loss and entropy", "clipped and γ^t", "value at the limit", "clipped")


@pytest.mark.parametrize("name", [pytest.param(it, marks=[pytest.mark.slow] * (it in SLOW)) for it in CASES])
def test_a_deviation_is_named_and_may_be_allowed(name: str) -> None:
    options, expected = CASES[name]
    verification = verified(actor_critic(**options))
    assert (verification.verdict, ids(verification)) == ("fail" if expected else "pass", expected)
    assert all(diagnosis.certain for diagnosis in verification.diagnosis)
    if expected:
        assert verified(actor_critic(**options), allow=expected).verdict == "pass"
        assert verified(actor_critic(**options), allow=sorted(set(expected) - {expected[-1]})).verdict == "fail"


def test_the_coefficient_of_the_value_loss_is_found() -> None:
    (diagnosis,) = verified(actor_critic(keeps=True, of_values=0.25)).diagnosis
    assert dict(diagnosis.figures)["coefficient"] == pytest.approx(0.25)


def test_without_values_a_loop_that_bootstraps_at_the_limit_is_right_once_the_flag_is_another() -> None:
    (diagnosis,) = verified(actor_critic(keeps=True, at_limit=True, tells=False)).diagnosis
    assert (diagnosis.id, diagnosis.cause) == ("bootstrap", "bootstrap/terminated-right")


@pytest.mark.slow
def test_without_values_a_value_loss_is_only_possible() -> None:
    verification = verified(actor_critic(keeps=True, of_values=0.25, tells=False))
    named = {diagnosis.id: diagnosis.certain for diagnosis in verification.diagnosis}
    assert named["value-loss"] is False
    assert verification.findings[0].norm > 0
    every = [*named, "dropped-gamma", "regulariser", "scale"]
    assert verified(actor_critic(keeps=True, of_values=0.25, tells=False), allow=every).verdict == "fail"


@pytest.mark.sb3
@pytest.mark.parametrize(
    "bug",
    [
        None,
        "sign",
        *(
            pytest.param(bug, marks=pytest.mark.slow)
            for bug in ("score-of-another-step", "value-of-the-next-state", "entropy")
        ),
    ],
)
def test_a2c_with_its_defaults_is_explained_and_a_bug_in_its_loss_is_found(bug: str | None) -> None:
    allow = ["dropped-gamma", "other-gamma", "bootstrap", "window", "scale", "regulariser", "clipped-norm"]
    verification = verified(_a2c(bug), allow=allow)
    assert verification.verdict == ("pass" if bug is None else "fail")
    if bug is None:
        assert set(ids(verification)) == set(allow)


def _a2c(bug: str | None) -> AgentFunction:
    torch = importlib.import_module("torch")
    algorithms = importlib.import_module("stable_baselines3")

    @agent
    def a2c(env: Any) -> Agent:

        def train(self: Any) -> None:  # A2C.train, with a bug
            for data in self.rollout_buffer.get(batch_size=None):
                values, log_prob, entropy = self.policy.evaluate_actions(
                    data.observations, data.actions.long().flatten()
                )
                advantages = data.advantages
                if bug == "score-of-another-step":
                    log_prob = torch.roll(log_prob, 1)
                if bug == "value-of-the-next-state":
                    advantages = data.returns - torch.roll(data.old_values, -1)
                policy_loss = (1 if bug == "sign" else -1) * (advantages * log_prob).mean()
                value_loss = torch.nn.functional.mse_loss(data.returns, values.flatten())
                entropy_loss = (1 if bug == "entropy" else -1) * entropy.mean()
                loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
                self.policy.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
                self.policy.optimizer.step()

        torch.manual_seed(0)
        kind = algorithms.A2C if bug is None else type("A2C", (algorithms.A2C,), {"train": train})
        return sb3(kind("MlpPolicy", env, n_steps=2, ent_coef=0.5, seed=0, device="cpu"), 2)

    return a2c
