"""pgcheck: the gradient check for policy gradients.

A small finite MDP and a policy come from a YAML file; the exact policy gradient from every trajectory, the
Monte Carlo estimate from N rollouts, and the error of one against the other.

    import numpy as np
    import pgcheck

    mdp, policy = pgcheck.load("two_state")
    exact = pgcheck.exact_gradient(mdp, policy)
    sampled = pgcheck.sample_gradient(mdp, policy, 1000, np.random.default_rng(0))
    print(exact.discrepancy(sampled.estimate).relative_error)
"""

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgcheck.errors import EstimatorError as EstimatorError
    from pgcheck.errors import ModelError as ModelError
    from pgcheck.errors import PgcheckError as PgcheckError
    from pgcheck.errors import PolicyError as PolicyError
    from pgcheck.errors import PrecisionError as PrecisionError
    from pgcheck.errors import TooLargeError as TooLargeError
    from pgcheck.errors import UsageError as UsageError
    from pgcheck.errors import WorkerError as WorkerError
    from pgcheck.estimators.base import Estimate as Estimate
    from pgcheck.estimators.base import Estimator as Estimator
    from pgcheck.estimators.catalogue import estimator as estimator
    from pgcheck.estimators.convergence import Convergence as Convergence
    from pgcheck.estimators.convergence import Row as Row
    from pgcheck.estimators.convergence import converge as converge
    from pgcheck.estimators.mistakes.catalogue import explain as explain
    from pgcheck.estimators.mistakes.explanation import Explanation as Explanation
    from pgcheck.estimators.moments import Moments as Moments
    from pgcheck.estimators.moments import predict as predict
    from pgcheck.estimators.sampled import SampledGradient as SampledGradient
    from pgcheck.estimators.sampled import sample_gradient as sample_gradient
    from pgcheck.exact.gradient import Discrepancy as Discrepancy
    from pgcheck.exact.gradient import ExactGradient as ExactGradient
    from pgcheck.exact.gradient import exact_gradient as exact_gradient
    from pgcheck.external.environments import env as env
    from pgcheck.formats.loading import load as load
    from pgcheck.formats.loading import load_model as load_model
    from pgcheck.formats.modelfile import Model as Model
    from pgcheck.formats.modelfile import loads as loads
    from pgcheck.model.linear import Linear as Linear
    from pgcheck.model.mdp import MDP as MDP
    from pgcheck.model.policy import Policy as Policy
    from pgcheck.model.softmax import TabularSoftmax as TabularSoftmax
    from pgcheck.trajectories.batch import Batch as Batch
    from pgcheck.trajectories.batch import Episode as Episode
    from pgcheck.trajectories.likely import Trajectory as Trajectory
    from pgcheck.trajectories.likely import most_likely as most_likely
    from pgcheck.trajectories.paths import enumerate_trajectories as enumerate_trajectories
    from pgcheck.trajectories.paths import sample_trajectories as sample_trajectories
    from pgcheck.verification.causes import Diagnosis as Diagnosis
    from pgcheck.verification.findings import Finding as Finding
    from pgcheck.verification.verdict import verify as verify
    from pgcheck.verification.verification import Verification as Verification
    from pgcheck.workers.checkpoint import Checkpoint as Checkpoint
    from pgcheck.workers.executor import Executor as Executor
    from pgcheck.workers.processes import Processes as Processes

__version__ = "0.1.0"

_HOME = {
    "trajectories.batch": ("Batch", "Episode"),
    "estimators.convergence": ("Convergence", "Row", "converge"),
    "verification.causes": ("Diagnosis",),
    "verification.findings": ("Finding",),
    "errors": (
        "EstimatorError",
        "ModelError",
        "PgcheckError",
        "PolicyError",
        "PrecisionError",
        "TooLargeError",
        "UsageError",
        "WorkerError",
    ),
    "estimators.base": ("Estimate", "Estimator"),
    "estimators.sampled": ("SampledGradient", "sample_gradient"),
    "estimators.catalogue": ("estimator",),
    "estimators.mistakes.catalogue": ("explain",),
    "estimators.mistakes.explanation": ("Explanation",),
    "exact.gradient": ("Discrepancy", "ExactGradient", "exact_gradient"),
    "external.environments": ("env",),
    "model.linear": ("Linear",),
    "model.mdp": ("MDP",),
    "formats.loading": ("load", "load_model"),
    "formats.modelfile": ("Model", "loads"),
    "model.policy": ("Policy",),
    "model.softmax": ("TabularSoftmax",),
    "estimators.moments": ("Moments", "predict"),
    "verification.verdict": ("verify",),
    "verification.verification": ("Verification",),
    "trajectories.likely": ("Trajectory", "most_likely"),
    "workers.executor": ("Executor",),
    "workers.processes": ("Processes",),
    "workers.checkpoint": ("Checkpoint",),
    "trajectories.paths": ("enumerate_trajectories", "sample_trajectories"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> object:
    """Imports what is asked for when it is asked for: `pgcheck --version` needs none of it."""
    if name not in _MODULE:
        raise AttributeError(f"module 'pgcheck' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"pgcheck.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]


if hasattr(sys.modules.get("gymnasium"), "register"):  # then gymnasium.make knows pgcheck/NAME-v0
    importlib.import_module("pgcheck.formats.environments.registry").register()
