"""∇J in a picture: a heat map by state and action; of a linear policy or a network, a bar for each parameter."""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.gradient import ExactGradient
from pgcheck.exact.layers import Layers
from pgcheck.exact.table import GradientTable
from pgcheck.model.mdp import MDP
from pgcheck.report.plots.heatmap import CELL, COLOURS, ROW, colour_bar, heat_map, upright
from pgcheck.report.plots.picture import FAINT, INK, WIDTH, Picture, brief, headed, panels, signed, style
from pgcheck.report.words import known_digits, many, parameter_names

MOST_ROWS = 30  # states that are drawn
MOST_COLUMNS = 30  # actions that are drawn
MOST_BARS = 30  # parameters that are drawn
UNIT = "∂J/∂θ, reward per unit θ"


def gradient_picture(table: GradientTable) -> Picture:
    """Returns ∇J by state and action, or by parameter."""
    return exact_picture(table.mdp, table.exact, table.layers)


def exact_picture(mdp: MDP, exact: ExactGradient, layers: Layers | None = None) -> Picture:
    """Returns ∇J of a model by state and action, or by parameter; of a network, as many as its table has."""
    gradient = np.where(np.abs(exact.gradient) <= exact.rounding, 0.0, exact.gradient)
    with style():
        if len(parameter_names(mdp, exact.parameters)) == 2 and exact.parameters:
            return _by_action(mdp, exact, gradient)
        return _by_parameter(mdp, exact, gradient, MOST_BARS if layers is None else len(layers.largest))


def _by_action(mdp: MDP, exact: ExactGradient, gradient: Floats) -> Picture:
    """A row for each state, a column for each action."""
    states = list(dict.fromkeys(names[0] for names in exact.parameters))
    actions = [action for action in mdp.actions if action in {names[1] for names in exact.parameters}]
    row, column = ({name: k for k, name in enumerate(names)} for names in (states, actions))
    values = np.full((len(states), len(actions)), np.nan)
    for (state, action), g in zip(exact.parameters, gradient.tolist(), strict=True):
        values[row[state], column[action]] = g
    rows, columns = _greatest(values, MOST_ROWS), _greatest(values.T, MOST_COLUMNS)
    shown = values[np.ix_(rows, columns)]
    width = max(WIDTH, 3.2 + 0.16 * len(columns))
    cell = (width - 2.8) / len(columns)
    picture, (axes,) = panels(width=width, height=max(2.2, 1.5 + ROW * len(rows)))
    names = [brief(actions[c], 18) for c in columns]
    greatest = float(np.nanmax(np.abs(shown), initial=0.0))
    colours = heat_map(
        axes, shown, rows=[brief(states[r]) for r in rows], columns=names, greatest=greatest, numbers=cell >= CELL
    )
    upright(axes, names, cell)
    colour_bar(axes, colours, UNIT)
    kind, _ = parameter_names(mdp, exact.parameters)
    axes.set(xlabel="action", ylabel=kind)
    left_out = [
        f"the {len(shown)} {word}s with the greatest gradient, of {total:,}"
        for shown, total, word in ((rows, len(states), kind), (columns, len(actions), "action"))
        if len(shown) < total
    ]
    hatched = ["hatched: not available"] if np.isnan(shown).any() else []
    headed(picture, "; ".join([_title(mdp, exact), *left_out, *hatched]))
    return picture


def _by_parameter(mdp: MDP, exact: ExactGradient, gradient: Floats, most: int) -> Picture:
    """A bar for each parameter; the largest first where not all of them are drawn."""
    order = np.argsort(-np.abs(gradient), kind="stable")[:most]
    if len(order) == len(gradient):
        order = np.arange(len(gradient))
    names = [brief(" ".join(exact.parameters[k]), 34) for k in order.tolist()]
    values = gradient[order]
    picture, (axes,) = panels(height=max(2.2, 1.3 + 0.24 * len(order)))
    places = np.arange(len(order))
    colours = [COLOURS(0.8 if value >= 0 else 0.2) for value in values.tolist()]
    axes.barh(places, values, color=colours, height=0.7)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        text = signed(known_digits(value, exact.rounding, 3))
        beside = 3 if value >= 0 else -3
        axes.annotate(
            text, (value, place), (beside, 0), textcoords="offset points", va="center", size=8, color=INK,
            ha="left" if value >= 0 else "right",
        )  # fmt: skip
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.15)
    axes.set(ylim=(len(order) - 0.4, -0.6), xlabel=UNIT)
    title = _title(mdp, exact)
    if len(order) < len(gradient):
        title += f"; the {many(len(order), 'parameter')} with the greatest gradient, of {len(gradient):,}"
    headed(picture, title)
    return picture


def _greatest(values: Floats, most: int) -> list[int]:
    """The rows with the greatest norm, at most so many, in their order."""
    order = np.argsort(-np.nansum(values**2, axis=1), kind="stable")[:most]
    return sorted(order.tolist())


def _title(mdp: MDP, exact: ExactGradient) -> str:
    value = signed(known_digits(exact.value, exact.value_rounding, 6))
    return f"∇J of {brief(mdp.name, 40)}: ‖∇J‖ = {signed(known_digits(exact.norm, exact.rounding, 4))}, J = {value}"
