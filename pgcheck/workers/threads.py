"""One thread for linear algebra in each process.

Processes that share the processors would fight for them otherwise; and how many threads there are may decide in which
order numbers are added, so that the last digits would differ from one machine to the next.
"""

import contextlib
import os
from collections.abc import Iterator

NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")


def hold() -> None:
    """Asks for one thread in this process and those that it starts, unless the environment says how many.

    It has an effect on what is loaded from now on: call it before NumPy is imported.
    """
    for name in NAMES:
        os.environ.setdefault(name, "1")


@contextlib.contextmanager
def one_each() -> Iterator[None]:
    """Processes that are started meanwhile have one thread each."""
    before = {name: os.environ.get(name) for name in NAMES}
    os.environ.update(dict.fromkeys(NAMES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
