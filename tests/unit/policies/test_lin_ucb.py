"""LinUCB, calculated by hand."""

import numpy as np
import pytest

from backend.domain import RewardSpec
from backend.policies.lin_ucb import LinUCB
from backend.statistics import LinearStats, Scores

POLICY = LinUCB.for_reward(RewardSpec(), [{"name": "x", "type": "boolean"}])


def probabilities(mean, standard_deviation):
    return POLICY.probabilities(Scores(np.array(mean), np.array(standard_deviation), 10.0)).tolist()


@pytest.mark.parametrize(("mean", "expected"), [(0.12, [1.0, 0.0]), (0.14, [0.0, 1.0])])
def test_the_highest_bound_gets_everything(mean, expected):
    """Widths 1 and 2: bonuses sqrt(0.7 ln 2) = 0.6966 and 2 sqrt(0.7 ln 5) = 2.1228; they differ by 1.4262.

    Arm 0 has the mean 1.55, so arm 1 has the highest bound from 0.1238 on.
    """
    assert probabilities([1.55, mean], [1.0, 2.0]) == expected


def test_arms_that_tie_share():
    """The same mean and width for two of three arms, the third is far below."""
    assert probabilities([0.3, 0.3, -9.0], [0.1, 0.1, 0.1]) == [0.5, 0.5, 0.0]


def test_pending_decisions_send_others_elsewhere():
    """One reward each, of the same value; with ten decisions pending for arm 0, arm 1 has the wider bound."""
    x = np.array([1.0, 1.0])
    xtx = np.array([np.outer(x, x)] * 2)
    stats = LinearStats(xtx, np.array([x, x]), np.ones(2), np.zeros_like(xtx), 2.0)
    pending = LinearStats(
        xtx, np.array([x, x]), np.ones(2), xtx * np.array([10.0, 0.0])[:, None, None], 12.0
    )

    assert POLICY.probabilities(POLICY.fit(stats).scores(x)).tolist() == [0.5, 0.5]
    assert POLICY.probabilities(POLICY.fit(pending).scores(x)).tolist() == [0.0, 1.0]
