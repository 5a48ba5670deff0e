"""For a project's own tests: copy this, and import your own estimator instead.

pip install pgcheck pytest
pytest test_gradients.py
"""

import pytest
from reinforce import forgets_the_discount, leaves_one_out, reinforce

from pgcheck.testing import GradientMismatch, assert_policy_gradient


@pytest.mark.parametrize("estimate", [reinforce, leaves_one_out])
def test_the_expectation_is_the_gradient(estimate):
    assert_policy_gradient(estimate)


def test_on_a_model_of_our_own():
    assert_policy_gradient(reinforce, models=["bandit", "early_exit"])


def test_the_discount_matters():
    """A check that cannot fail checks nothing."""
    with pytest.raises(GradientMismatch, match="dropped-gamma"):
        assert_policy_gradient(forgets_the_discount)
