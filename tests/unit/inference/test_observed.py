"""What counts of decisions that wait for their reward."""

import numpy as np
import pytest

from backend.inference.observed import SUMS, observe


def block(**values):
    """Sums of one arm in one block; decisions at propensity 1/4 unless said otherwise."""
    n, r, y = (float(values.get(name, 0.0)) for name in ("decisions", "rewards", "reward_sum"))
    plain = {
        "decisions": n,
        "weight_sum": 4 * n,
        "root_weight_sum": 2 * n,
        "rewards": r,
        "rewarded_weight_sum": 4 * r,
        "rewarded_root_weight_sum": 2 * r,
        "reward_sum": y,
        "weighted_reward_sum": 4 * y,
        "root_weighted_reward_sum": 2 * y,
        "reward_sum_squares": y,
        "weighted_reward_sum_squares": 4 * y,
    }
    return np.array([[[plain.get(name, 0.0) for name in SUMS]]])


def come(share):
    """One block of one arm."""
    return np.array([[share]])


ALL = np.ones((1, 1))


def test_half_come_means_half_count():
    """100 decisions, half of the rewards have come, 10 so far: 10 of 50, and 50 are pending.

    A fifth gets a reward, so each of the 90 others counts 0.5 * 0.8 / (1 - 0.2 * 0.5) = 4/9, together 40.
    """
    seen = observe(block(decisions=100, rewards=10, reward_sum=10), ALL, come(0.5), 0.0)

    assert (seen.pulls[0], seen.reward_sum[0], seen.pending[0]) == pytest.approx((50.0, 10.0, 50.0))
    assert (seen.weight_sum[0], seen.root_weight_sum[0]) == pytest.approx((200.0, 100.0))


def test_a_reward_counts_however_young_its_decision_is():
    """Callers that report failures, too: 80 rewards of 100 count although hardly any was expected by now."""
    seen = observe(block(decisions=100, rewards=80, reward_sum=20), ALL, come(0.1), 0.0)

    assert (seen.pulls[0], seen.reward_sum[0], seen.pending[0]) == pytest.approx(
        (80.0, 20.0, 20.0), abs=0.01
    )


def test_those_without_a_reward_count_as_the_default():
    """Opt-out: 100 old decisions, 10 complaints worth 0, the rest stays at 1: 90 of 100."""
    seen = observe(block(decisions=100, rewards=10, reward_sum=0), ALL, come(1.0), 1.0)

    assert (seen.pulls[0], seen.reward_sum[0], seen.reward_sum_squares[0]) == (100.0, 90.0, 90.0)
    assert (seen.weighted_reward_sum[0], seen.root_weighted_reward_sum[0]) == (360.0, 180.0)


def test_without_a_default_only_rewarded_decisions_count():
    """10 of 100 have a reward; of the old others none is expected any more, of young ones all are."""
    sums = block(decisions=100, rewards=10, reward_sum=4)

    old, young = (observe(sums, ALL, come(share), None) for share in (1.0, 0.0))

    assert (old.pulls[0], old.reward_sum[0], old.pending[0]) == (10.0, 4.0, 0.0)
    assert (young.pulls[0], young.pending[0]) == (10.0, 90.0)


def test_what_is_half_forgotten_counts_half():
    """Weights 1/2 and 1 of two blocks: 50 + 100 decisions, 5 + 20 successes."""
    sums = np.concatenate(
        [
            block(decisions=100, rewards=100, reward_sum=10),
            block(decisions=100, rewards=100, reward_sum=20),
        ]
    )

    seen = observe(sums, np.array([[0.5], [1.0]]), np.ones((2, 1)), 0.0)

    assert (seen.pulls[0], seen.reward_sum[0]) == (150.0, 25.0)


def test_an_arm_that_was_hardly_tried_yet_is_not_punished():
    """Rate 1/5, a day's delay known to have come to a tenth: 1,000 fresh decisions, 20 rewards.

    As failures they would make 20 of 1,000; corrected it is 20 of 100.
    """
    seen = observe(block(decisions=1000, rewards=20, reward_sum=20), ALL, come(0.1), 0.0)

    assert seen.reward_sum[0] / seen.pulls[0] == pytest.approx(0.2)


def test_where_all_are_rewarded_some_day_the_youngest_are_no_failures():
    """594 of 600 have a reward; the other 6 are so young that a tenth of theirs would have come: next to nothing counts."""
    seen = observe(block(decisions=600, rewards=594, reward_sum=594), ALL, come(0.1), 0.0)

    assert seen.pulls[0] == pytest.approx(594.0, abs=0.01)
    assert seen.pending[0] == pytest.approx(6.0, abs=0.01)


def test_arms_of_different_rates_are_settled_by_their_own():
    """Half of the rewards have come; 100 decisions each, 45 and 5 rewards: 50 count of both, at rates 0.9 and 0.1."""
    sums = np.concatenate(
        [
            block(decisions=100, rewards=45, reward_sum=45),
            block(decisions=100, rewards=5, reward_sum=5),
        ],
        axis=1,
    )

    seen = observe(sums, np.ones((1, 2)), np.full((1, 2), 0.5), 0.0)

    assert seen.pulls == pytest.approx([50.0, 50.0], rel=1e-3)


def test_more_rewards_than_expected_leave_nothing_settled():
    """80 of 100 at an age by which half should have come: all will be rewarded, it seems; the others are pending."""
    seen = observe(block(decisions=100, rewards=80, reward_sum=80), ALL, come(0.5), 0.0)

    assert seen.pulls[0] == pytest.approx(80.0, abs=0.5)
