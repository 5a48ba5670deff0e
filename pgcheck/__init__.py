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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgcheck.batch import Batch as Batch
    from pgcheck.batch import Episode as Episode
    from pgcheck.bench import Diagnosis as Diagnosis
    from pgcheck.bench import Finding as Finding
    from pgcheck.convergence import Convergence as Convergence
    from pgcheck.convergence import Row as Row
    from pgcheck.convergence import converge as converge
    from pgcheck.errors import EstimatorError as EstimatorError
    from pgcheck.errors import ModelError as ModelError
    from pgcheck.errors import PgcheckError as PgcheckError
    from pgcheck.errors import PrecisionError as PrecisionError
    from pgcheck.errors import TooLargeError as TooLargeError
    from pgcheck.errors import UsageError as UsageError
    from pgcheck.estimate import Estimate as Estimate
    from pgcheck.estimate import Estimator as Estimator
    from pgcheck.estimation import SampledGradient as SampledGradient
    from pgcheck.estimation import sample_gradient as sample_gradient
    from pgcheck.estimators import estimator as estimator
    from pgcheck.exact import Discrepancy as Discrepancy
    from pgcheck.exact import ExactGradient as ExactGradient
    from pgcheck.exact import exact_gradient as exact_gradient
    from pgcheck.mdp import MDP as MDP
    from pgcheck.modelfile import Model as Model
    from pgcheck.modelfile import load as load
    from pgcheck.modelfile import load_model as load_model
    from pgcheck.modelfile import loads as loads
    from pgcheck.policy import Policy as Policy
    from pgcheck.prediction import Moments as Moments
    from pgcheck.prediction import predict as predict
    from pgcheck.trajectories import Trajectory as Trajectory
    from pgcheck.trajectories import enumerate_trajectories as enumerate_trajectories
    from pgcheck.trajectories import most_likely as most_likely
    from pgcheck.trajectories import sample_trajectories as sample_trajectories
    from pgcheck.verification import Verification as Verification
    from pgcheck.verification import verify as verify

__version__ = "0.1.0"

_HOME = {
    "batch": ("Batch", "Episode"),
    "convergence": ("Convergence", "Row", "converge"),
    "bench": ("Diagnosis", "Finding"),
    "errors": ("EstimatorError", "ModelError", "PgcheckError", "PrecisionError", "TooLargeError", "UsageError"),
    "estimate": ("Estimate", "Estimator"),
    "estimation": ("SampledGradient", "sample_gradient"),
    "estimators": ("estimator",),
    "exact": ("Discrepancy", "ExactGradient", "exact_gradient"),
    "mdp": ("MDP",),
    "modelfile": ("Model", "load", "load_model", "loads"),
    "policy": ("Policy",),
    "prediction": ("Moments", "predict"),
    "verification": ("Verification", "verify"),
    "trajectories": ("Trajectory", "enumerate_trajectories", "most_likely", "sample_trajectories"),
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
    return sorted([*globals(), *_MODULE])
