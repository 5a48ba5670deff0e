"""The models that come with pgcheck."""

from dataclasses import dataclass

from pgcheck.formats import sources
from pgcheck.formats.loading import load
from pgcheck.model.mdp import MDP


@dataclass(frozen=True, eq=False)
class BundledModel:
    """A bundled model: its name, what its file says first, and the MDP."""

    name: str
    description: str
    mdp: MDP


def bundled_models() -> list[BundledModel]:
    """Returns the bundled models, the default one first."""
    models = []
    for name in sources.bundled_names():
        first_line = sources.read_bytes(name)[1].decode().partition("\n")[0]
        models.append(BundledModel(name, first_line.lstrip("# "), load(name)[0]))
    return models
