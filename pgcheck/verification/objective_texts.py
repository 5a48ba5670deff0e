"""What is said of an estimator that follows another objective than the one asked for.

Texts are templates, as in `verification.causes`, which has them too; their keys go without `objective/` here.
"""

from dataclasses import dataclass

_OF_STATES = " of the states as visited"
_KL, _OTHER_KL = "KL(pi || pi_ref)", "KL(pi_ref || pi)"
_TERM = "{lead} {coefficient:.4g} "

TEXTS: dict[str, str] = {
    "followed": "this is the gradient of {followed}, not of {asked}",
    "followed-besides": "the objective is {followed}, not {asked}",
    "coefficient-of-entropy": "the coefficient of the entropy is {coefficient:.4g}, not {wanted:.4g}",
    "coefficient-of-kl": "the coefficient of KL is {coefficient:.4g}, not {wanted:.4g}",
    "unknown": "beside the gradient of J there is an entropy or KL term, but none of the known ones",
    # Entropy.
    "entropy-present": _TERM + "{sum} grad H(pi(.|s_t))" + _OF_STATES + ": later entropy is not credited",
    "entropy-without-gamma-t": _TERM
    + "times the gradient of the entropy, credited to all earlier steps but without gamma^t",
    "entropy-undiscounted": _TERM
    + "times the gradient of the entropy, credited to all earlier steps but not discounted",
    "entropy-sampled": (
        _TERM + "times the gradient of log pi at the actions of the behavior: -log pi as a loss is no entropy bonus"
    ),
    # KL(π ‖ π_ref).
    "kl-present": _TERM + "{sum} grad " + _KL + _OF_STATES + ": later KL is not credited ({variants})",
    "kl-states": (
        _TERM + "{sum} grad " + _KL + " of the states as the behavior visits them: the token's ratio corrects the "
        "action, not the state ({variants})"
    ),
    "kl-reverse": _TERM + "{sum} grad " + _OTHER_KL + _OF_STATES + ": that is the other KL ({variants})",
    "kl-actions": (
        _TERM + "times the gradient of {variants}: without a ratio the actions are those of the behavior, not of pi"
    ),
    "kl-square-present": (
        _TERM + "{sum} grad E[(log pi/pi_ref)^2 / 2 | s_t]" + _OF_STATES + ": that is not KL ({variants})"
    ),
    "kl-square": _TERM + "grad E[{sum} (log pi/pi_ref)^2 / 2]: that is not KL ({variants})",
    "kl-sequence-mean": (
        _TERM + "times the gradient of {variants}: it adds the KL of the whole episode, over L, to every step"
    ),
    "kl-over-length": _TERM + "grad E[{sum} KL(pi || pi_ref)]: the KL of an episode is divided by its length L",
    "kl-reward": (
        "the penalty is {coefficient:.4g} times {variants}: only k1 = log(pi/pi_ref) gives the gradient of "
        "KL(pi || pi_ref) there"
    ),
    "kl-without-gamma-t": _TERM + "times the gradient of KL, credited to all earlier steps but without gamma^t",
    "kl-undiscounted": _TERM + "times the gradient of KL, credited to all earlier steps but not discounted",
}

NOTES_ON_TERMS: dict[str, str] = {
    "no-entropy": ": the entropy bonus is missing, or has no effect, as that of -log pi as a loss",
    "no-kl": ": the KL term is missing, or has no effect, as k1 as a loss without a ratio",
    "entropy-negative": ": the entropy bonus has the wrong sign",
    "kl-negative": ": the KL term has the wrong sign",
    "wrong-sign": "; its sign is wrong",
    "other-coefficient": "; its coefficient should be {wanted:.4g}",
}

LEADS = {
    ("grad J", 1): "this is grad J plus",
    ("grad J", -1): "this is grad J minus",
    ("entropy", 1): "the entropy bonus is",
    ("entropy", -1): "the entropy bonus is minus",
    ("kl", 1): "the KL term is plus",
    ("kl", -1): "the KL term is minus",
}

PLACES = {
    "none": "as a loss",
    "token": "times the token's ratio",
    "detached": "times the token's ratio, detached",
    "prefix": "times the prefix's ratio",
    "sequence": "times the whole sequence's ratio",
    "mean": "times the sequence mean's ratio",
    "reward": "in the reward",
}


@dataclass(frozen=True)
class Objective:
    """J + α H − β KL(π ‖ π_ref).

    Attributes:
      entropy, kl: α and β.
    """

    entropy: float
    kl: float

    def __str__(self) -> str:
        text = "J"
        for coefficient, name in ((self.entropy, "H"), (-self.kl, "KL(pi || pi_ref)")):
            if coefficient:
                text += f" {'+' if coefficient > 0 else '-'} {abs(coefficient):.4g} {name}"
        return text


@dataclass(frozen=True)
class Lead:
    """How a text begins: with what the term is added to, or with what it is.

    Attributes:
      subject: `grad J`, `entropy` or `kl`.
      sign: 1 or −1.
    """

    subject: str
    sign: int

    def __str__(self) -> str:
        return LEADS[self.subject, self.sign]


@dataclass(frozen=True)
class Variants:
    """Ways to write a KL term that all have the same expectation.

    Attributes:
      keys: k1, k2 or k3, a dash, and a key of `PLACES`.
    """

    keys: tuple[str, ...]

    def __str__(self) -> str:
        kinds: dict[str, list[str]] = {}
        for key in self.keys:
            kind, _, place = key.partition("-")
            kinds.setdefault(place, []).append(kind)
        return ", or ".join(f"{' or '.join(of_place)} {PLACES[place]}" for place, of_place in kinds.items())
