"""A training loop's own loss → an estimator: minus its gradient. torch and jax are imported where they are used.

    from pgcheck.adapters import torch_loss

    def loss(theta, batch): ...          # a scalar for the whole batch, or one number for each episode [N]
    estimate = torch_loss(loss)          # pgcheck verify train.py:estimate

`theta` is what the loss depends on. Of a network (`pgcheck.policies`) it is the live parameters: in torch those of
the module, by name, so that a loss may call the module; in jax the tree of params. Of any other policy it is a tensor
of batch.theta's shape: of preferences where that is `[S, A]`, so that π(·|s) is softmax(theta[s]). `log_probs` gives
log π(a_t|s_t) for all of them.
"""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.errors import EstimatorError
from pgcheck.model.network import JaxNetwork, TorchNetwork
from pgcheck.model.parameters import joined
from pgcheck.model.parametric import Network
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch

Loss = Callable[[Any, Batch], Any]

MAX_NUMBERS = 2**22  # in an array of a backward pass for several episodes, about
ROUNDED, ROUNDED_IN_SINGLE = 1e-9, 1e-4  # of the sum of sizes: by how much sums of gradients may differ


def torch_loss(loss: Loss) -> Callable[[Batch], Floats]:
    """Returns the estimator −∂loss/∂θ of a loss in torch.

    Args:
      loss: from (theta, batch) to a scalar, or to one number for each episode `[N]`; theta is a float64 leaf
        tensor of the shape of `batch.theta`, or a dict of the parameters of a torch network.

    Raises (from the estimator):
      EstimatorError: torch is not installed, or the loss is of another shape or does not depend on theta.
    """

    def estimate(batch: Batch) -> Floats:
        try:
            import torch
        except ImportError:
            raise EstimatorError("torch_loss needs torch: pip install 'pgcheck[torch]'") from None
        theta: Any
        if isinstance(batch.policy, TorchNetwork):
            theta = dict(batch.policy.trained)
            leaves, shape = list(theta.values()), (len(batch.policy.theta),)
        else:
            _check_kind(batch, "torch_loss", "torch_policy")
            theta = torch.tensor(np.array(batch.theta), dtype=torch.float64, requires_grad=True)
            leaves, shape = [theta], batch.theta.shape
        value = loss(theta, batch)
        if not isinstance(value, torch.Tensor):
            raise EstimatorError(f"the loss is a {type(value).__name__}; expected a torch tensor")
        _check(tuple(value.shape), batch)
        if not value.requires_grad:
            raise EstimatorError("the loss does not depend on theta; was it detached, or made from batch.probs?")
        gradient = _of_episodes(value, leaves, batch) if value.ndim else _numbers(_pullback(value, leaves))
        return -gradient.reshape(*value.shape, *shape)

    return estimate


def jax_loss(loss: Loss) -> Callable[[Batch], Floats]:
    """Returns the estimator −∂loss/∂θ of a loss in jax; arguments and errors are those of `torch_loss`.

    theta has the shape of `batch.theta`; of a network it is the tree of params. In single precision, unless
    `jax_enable_x64` is set.
    """

    def estimate(batch: Batch) -> Floats:
        try:
            import jax
        except ImportError:
            raise EstimatorError("jax_loss needs jax: pip install 'pgcheck[jax]'") from None
        if isinstance(batch.policy, JaxNetwork):
            theta = jax.tree_util.tree_map(jax.numpy.asarray, batch.policy.params)
        else:
            _check_kind(batch, "jax_loss", "jax_policy")
            theta = jax.numpy.asarray(np.array(batch.theta))
        value, pull = jax.vjp(lambda x: loss(x, batch), theta)
        shape = tuple(value.shape)
        _check(shape, batch)
        if shape == ():
            rows = [pull(jax.numpy.ones_like(value))[0]]
        else:
            block = _block(batch)
            eye = (
                jax.numpy.eye(len(batch), dtype=value.dtype)[lo : lo + block] for lo in range(0, len(batch), block)
            )
            rows = [jax.vmap(pull)(weights)[0] for weights in eye]
        flat = [joined(map(np.asarray, jax.tree_util.tree_leaves(tree)), leading=len(shape)) for tree in rows]
        gradients = flat[0] if shape == () else np.concatenate(flat)
        return -gradients.reshape(*shape, *batch.theta.shape)

    return estimate


def log_probs(theta: Any, batch: Batch) -> Any:
    """Returns log π(a_t|s_t) `[N, T]` as a function of theta, 0 beyond the end; for models and policies of any kind.

    Args:
      theta: what the loss was given: a torch or jax array of the shape of `batch.theta`, or a network's parameters.
      batch: the episodes.
    """
    offered, mask = _offered(batch), np.array(batch.mask)
    steps = np.array(batch.states * batch.num_actions + batch.actions)
    if isinstance(batch.policy, TorchNetwork) or hasattr(theta, "detach"):
        import torch

        logits = _logits(theta, batch, torch.from_numpy).masked_fill(~torch.from_numpy(offered), -torch.inf)
        table = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
        taken = torch.take(table, torch.from_numpy(steps))
        return torch.where(torch.from_numpy(mask), taken, torch.zeros_like(taken))
    import jax

    logits = jax.numpy.where(offered, _logits(theta, batch, jax.numpy.asarray), -jax.numpy.inf)
    table = logits - jax.scipy.special.logsumexp(logits, axis=-1, keepdims=True)
    return jax.numpy.where(mask, table.reshape(-1)[steps], 0.0)


def _logits(theta: Any, batch: Batch, constant: Callable[[Any], Any]) -> Any:
    """The logits `[S, A]`, by the operators that torch and jax share; `constant` makes one of their arrays."""
    policy = batch.policy
    if isinstance(policy, Network):
        return policy.logits_of(theta)
    if batch.theta.ndim == 2:
        return theta.reshape(batch.theta.shape)
    if isinstance(policy, TabularSoftmax):
        return theta.reshape(-1)[constant(np.maximum(policy.numbers(*np.indices(policy.probs().shape)), 0))]
    features = getattr(policy, "features", None)  # of a linear policy [S, A, d]
    if features is None:
        raise EstimatorError(f"log_probs is not known of {type(policy).__name__}; compute it in the loss")
    return constant(np.array(features)) @ theta


def _offered(batch: Batch) -> Bools:
    """Which actions each state offers `[S, A]`; where it offers none, all: steps beyond the end stand in state 0."""
    available = batch.mdp.available
    return available | ~available.any(axis=1, keepdims=True)


def _of_episodes(values: Any, leaves: Sequence[Any], batch: Batch) -> Floats:
    """The gradients of N numbers `[N, d]`, of one forward pass: by columns where d < N, else by rows.

    Both go through the graph for a block of them at once. What cannot be vectorised is gone through one by one.
    """
    block = _block(batch)
    ways = [_by_rows, _one_by_one] if len(values) <= len(batch.policy.theta) else [_by_columns, _by_rows, _one_by_one]
    with warnings.catch_warnings():  # these are about speed
        warnings.simplefilter("ignore")
        return _numbers(_first(ways, values, leaves, block))


def _block(batch: Batch) -> int:
    """How many rows or columns may go through the graph of a loss at once."""
    return max(1, MAX_NUMBERS // max(1, batch.mask.size * batch.num_actions))


def _by_columns(values: Any, leaves: Sequence[Any], block: int) -> Any:
    """∂values/∂θ_k for each k: Jᵀu is linear in u, and its derivative with respect to u is J."""
    import torch

    u = torch.ones_like(values).requires_grad_()
    total = _pullback(values, leaves, u, create_graph=True)
    columns = [_pullback(total, [u], rows, batched=True) for rows in torch.eye(len(total)).to(total).split(block)]
    gradients = torch.cat(columns).T
    # An operation whose backward pass cannot be differentiated would be missing in J, but not in Jᵀ1.
    tolerance = ROUNDED if gradients.dtype == torch.float64 else ROUNDED_IN_SINGLE
    if torch.any((gradients.sum(dim=0) - total).abs() > tolerance * gradients.abs().sum(dim=0).max()):
        raise NotImplementedError
    return gradients


def _by_rows(values: Any, leaves: Sequence[Any], block: int) -> Any:
    """∂value_i/∂θ for each i, a block of them in one backward pass."""
    import torch

    rows = []
    for lo in range(0, len(values), block):
        weights = torch.zeros((min(block, len(values) - lo), len(values))).to(values)
        weights.diagonal(lo).fill_(1.0)
        rows.append(_pullback(values, leaves, weights, batched=True))
    return torch.cat(rows)


def _one_by_one(values: Any, leaves: Sequence[Any], _: int) -> Any:
    """∂value_i/∂θ for each i, by a backward pass each."""
    import torch

    return torch.stack([_pullback(value, leaves) for value in values])


def _pullback(
    values: Any, leaves: Sequence[Any], weights: Any = None, *, batched: bool = False, create_graph: bool = False
) -> Any:
    """Σ_i weights_i ∂values_i/∂leaves, flat and side by side `[d]`; of each row of weights `[m, d]` where batched."""
    import torch

    gradients = torch.autograd.grad(
        values, leaves, grad_outputs=weights, is_grads_batched=batched, retain_graph=True, create_graph=create_graph,
        allow_unused=True,
    )  # fmt: skip
    lead = weights.shape[:1] if batched else ()
    known = [torch.zeros((*lead, *x.shape)).to(x) if g is None else g for g, x in zip(gradients, leaves, strict=True)]
    return torch.cat([g.reshape(*lead, -1) for g in known], dim=-1)


def _first(ways: Sequence[Callable[..., Any]], *arguments: Any) -> Any:
    """What the first of several ways to one result gives that raises no error; that of the last is raised."""
    for way in ways[:-1]:
        with contextlib.suppress(Exception):  # whatever torch, jax or a user's own operation raises
            return way(*arguments)
    return ways[-1](*arguments)


def _numbers(tensor: Any) -> Floats:
    return np.asarray(tensor.detach().cpu().numpy())


def _check_kind(batch: Batch, adapter: str, expected: str) -> None:
    if isinstance(batch.policy, Network):
        raise EstimatorError(f"{adapter} needs a policy of {expected}; this one is a {type(batch.policy).__name__}")


def _check(shape: tuple[int, ...], batch: Batch) -> None:
    if shape not in ((), (len(batch),)):
        raise EstimatorError(
            f"the loss has shape {list(shape)}; expected a scalar for the whole batch, or one number for each of the "
            f"{len(batch)} episodes, [{len(batch)}]"
        )
