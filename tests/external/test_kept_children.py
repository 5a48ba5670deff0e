"""The children of what was sent here by its place: one for all, started when it is needed, again when it ended."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgcheck
from pgcheck.errors import EstimatorError
from pgcheck.external import travelling
from pgcheck.external.agent_process import AgentProcess, arrived
from pgcheck.external.run import Variation
from pgcheck.external.travelling import KeptChild, Place, kept_child
from tests.external.test_agent_process import written
from tests.external.test_hostile import is_running

pytestmark = pytest.mark.gymnasium

MDP, AS_IT_IS = pgcheck.load("two_state")[0], Variation()


def numbered(folder: Path, name: str) -> Place:
    """An agent that leaves the number of its process in a file."""
    (folder / name).mkdir()
    line = f"import os; open({str(folder / name / 'pid')!r}, 'w').write(str(os.getpid()))"
    return Place(written(folder / name, line), 60.0, None)


def pid(place: Place) -> int:
    return int((Path(place.spec.rpartition(":")[0]).parent / "pid").read_text())


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Ends the children of a test."""
    yield
    for child in travelling._KEPT.children.values():
        child.close()


def test_what_arrives_from_one_place_shares_a_child_that_each_takes_to_its_model(tmp_path: Path) -> None:
    place, other = numbered(tmp_path, "one"), pgcheck.load("two_state", horizon=2)[0]
    one, two = arrived(place), arrived(place)
    one.at(MDP, AS_IT_IS)
    first = pid(place)
    runs = one.cut(1000).lot.runs
    two.at(other, AS_IT_IS)
    assert pid(place) == first
    assert two.cut(1000).lot.runs < runs
    one.at(MDP, AS_IT_IS)  # the child was elsewhere meanwhile
    assert one.cut(1000).lot.runs == runs


def test_a_child_that_has_ended_is_started_again(tmp_path: Path) -> None:
    place = numbered(tmp_path, "one")
    agent = arrived(place)
    agent.at(MDP, AS_IT_IS)
    before, runs = pid(place), agent.cut(1000).lot.runs
    os.kill(before, signal.SIGKILL)
    with pytest.raises(EstimatorError, match="killed by SIGKILL"):
        agent.cut(1000)
    agent.at(MDP, AS_IT_IS)
    assert pid(place) != before
    assert agent.cut(1000).lot.runs == runs


def test_few_children_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(travelling, "MOST_STARTED", 1)
    places = [numbered(tmp_path, name) for name in ("one", "two")]
    agents: list[AgentProcess] = [arrived(place) for place in places]
    for agent in agents:
        agent.at(MDP, AS_IT_IS)
    first = pid(places[0])
    assert not is_running(first)
    assert is_running(pid(places[1]))
    agents[0].at(MDP, AS_IT_IS)
    assert pid(places[0]) != first
    assert not is_running(pid(places[1]))


def test_a_place_has_one_child(tmp_path: Path) -> None:
    place = Place(written(tmp_path), 60.0, None)
    assert isinstance(kept_child(place), KeptChild)
    assert kept_child(place) is kept_child(Place(place.spec, 60.0, None))
    assert kept_child(place) is not kept_child(Place(place.spec, 30.0, None))
