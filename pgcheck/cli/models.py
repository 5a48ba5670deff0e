"""`models`, `show` and `schema`: the models, and what is in them."""

from pgcheck.cli.options import (
    Entropy,
    Form,
    Gamma,
    Horizon,
    Into,
    Kl,
    ModelName,
    OwnPolicy,
    Quiet,
    loaded,
    printing,
)


def models(form: Form = None, output: Into = None, quiet: Quiet = False) -> None:
    """The bundled models."""
    from pgcheck.formats.bundled import bundled_models
    from pgcheck.report.models import models_view

    with printing(output, form) as printer:
        printer.view(models_view(bundled_models()))


def show(
    model: ModelName = "two_state",
    horizon: Horizon = None,
    gamma: Gamma = None,
    entropy: Entropy = None,
    kl: Kl = None,
    policy: OwnPolicy = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The model as understood: sizes, start, policy, and how many trajectories it has."""
    from pgcheck.report.models import show_view
    from pgcheck.trajectories.summary import summarize

    with printing(output, form) as printer:
        problem = loaded(model, horizon, gamma, entropy, kl, policy)
        printer.view(show_view(summarize(problem.mdp, problem.policy, problem.behavior)))


def schema(output: Into = None, quiet: Quiet = False) -> None:
    """The JSON Schema (draft-07) of the model file, for editors."""
    from pgcheck.formats.schema import model_schema

    with printing(output, "json") as printer:
        printer.object(model_schema())
