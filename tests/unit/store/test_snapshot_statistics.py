"""Stored statistics of a policy version, read for the experiment as it is now."""

from backend.store.policy_snapshots import statistics_from


def test_arms_that_were_added_since_have_no_data():
    """One arm was stored, two exist."""
    statistics = statistics_from([[5.0, 4.0, 3.0, 3.0]], 2)

    assert statistics.decisions.tolist() == [5.0, 0.0]
    assert statistics.reward_sum.tolist() == [3.0, 0.0]


def test_nothing_stored_is_no_data():
    """As for a draft."""
    assert statistics_from([], 3).to_matrix().tolist() == [[0.0] * 4] * 3
