"""All explanations, by id."""

import difflib

from pgcheck.errors import UsageError
from pgcheck.estimators.mistakes.baselines import BASELINES
from pgcheck.estimators.mistakes.batches import BATCHES
from pgcheck.estimators.mistakes.discounting import DISCOUNTING
from pgcheck.estimators.mistakes.explanation import Explanation
from pgcheck.estimators.mistakes.ids import IDS, TITLES
from pgcheck.estimators.mistakes.loops import LOOPS
from pgcheck.estimators.mistakes.missing import MISSING
from pgcheck.estimators.mistakes.multiples import MULTIPLES
from pgcheck.estimators.mistakes.scores import SCORES

_ALL = (*DISCOUNTING, *MISSING, *MULTIPLES, *SCORES, *BASELINES, *BATCHES, *LOOPS)
EXPLANATIONS: dict[str, Explanation] = {
    name: explanation for name in TITLES for explanation in _ALL if explanation.id == name
}


def explain(id: str) -> Explanation:
    """Returns what is to be said of a known mistake: what it is, why it is one, wrong and right code.

    Args:
      id: as a diagnosis has it, like `dropped-gamma`.

    Raises:
      UsageError: no mistake has this id; the message names one that is near.
    """
    if id in EXPLANATIONS:
        return EXPLANATIONS[id]
    near = difflib.get_close_matches(id.lower(), IDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"explain {id!r}: not the id of a mistake{hint}\n  ids: {', '.join(IDS)}")
