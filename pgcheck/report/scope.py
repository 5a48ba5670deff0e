"""What a verdict covers, and what would let it cover more."""

from collections.abc import Iterator

from pgcheck.report.words import many, objective, percent
from pgcheck.verification.limits import Skipped
from pgcheck.verification.verification import Verification


def scope_text(verification: Verification) -> str:
    """Returns what a pass covers: models, lengths, states, actions, rewards and batch sizes."""
    scope = verification.scope
    listed = "trajectories" if verification.contract.by_episode else "batches"
    rewards = f"rewards from {scope.least:,g} to {scope.greatest:,g}"
    if scope.least == scope.greatest:
        rewards = f"rewards of {scope.least:,g}"
    sizes = [many(scope.steps, "step"), many(scope.states, "state"), many(scope.actions, "action")]
    objectives = dict.fromkeys(objective(finding.mdp) for finding in verification.exact)
    weights = next(iter(objectives), "") if len(objectives) < 2 else ", each with its own objective"
    models = f"{many(scope.models, 'model')} (at most {', '.join(sizes)}, {rewards}{weights})"
    covered = f"exact over all {listed} of {models}, {_batches(verification)}{_stretch(verification)}"
    return covered + "".join(_drawing(verification))


def advice(skipped: Skipped) -> str:
    """Returns which option would do for a model that was too large; nothing where none would."""
    limit = skipped.limit
    if limit is None:
        return ""
    options = [] if limit.needed is None else [f"{limit.option} {_rounded(limit.needed)}"]
    options += [] if limit.horizon is None else [f"--horizon {limit.horizon}"]
    return f"Try {', or '.join(options)}." if options else ""


def _drawing(verification: Verification) -> Iterator[str]:
    """Who drew the episodes, and whether those of a batch share their first state."""
    if verification.off_policy:
        yield "; the behavior drew the episodes"
        yield " (no long chain was tried)" * verification.long_untried
    elif verification.long_untried:
        yield "; no long chain was tried"
    if verification.same_start:
        starts, models = verification.scope.starts, verification.scope.models
        several = "all models" if starts == models else f"{starts} of {many(models, 'model')}"
        where = f"there are several on {several}" if starts else "there is only one on each model"
        yield f"; the episodes of a batch share their first state ({where})"


def _batches(verification: Verification) -> str:
    """The batch sizes; where some models had fewer, on how many each was used."""
    scope = verification.scope
    differ = any(number != scope.models for _, number in scope.batch_sizes)
    sizes = [f"{size} ({many(number, 'model')})" if differ else f"{size}" for size, number in scope.batch_sizes]
    return f"batches of {_enumerated(sizes)}"


def _stretch(verification: Verification) -> str:
    """The larger batches of drawn episodes, where they told something."""
    right = [result for result in verification.stretched if result.outcome == "right"]
    undecided = [f"{result.batch_size:,}" for result in verification.stretched if result.outcome == "unknown"]
    if not right:
        return "; larger batches not checked"
    sizes = [f"{result.batch_size:,}" for result in right]
    known = len(right) == len(verification.stretched) and len(right) > 2
    which = f"{sizes[0]} to {sizes[-1]}" if known else _enumerated(sizes)
    bound = max((result.bound for result in right if result.bound is not None), default=None)
    within = "" if bound is None else f" (bias along the gradient below {percent(bound)})"
    unknown = f"; of {_enumerated(undecided)} undecided" if undecided else ""
    return f"; drawn batches of {which} of {right[0].model}{within}{unknown}"


def _enumerated(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _rounded(number: int) -> str:
    """A number of one digit and zeros, as an option takes it."""
    text = str(number)
    return f"{text[0]}e{len(text) - 1}" if number >= 10_000 else text
