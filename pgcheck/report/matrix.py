"""How an estimator weights steps by rewards → lines of text."""

from pgcheck.report.view import Span, Toned
from pgcheck.verification.impulses import WeightMatrix

MARK = "*"  # behind a wrong weight


def matrix_text(matrix: WeightMatrix) -> Toned:
    """Returns a row for each step, a column for each reward, after what is right; wrong weights are marked."""
    right = ", ".join(f"{weight:.4g}" for weight in matrix.right_weights)
    marks = f" ({MARK} marks a wrong one)" if matrix.wrong.any() else ""
    return Toned(
        f"\nHow a unit reward r_k weights step t (gamma {matrix.gamma:g}); the correct weight is gamma^k\n"
        f"for k >= t, {right}{marks}:\n",
        *_drawn(matrix),
    )


def _drawn(matrix: WeightMatrix) -> list[Span | str]:
    """The matrix; where some weights are wrong, each column but the last has room for the mark."""
    cells = [[f"{x:.4g}" if x else "0" for x in row] for row in matrix.without_rounding]
    width = max(5, *(len(cell) for row in cells for cell in row))
    gap = "   " if matrix.wrong.any() else "  "
    parts: list[Span | str] = ["       " + gap.join(f"{f'r_{k}':>{width}}" for k in range(len(cells)))]
    for t, (row, wrong) in enumerate(zip(cells, matrix.wrong.tolist(), strict=True)):
        before = f"\n  t={t}  "
        for cell, is_wrong in zip(row, wrong, strict=True):
            shown = f"{cell:>{width}}"
            parts += [before, Span(f"{shown}{MARK}", "bad") if is_wrong else shown]
            before = gap[is_wrong:]  # the mark takes a place of it
    return parts
