"""The type and the sizes of an explicit model of PRISM, from the head of x.tra, and how its lines are written."""

import re
from dataclasses import dataclass

from pgcheck.formats.explicit.lines import INDEX, MAX_STATES, Lines
from pgcheck.formats.reader import quoted

EXPORT_DRN = "storm --explicit x.tra x.lab --exportbuild x.drn"
REFUSED = {
    "CTMC": "rates (CTMC)", "CTMDP": "rates (CTMDP)", "LTS": "no probabilities", "PTA": "clocks",
    "IDTMC": "intervals", "IMDP": "intervals", "IPOMDP": "intervals",
    "SMG": "several players", "CSG": "several players", "TSG": "several players",
}  # fmt: skip

_TYPE = re.compile(r"# Transitions \((.*)\)[ \t]*")
_SIZES = re.compile(r"[ \t]*[0-9]{1,18}(?:[ \t]+[0-9]{1,18}){1,3}[ \t]*")
_VALUE, _LABEL = r"[ \t]+([^ \t]+)", r"(?:[ \t]+([^ \t]+))?[ \t]*"
_CHOICE = rf"[ \t]*{INDEX}[ \t]+{INDEX}[ \t]+{INDEX}{_VALUE}"
_OF_CHOICE = ("a state", "a choice", "a state", "a probability")


@dataclass(frozen=True)
class Form:
    """How the transitions of a type of model are written.

    Attributes:
      type: DTMC, MDP or POMDP.
      pattern: of a line; its groups are state, choice, next state, probability, observation, label.
      words: what each word of a line is, before the label.
    """

    type: str
    pattern: re.Pattern[str]
    words: tuple[str, ...]

    @property
    def place(self) -> int:
        """The place of the probability among the words."""
        return self.words.index("a probability")


FORMS = {  # by the number of sizes
    2: Form(
        "DTMC",
        re.compile(rf"[ \t]*{INDEX}()[ \t]+{INDEX}{_VALUE}(){_LABEL}"),
        ("a state", "a state", "a probability"),
    ),
    3: Form("MDP", re.compile(rf"{_CHOICE}(){_LABEL}"), _OF_CHOICE),
    4: Form("POMDP", re.compile(rf"{_CHOICE}[ \t]+{INDEX}{_LABEL}"), (*_OF_CHOICE, "an observation")),
}


def read_header(lines: Lines) -> tuple[int, list[int], Form]:
    """Returns the number of the line with the sizes, these, and how the lines below are written.

    Raises:
      ModelError: there are no sizes, or the model is of another type.
    """
    problems = lines.problems
    number, said = lines.first(), None
    for above, comment in enumerate(lines.texts[: number - 1], 1):
        if match := _TYPE.fullmatch(comment):
            said = match[1]
            if said in REFUSED:
                problems.add(above, 1, f"a model with {REFUSED[said]}; expected a DTMC, an MDP or a POMDP")
                problems.check()
    text = lines.texts[number - 1]
    sizes = list(map(int, text.split())) if _SIZES.fullmatch(text) else []
    if not sizes:
        hint = "the number of states, of choices (MDP) and of transitions, like `4 5 7`"
        if text.strip().lower() in ("dtmc", "mdp", "ctmc", "ma"):
            hint = f"PRISM's format; this is Storm's, export it anew: {EXPORT_DRN}"
        elif "=" in text:
            hint = "PRISM's plain format; this is Matlab's, export it without that"
        problems.add(number, 1, f"found {quoted(text.strip())}; expected {hint}")
    elif not 1 <= sizes[0] <= MAX_STATES:
        problems.add(number, 1, f"{sizes[0]:,} states; expected 1 to {MAX_STATES:,}")
    elif said is not None and said != FORMS[len(sizes)].type:
        problems.add(
            number,
            1,
            f"{len(sizes)} sizes are those of type {FORMS[len(sizes)].type}, but the type is {quoted(said)}",
        )
    problems.check()
    return number, sizes, FORMS[len(sizes)]
