"""An explicit model of PRISM: x.tra → what it says, with .sta (states), .lab (labels), .srew and .trew (rewards).

The formats: https://www.prismmodelchecker.org/manual/Appendices/ExplicitModelFiles. A file holds at most 64 MB, which
are some 2.5 million transitions.
"""

import os
from pathlib import Path

import numpy as np

from pgcheck.formats.explicit.lines import Lines
from pgcheck.formats.explicit.model import Explicit, chosen_rewards, given_by
from pgcheck.formats.explicit.prism_labels import read_labels, read_states
from pgcheck.formats.explicit.prism_rewards import find_rewards, rewards_of
from pgcheck.formats.explicit.prism_transitions import read_transitions
from pgcheck.formats.given import Given, Options
from pgcheck.formats.sources import read_text


def read(spec: str, options: Options) -> Given:
    """Returns what x.tra and the files beside it say.

    Raises:
      ModelError: a file is at fault; the message lists up to 20 errors, each with FILE:LINE:COL.
      UsageError: there is no such file, or an option is missing, or names what is not there.
    """
    model = read_transitions(Lines(*read_text(spec)))
    assumed = ["a DTMC has one action"] if model.type == "DTMC" else []
    beside = _beside(spec, ".sta")
    states = None if beside is None else read_states(beside, model.num_states)
    beside = _beside(spec, ".lab")
    labels = {} if beside is None else read_labels(beside, model.num_states)
    initial = labels.get("init", model.initial)
    if beside is None and not len(initial):
        initial = np.zeros(1, dtype=np.int64)  # as PRISM has it
        if "start" not in options:
            assumed.append("without a .lab file episodes start in the first state")
    structures = find_rewards(spec)
    number, clause = chosen_rewards(spec, [structure.name for structure in structures], options)
    state_reward, reward = np.zeros(model.num_states), np.zeros(len(model.state))
    if number is not None:
        state_reward, reward = rewards_of(structures[number], model)
    explicit = Explicit(
        spec, model.state, model.choice, model.next_state, model.prob, reward, model.name, model.names, state_reward,
        states, labels, initial, model.observation, (*assumed, clause),
    )  # fmt: skip
    return given_by(explicit, options)


def _beside(spec: str, ending: str) -> Lines | None:
    """The lines of the file that has another ending, where there is one."""
    path = str(Path(spec).with_suffix(ending))
    return Lines(*read_text(path)) if os.path.exists(path) else None
