"""The list of ids, which completion and `pgcheck explain` use."""

from pgcheck.estimators.mistakes.ids import IDS, TITLES
from pgcheck.verification.causes import known_ids
from tests.test_layers import loaded_by


def test_every_id_of_a_diagnosis_has_a_title_and_no_other() -> None:
    assert known_ids() == IDS
    assert all(title and title.isascii() for title in TITLES.values())


def test_the_list_is_light() -> None:
    loaded = loaded_by("from pgcheck.estimators.mistakes.ids import IDS")
    assert "pgcheck.estimators.mistakes.ids" in loaded
    assert "numpy" not in loaded
