"""Imports during a run: a library may draw while it is imported, and that is no draw of the loop's."""

import importlib
from types import TracebackType


def import_outside(error: BaseException) -> bool:
    """Imports the module during whose import an error was raised; whether there was one.

    To be called outside of the run: what is drawn by the import is then left to the library.
    """
    name = _module_of(error.__traceback__)
    if name is None:
        return False
    try:
        importlib.import_module(name)
    except Exception:  # it will be raised in the run as well
        return False
    return True


def _module_of(traceback: TracebackType | None) -> str | None:
    """The name of the first module whose import is on the way to an error; no script that runs as `__main__`."""
    while traceback is not None:
        frame = traceback.tb_frame
        name = frame.f_globals.get("__name__")
        if frame.f_code.co_name == "<module>" and name is not None and name != "__main__":
            return str(name)
        traceback = traceback.tb_next
    return None
