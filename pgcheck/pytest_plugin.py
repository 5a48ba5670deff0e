"""The pytest plugin: `pgcheck.testing.assert_policy_gradient` as a fixture, imported when a test asks for it."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pgcheck.verification.verification import Verification


@pytest.fixture
def assert_policy_gradient() -> "Callable[..., Verification]":
    """`pgcheck.testing.assert_policy_gradient`."""
    from pgcheck.testing import assert_policy_gradient

    return assert_policy_gradient
