"""What is said of gradients that a program printed: that it could not be called again, and how precise they are."""

from collections.abc import Iterator

from pgcheck.report.view import Filled
from pgcheck.verification.limits import TOLERANCE
from pgcheck.verification.verification import Verification


def printed_remarks(verification: Verification) -> Iterator[Filled]:
    """Yields what limits a verdict on gradients that were read; nothing for estimators that were called."""
    printed = verification.printed
    if printed is None or verification.verdict == "inconclusive":
        return
    precision = "The numbers come in single precision"
    if printed.digits is not None:
        precision = f"No number has more than {printed.digits} significant digit{'s' * (printed.digits != 1)}"
    if printed.may_be_rounding:
        yield Filled(f"{precision}: is the bias a matter of rounding? Print 17 digits, as with %.17g.")
    elif printed.loosened:
        yield Filled(f"{precision}, so the tolerance is {verification.tolerance:g} instead of {TOLERANCE:g}.")
    if verification.verdict == "fail":
        taken = "; it is taken to be a function of each line alone, without random numbers or memory"
        is_known = all(it.certain and it.id != "other" for it in verification.diagnosis)
        yield Filled(
            "The program could not be called again with other rewards, so fewer mistakes have a name here than for "
            f"cmd:PROGRAM{'' if is_known else taken}."
        )
