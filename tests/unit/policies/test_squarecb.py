"""SquareCB, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec
from backend.policies.squarecb import SquareCB
from backend.statistics import Scores

POLICY = SquareCB.for_reward(RewardSpec(), [{"name": "x", "type": "boolean"}])


def test_each_arm_has_the_inverse_of_its_gap():
    """Widths 2, 2, 1: gamma = 10 sqrt(3 (1/4 + 1/4 + 1)) = 21.213; gaps 0.5 and 1: 1 / (3 + gamma gap)."""
    scores = Scores(np.array([1.0, 0.5, 0.0]), np.array([2.0, 2.0, 1.0]), 10.0)

    probabilities = POLICY.probabilities(scores)

    second, third = 1 / (3 + 10.6066), 1 / (3 + 21.2132)
    assert probabilities == pytest.approx([1 - second - third, second, third], abs=1e-5)


def test_arms_that_tie_for_best_share_what_is_left():
    """Widths 1: gamma = 30; the third arm gets 1 / (3 + 30 * 0.9) = 1/30, the others 29/60 each."""
    scores = Scores(np.array([1.0, 1.0, 0.1]), np.ones(3), 10.0)

    assert POLICY.probabilities(scores) == pytest.approx([29 / 60, 29 / 60, 1 / 30])
