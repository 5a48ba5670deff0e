"""The child processes of what was sent to this process by its place: each is started here once, when it is needed."""

import atexit
import threading
from dataclasses import dataclass
from typing import TypeVar

from pgcheck.errors import EstimatorError
from pgcheck.external import requests, wire
from pgcheck.external.contents import Kind
from pgcheck.external.process import Child

MOST_STARTED = 4  # children that a thread keeps

Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """Where user's code is, and how long it may take.

    Attributes:
      spec, timeout, directory: as of `Child`.
    """

    spec: str
    timeout: float
    directory: str | None


class KeptChild:
    """A child (`Child`) that is started at the first request, and ends with this process.

    One that has ended, or that was ended because several others were started since, is started again at the next
    request. What it prints is not passed on: the first lines were, by the process that sent the place.

    Attributes:
      name, timeout, directory: as of `Child`.
      holder: who has last told the child about a model; None after a start.
    """

    def __init__(self, place: Place) -> None:
        self.name, self.timeout, self.directory = place.spec, place.timeout, place.directory
        self.holder: object = None
        self._child: Child | None = None

    @property
    def kind(self) -> Kind:
        """Of what was loaded."""
        return self._started().kind

    def ask(self, request: requests.Request, read: wire.Read[Result], *, more: float = 0.0) -> Result:
        """Sends a request and returns its answer; arguments and errors are those of `Child`."""
        try:
            return self._started().ask(request, read, more=more)
        except EstimatorError as error:
            if error.ended:
                self.close()
            raise

    def close(self) -> None:
        """Ends the child."""
        child, self._child, self.holder = self._child, None, None
        if child is not None:
            child.close()

    def _started(self) -> Child:
        if self._child is None:
            child = Child(self.name, timeout=self.timeout, directory=self.directory, heard=False)
            self._child = child.__enter__()
            _KEPT.started = [*(it for it in _KEPT.started if it is not self), self]
            for other in _KEPT.started[:-MOST_STARTED]:
                other.close()
            del _KEPT.started[:-MOST_STARTED]
        return self._child


class _Kept(threading.local):
    """The children of a thread: those of several work side by side.

    Attributes:
      children: by their places.
      started: those that were started, the last of them last.
    """

    def __init__(self) -> None:
        self.children: dict[Place, KeptChild] = {}
        self.started: list[KeptChild] = []


_KEPT = _Kept()


def kept_child(place: Place) -> KeptChild:
    """Returns the child for a place, the same whenever this thread asks for it."""
    if place not in _KEPT.children:
        child = _KEPT.children[place] = KeptChild(place)
        atexit.register(child.close)
    return _KEPT.children[place]
