"""How an estimator weights steps by rewards → lines of text."""

from pgcheck.arrays import Floats
from pgcheck.verification.impulses import WeightMatrix


def matrix_text(matrix: WeightMatrix) -> str:
    """Returns a row for each step, a column for each reward, after what is right."""
    right = ", ".join(f"{weight:.4g}" for weight in matrix.right_weights)
    return (
        f"\nHow a unit reward r_k weights step t (gamma {matrix.gamma:g}); the correct weight is gamma^k\n"
        f"for k >= t, {right}:\n" + "\n".join(_drawn(matrix.without_rounding))
    )


def _drawn(values: Floats) -> list[str]:
    cells = [[f"{x:.4g}" if x else "0" for x in row] for row in values]
    width = max(5, *(len(cell) for row in cells for cell in row))
    head = "  ".join(f"{f'r_{k}':>{width}}" for k in range(len(values)))
    return [f"       {head}"] + [
        f"  t={t}  " + "  ".join(f"{cell:>{width}}" for cell in row) for t, row in enumerate(cells)
    ]
