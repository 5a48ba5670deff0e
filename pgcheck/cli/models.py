"""`models`, `show` and `schema`: the models, and what is in them."""

from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    Form,
    Into,
    ModelName,
    Quiet,
    printing,
)


def models(form: Form = None, output: Into = None, quiet: Quiet = False) -> None:
    """The bundled models."""
    from pgcheck.formats.bundled import bundled_models
    from pgcheck.report.models import models_view

    with printing(output, form) as printer:
        printer.view(models_view(bundled_models()))


@about_model
def show(
    about: AboutModel,
    model: ModelName = "two_state",
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """A model as understood: sizes, start, policy, transitions.

    And how many trajectories it has for some horizons.
    """
    from pgcheck.report.models import show_view
    from pgcheck.trajectories.summary import summarize

    with printing(output, form) as printer:
        problem = about.load(model, quiet=quiet)
        printer.view(show_view(summarize(problem.mdp, problem.policy, problem.behavior)))


def schema(output: Into = None, quiet: Quiet = False) -> None:
    """The JSON Schema (draft-07) of the model file, for editors."""
    from pgcheck.formats.schema import model_schema

    with printing(output, "json") as printer:
        printer.object(model_schema())
