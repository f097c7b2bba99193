"""Linear Thompson sampling, calculated by hand."""

import numpy as np
import pytest
from scipy import stats

from backend.domain import RewardSpec
from backend.policies.linear_thompson import LinearThompson
from backend.statistics import Scores

POLICY = LinearThompson.for_reward(RewardSpec(), [{"name": "x", "type": "boolean"}])


def test_two_arms_have_the_probability_of_a_difference():
    """P(N(1, 0.5 * 0.4) > N(0.5, 0.5 * 0.6)) = Phi(0.5 / sqrt(0.5 * 0.4 + 0.5 * 0.6)): half of each variance."""
    scores = Scores(np.array([1.0, 0.5]), np.sqrt([0.4, 0.6]), 10.0)

    probabilities = POLICY.probabilities(scores)

    expected = stats.norm.cdf(0.5 / np.sqrt(0.5))
    assert probabilities == pytest.approx([expected, 1.0 - expected], abs=1e-6)
