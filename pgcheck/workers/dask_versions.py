"""Versions on a Dask cluster: what differs from here is refused, because the last digits could differ too.

Python adds and multiplies as its version does (`sum` of floats changed in 3.12), and so does NumPy, whose releases
bring other loops and another library for linear algebra. A worker's processor may still round elsewhere.
"""

import operator
from typing import Any

import pgcheck
from pgcheck.errors import ClusterError

SHOWN = 3  # workers that are named


def check_versions(client: Any, address: str) -> None:
    """Compares pgcheck, Python and NumPy of the scheduler and all workers with those here.

    Raises:
      ClusterError: some differ, or are missing; the message has the numbers of both.
    """
    # Dask's own question: nothing that another Python could not read is sent.
    known = client.get_versions(packages=["numpy"])
    here = _numbers(known["client"]) | {"pgcheck": pgcheck.__version__}
    there = {f"worker {worker}": _numbers(answer) for worker, answer in known["workers"].items()}
    for worker, answer in client.run(operator.attrgetter("__version__"), pgcheck, on_error="return").items():
        there.setdefault(f"worker {worker}", {})["pgcheck"] = answer if isinstance(answer, str) else None
    try:
        version = client.run_on_scheduler(operator.attrgetter("__version__"), pgcheck)
    except Exception:  # whatever hinders its import
        version = None
    # The scheduler unpacks the parts, and computes nothing: its NumPy does not matter.
    there["the scheduler"] = {"Python": _numbers(known["scheduler"])["Python"], "pgcheck": version}
    others = {
        who: {name: number for name, number in numbers.items() if number != here[name]}
        for who, numbers in there.items()
    }
    others = {who: numbers for who, numbers in others.items() if numbers}
    if not others:
        return
    lines = [f"  {who}: {_words(numbers)}" for who, numbers in [*others.items()][:SHOWN]]
    if len(others) > SHOWN:
        lines.append(f"  and {len(others) - SHOWN} more")
    names = {name for numbers in others.values() for name in numbers}
    lines.append(f"  here: {_words({name: here[name] for name in here if name in names})}")
    raise ClusterError(
        "\n".join([f"{address}: versions differ; the digits could too. Install the same everywhere.", *lines])
    )


def _numbers(answer: dict[str, Any]) -> dict[str, str | None]:
    python = answer["host"]["python"].split(".")
    return {"Python": ".".join(python[:2]), "NumPy": answer["packages"]["numpy"]}


def _words(numbers: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {number}" if number else f"no {name}" for name, number in numbers.items())
