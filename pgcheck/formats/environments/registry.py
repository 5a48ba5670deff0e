"""The bundled models among the environments that gymnasium knows; quick to import, as gymnasium may do it itself."""

from typing import Any

from pgcheck.errors import UsageError
from pgcheck.formats.sources import bundled_names


def imported(what: str) -> Any:
    """Returns gymnasium; raises UsageError, which says what needs it, if it is missing."""
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        if error.name != "gymnasium":
            raise
        raise UsageError(f"{what} needs gymnasium: pip install 'pgcheck[gymnasium]'") from None
    return gymnasium


def register() -> None:
    """Lets `gymnasium.make` know every bundled model, as pgcheck/NAME-v0; once more changes nothing.

    Raises:
      UsageError: gymnasium is missing.
    """
    gymnasium = imported("an environment")
    if "pgcheck/two_state-v0" in gymnasium.registry:  # as they all are then
        return
    for name in bundled_names():
        identity = f"pgcheck/{name}-v0"
        if identity not in gymnasium.registry:
            gymnasium.register(identity, "pgcheck.external.environments:env", kwargs={"model": name})
