"""`explain`: what a mistake is, why it is one, and how large."""

from typing import Annotated

import typer

from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import Form, Into, Quiet, printing


@about_model
def explain(
    about: AboutModel,
    mistake: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="As in a verdict: dropped-gamma.", show_default="list them")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", show_default="a battery", help="Where to measure how large it is."),
    ] = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """What a mistake is, why it is one, and how to mend it.

    Why its expectation is not the gradient, the wrong lines and the right ones, how large it is, and where it was
    met. Without ID, the list of all ids.
    """
    from pgcheck.estimators.mistakes.catalogue import explain as explanation_of
    from pgcheck.report.explanation import explanation_view, explanations_view
    from pgcheck.report.progress import progress_bar
    from pgcheck.verification.measuring import measured

    with printing(output, form) as printer:
        if mistake is None:
            printer.view(explanations_view())
            return
        explanation = explanation_of(mistake)
        if not models:
            about.refuse_without_model("the id", policy=True)
        loaded = [about.load(name, quiet=quiet) for name in models or []]
        with progress_bar(f"measuring {mistake}", quiet=quiet) as bar:
            measurement = measured(explanation, loaded, overrides=about.overrides(), progress=bar.named)
        is_unicode = printer.output.encoding.lower().startswith("utf")
        printer.view(explanation_view(explanation, measurement, unicode=is_unicode))
