"""A training loop's own loss → an estimator: minus its gradient. torch and jax are imported where they are used.

    from pgcheck.adapters import torch_loss

    def loss(theta, batch): ...          # a scalar for the whole batch, or one number for each episode [N]
    estimate = torch_loss(loss)          # pgcheck verify train.py:estimate

`theta` is a tensor of batch.theta's shape, of softmax preferences where that is `[S, A]`: π(·|s) is
softmax(theta[s]). On models whose theta is flat, `log_probs` gives log π(a_t|s_t) for any shape.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch

Loss = Callable[[Any, Batch], Any]


def torch_loss(loss: Loss) -> Callable[[Batch], Floats]:
    """Returns the estimator −∂loss/∂θ of a loss in torch.

    Args:
      loss: from (theta, batch) to a scalar, or to one number for each episode `[N]`; theta is a float64 leaf
        tensor of the shape of `batch.theta`.

    Raises (from the estimator):
      EstimatorError: torch is not installed, or the loss is of another shape or does not depend on theta.
    """

    def estimate(batch: Batch) -> Floats:
        try:
            import torch
        except ImportError:
            raise EstimatorError("torch_loss needs torch: pip install torch") from None
        theta = torch.tensor(np.array(batch.theta), dtype=torch.float64, requires_grad=True)
        value = loss(theta, batch)
        if not isinstance(value, torch.Tensor):
            raise EstimatorError(f"the loss is a {type(value).__name__}; expected a torch tensor")
        _check(tuple(value.shape), batch)
        if not value.requires_grad:
            raise EstimatorError("the loss does not depend on theta; was it detached, or made from batch.probs?")
        if value.ndim == 0:
            (gradient,) = torch.autograd.grad(value, theta, allow_unused=True)
            return -_known(gradient, theta)
        rows = []
        for number in value:
            (gradient,) = torch.autograd.grad(number, theta, retain_graph=True, allow_unused=True)
            rows.append(-_known(gradient, theta))
        return np.stack(rows)

    def _known(gradient: Any, theta: Any) -> Floats:
        return np.zeros(tuple(theta.shape)) if gradient is None else gradient.detach().numpy()

    return estimate


def jax_loss(loss: Loss) -> Callable[[Batch], Floats]:
    """Returns the estimator −∂loss/∂θ of a loss in jax; theta has the shape of `batch.theta`.

    In single precision, unless `jax_enable_x64` is set. Arguments and errors are those of `torch_loss`.
    """

    def estimate(batch: Batch) -> Floats:
        try:
            import jax
        except ImportError:
            raise EstimatorError("jax_loss needs jax: pip install jax") from None
        theta = jax.numpy.asarray(np.array(batch.theta))
        shape = tuple(jax.numpy.shape(loss(theta, batch)))
        _check(shape, batch)
        differentiate = jax.grad if shape == () else jax.jacrev
        return -np.asarray(differentiate(lambda x: loss(x, batch))(theta))

    return estimate


def log_probs(theta: Any, batch: Batch) -> Any:
    """Returns log π(a_t|s_t) `[N, T]` as a function of theta, 0 beyond the end; for models of any shape.

    Args:
      theta: a torch or jax array of the shape of `batch.theta`.
      batch: the episodes.
    """
    index, offered = _rows(batch)
    flat = theta.reshape(-1)
    if hasattr(theta, "detach"):
        import torch

        chosen = flat[torch.from_numpy(index)].masked_fill(~torch.from_numpy(offered), -torch.inf)
        table = chosen - torch.logsumexp(chosen, dim=-1, keepdim=True)
        actions = torch.from_numpy(np.array(batch.actions))[..., None]
        mask = torch.from_numpy(np.array(batch.mask))
        taken = torch.gather(table, -1, actions)[..., 0]
        return torch.where(mask, taken, torch.zeros_like(taken))
    import jax

    chosen = jax.numpy.where(offered, flat[index], -jax.numpy.inf)
    table = chosen - jax.scipy.special.logsumexp(chosen, axis=-1, keepdims=True)
    taken = jax.numpy.take_along_axis(table, np.array(batch.actions)[..., None], axis=-1)[..., 0]
    return jax.numpy.where(np.array(batch.mask), taken, 0.0)


def _rows(batch: Batch) -> "tuple[Ints, np.ndarray[Any, np.dtype[np.bool_]]]":
    """Which components of theta each step chooses among `[N, T, A]`, and which actions are offered."""
    if batch.theta.ndim == 2:
        table = np.arange(batch.theta.size).reshape(batch.theta.shape)
        index = table[batch.states]
        return index, np.ones(index.shape, dtype=np.bool_)
    # Steps beyond the end stand in state 0; where that is terminal, let them choose among everything.
    assert isinstance(batch.policy, TabularSoftmax)
    index = batch.policy.index[batch.states]
    offered = (index >= 0) | ~batch.mask[..., None]
    return np.maximum(index, 0), offered


def _check(shape: tuple[int, ...], batch: Batch) -> None:
    if shape not in ((), (len(batch),)):
        raise EstimatorError(
            f"the loss has shape {list(shape)}; expected a scalar for the whole batch, or one number for each of the "
            f"{len(batch)} episodes, [{len(batch)}]"
        )
