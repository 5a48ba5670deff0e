"""An explicit model of Storm, x.drn → what it says. A file holds at most 64 MB.

The format: https://www.stormchecker.org/documentation/background/languages.html
"""

import numpy as np

from pgcheck.formats.explicit.lines import Lines
from pgcheck.formats.explicit.model import Explicit, chosen_rewards, given_by
from pgcheck.formats.explicit.storm_header import read_header
from pgcheck.formats.explicit.storm_states import read_states
from pgcheck.formats.given import Given, Options
from pgcheck.formats.sources import read_text


def read(spec: str, options: Options) -> Given:
    """Returns what x.drn says.

    Raises:
      ModelError: the file is at fault; the message lists up to 20 errors, each with FILE:LINE:COL.
      UsageError: there is no such file, or an option is missing, or names what is not there.
    """
    lines = Lines(*read_text(spec))
    header = read_header(lines)
    model = read_states(lines, header)
    names = _names(header.rewards, model.rewards.shape[1])
    number, clause = chosen_rewards(spec, names, options)
    column = slice(0, 0) if number is None else slice(number, number + 1)
    assumed = ("a DTMC has one action", clause) if header.type == "DTMC" else (clause,)
    explicit = Explicit(
        spec, model.state, model.choice, model.next_state, model.prob, model.rewards[:, column].sum(axis=1),
        model.name, model.names, model.state_rewards[:, column].sum(axis=1), None, model.labels,
        model.labels.get("init", np.zeros(0, dtype=np.int64)), model.observation, assumed,
    )  # fmt: skip
    return given_by(explicit, options)


def _names(said: tuple[str, ...], count: int) -> list[str]:
    """The names of so many reward structures; one without a name keeps its place among those that Storm writes."""
    names = list(said) if len(said) == count else [name for name in said if name]
    names += [""] * (count - len(names))
    return [name or f"rew{number}" for number, name in enumerate(names)]
