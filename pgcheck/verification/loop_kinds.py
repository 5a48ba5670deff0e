"""How a loop may weight ∇log π(a_t|s_t): the known mistakes, a critic's advantages, and weights of a whole run."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.estimators.mistakes.weights import REFERENCE, Candidate, Mistake
from pgcheck.estimators.weights import discounts
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.explanation import mean_of
from pgcheck.verification.loop_divisors import WHOLE, Divisor
from pgcheck.verification.loop_frame import Seen
from pgcheck.verification.matching import CANDIDATES

OWN_GAMMAS = (1.0, 0.99, 0.95, 0.9, 0.995, 0.98, 0.999)  # that are written in loops
LAMBDAS = (1.0, 0.95, 0.97, 0.9, 0.98, 0.99, 0.8, 0.5, 0.0)

Expected = Callable[[Divisor], Floats]


class Kind(Protocol):
    """A way to weight steps."""

    @property
    def bootstrapped(self) -> bool:
        """Whether a critic's value stands for the rewards after the end of the buffer."""

    def expected(self, seen: Seen) -> Expected:
        """Returns what gives the expectation on a model `[R]` for a divisor."""

    def diagnoses(self, seen: Sequence[Seen]) -> tuple[Diagnosis, ...]:
        """Returns what is wrong with it on these models."""


@dataclass(frozen=True, eq=False)
class Known:
    """A known mistake, or γ^t G_t."""

    candidate: Candidate = REFERENCE
    bootstrapped: bool = False

    def expected(self, seen: Seen) -> Expected:
        """Returns what gives the expectation on a model `[R]` for a divisor."""
        weights = self.candidate.weights(seen.recorded.batch)

        def mean(divisor: Divisor) -> Floats:
            if divisor is WHOLE:
                return mean_of(self.candidate, seen.finding) @ seen.directions
            return seen.of_candidate(self.candidate, weights, divisor)

        return mean

    def diagnoses(self, seen: Sequence[Seen]) -> tuple[Diagnosis, ...]:
        """Returns the mistake by each of its ids."""
        it = self.candidate
        return tuple(Diagnosis(name, it.cause, notes=it.notes) for name in it.ids) if isinstance(it, Mistake) else ()


@dataclass(frozen=True)
class Advantages:
    """A_t = Σ_{k≥t} (g λ)^{k−t} (r_k + g V(s_{k+1}) − V(s_k)), where V is 0 after an episode unless said otherwise.

    Attributes:
      discount: g; None is the model's γ.
      lam: λ.
      keeps: whether γ^t stands before it.
      at_end, at_limit: whether V(s') counts at the end of the buffer, and where the time limit ends an episode.
      has_critic: whether there is a V; without it λ is 1.
      keeps_own: whether g^t stands before it.
      drops_cut: whether episodes that the time limit cuts off have no weight.
    """

    discount: float | None = None
    lam: float = 1.0
    keeps: bool = False
    at_end: bool = False
    at_limit: bool = False
    has_critic: bool = True
    keeps_own: bool = False
    drops_cut: bool = False

    @property
    def bootstrapped(self) -> bool:
        """Whether a critic's value stands for the rewards after the end of the buffer."""
        return self.at_end

    def plain(self, seen: Seen) -> Floats:
        """Returns A_t of the distinct episodes `[n, T]`, without γ^t."""
        batch, values = seen.recorded.batch, seen.values if self.has_critic else None
        g = batch.gamma if self.discount is None else self.discount
        last = np.arange(len(batch.outcomes)) == batch.lengths[:, None] - 1
        table = np.zeros(batch.num_states) if values is None else values
        counts = batch.mask & ~(last & ~self._goes_on(seen)[:, None])
        deltas = batch.credits + g * np.where(counts, table[batch.next_states], 0.0) - table[batch.states]
        out = np.where(batch.mask, deltas, 0.0)
        for t in range(out.shape[1] - 2, -1, -1):
            out[:, t] += np.where(last[:, t], 0.0, g * self.lam * out[:, t + 1])
        return out

    def weights(self, seen: Seen) -> Floats:
        """Returns the weights of steps of the distinct episodes `[n, T]`."""
        plain, batch = self.plain(seen), seen.recorded.batch
        if self.drops_cut:
            plain = plain * batch.terminated[:, None]
        if self.keeps_own and self.discount is not None:
            return np.asarray(plain * self.discount ** np.arange(plain.shape[1]))
        return plain * discounts(batch) if self.keeps else plain

    def expected(self, seen: Seen) -> Expected:
        """Returns what gives the expectation on a model `[R]` for a divisor."""
        weights = self.weights(seen)
        return lambda divisor: seen.of_episodes(weights, divisor)

    def diagnoses(self, seen: Sequence[Seen]) -> tuple[Diagnosis, ...]:
        """Returns what is wrong with it on these models."""
        names = []
        discounted = any(it.mdp.gamma < 1 for it in seen)
        if self.discount == 1.0 and discounted:
            names.append(Diagnosis("undiscounted", "undiscounted"))
        elif self.discount is not None and any(it.mdp.gamma != self.discount for it in seen):
            names.append(Diagnosis("other-gamma", "other-gamma", (("discount", self.discount),)))
        if self.drops_cut:
            names.insert(0, Diagnosis("cut-episodes-dropped", "cut-episodes-dropped"))
        if not self.keeps and not self.keeps_own and discounted:
            names.append(Diagnosis("dropped-gamma", "dropped-gamma"))
        if self.lam != 1.0:
            names.append(Diagnosis("bootstrap", "bootstrap/gae", (("lam", self.lam),)))
        if self.at_end:
            names.append(Diagnosis("bootstrap", "bootstrap/buffer-end"))
        if self.at_limit:
            names.append(Diagnosis("bootstrap", "bootstrap/limit-value"))
        return tuple(names)

    def _goes_on(self, seen: Seen) -> Bools:
        """Whether V(s') counts after the last step of each distinct episode `[n]`."""
        recorded = seen.recorded
        limited = recorded.ended & ~recorded.batch.terminated
        return np.asarray((self.at_end & ~recorded.ended) | (self.at_limit & limited))


@dataclass(frozen=True)
class OfRun:
    """Weights that come about over a whole run.

    Attributes:
      base: A_t, of which they are made.
      cause: how: the key of the text.
      by_run: whether the numbers of a run belong together, or those of an episode.
      fewer: see `Streams.standardised`.
    """

    base: Advantages
    cause: str
    by_run: bool = True
    fewer: int = 1

    @property
    def bootstrapped(self) -> bool:
        """Whether a critic's value stands for the rewards after the end of the buffer."""
        return self.base.bootstrapped

    def expected(self, seen: Seen) -> Expected:
        """Returns what gives the expectation on a model `[R]` for a divisor."""
        streams = seen.streams
        group = streams.run if self.by_run else streams.episode
        if self.cause == "leaks-between-episodes/buffer":
            gamma = seen.mdp.gamma if self.base.discount is None else self.base.discount
            weights = streams.onward(
                streams.looked_up(np.where(seen.recorded.batch.mask, seen.recorded.batch.credits, 0)), gamma
            )
        elif self.cause == "action-dependent-baseline/run-mean":
            weights = streams.centred(streams.looked_up(self.base.plain(seen)), group)
        else:
            weights = streams.standardised(streams.looked_up(self.base.plain(seen)), group, fewer=self.fewer)
        if self.base.keeps:
            weights = weights * streams.looked_up(
                np.tile(discounts(seen.recorded.batch), (len(seen.recorded.batch), 1))
            )
        return lambda divisor: seen.of_streams(weights, divisor)

    def diagnoses(self, seen: Sequence[Seen]) -> tuple[Diagnosis, ...]:
        """Returns what is wrong with it on these models."""
        return (Diagnosis(self.cause.partition("/")[0], self.cause), *self.base.diagnoses(seen))


def linear_kinds(seen: Sequence[Seen], *, hidden_critic: bool = False) -> list[Kind]:
    """Returns the ways to weight steps that follow the rewards; with `hidden_critic` λ may be less than 1 anyway."""
    kinds: list[Kind] = [Known(), *(Known(candidate) for candidate in CANDIDATES)]
    kinds += advantages(seen, (False, True), LAMBDAS)
    kinds += [Advantages(g, has_critic=False, keeps_own=True) for g in OWN_GAMMAS[1:]]
    if any(np.any(it.recorded.ended & ~it.recorded.batch.terminated) for it in seen):
        kinds += [
            Advantages(g, keeps=keeps, has_critic=False, drops_cut=True)
            for g in (None, 1.0)
            for keeps in (False, True)
        ]
    if hidden_critic:
        kinds += [Advantages(g, lam, has_critic=False) for g in (None, *OWN_GAMMAS) for lam in LAMBDAS[1:]]
    bases = [Advantages(g, keeps=keeps, has_critic=False) for g in (None, 1.0) for keeps in (False, True)]
    kinds += [
        OfRun(base, cause)
        for base in bases
        for cause in ("leaks-between-episodes/buffer", "action-dependent-baseline/run-mean")
    ]
    return kinds


def standardised_kinds(seen: Sequence[Seen]) -> list[Kind]:
    """Returns the ways to weight steps in which advantages are standardised."""
    bases = advantages(seen, (False,), LAMBDAS[:4])
    bases += [Advantages(g, has_critic=False) for g in (None, *OWN_GAMMAS)]
    return [
        OfRun(base, "nonlinear/standardised" if by_run else "nonlinear/standardised-episode", by_run, fewer)
        for by_run in (True, False)
        for fewer in (1, 0)
        for base in bases
    ]


def advantages(seen: Sequence[Seen], keeps: Sequence[bool], lambdas: Sequence[float]) -> list[Advantages]:
    """Returns a critic's advantages with the discounts and λ of loops, as far as they differ on these models.

    Without a critic's values λ is 1 and nothing is bootstrapped.
    """
    has_critic = all(it.values is not None for it in seen)
    cut = has_critic and any(not np.all(it.recorded.ended) for it in seen)
    limited = has_critic and any(np.any(it.recorded.ended & ~it.recorded.batch.terminated) for it in seen)
    gammas = {it.mdp.gamma for it in seen}
    own = [None, *(g for g in OWN_GAMMAS if gammas != {g})]
    return [
        Advantages(g, lam, kept, at_end, at_limit, has_critic)
        for g, lam, kept, at_end, at_limit in itertools.product(
            own, lambdas if has_critic else (1.0,), keeps, (False, True)[: 1 + cut], (False, True)[: 1 + limited]
        )
    ]
