"""The stored numbers of a policy version, read for the experiment as it is now."""

from backend.store.policy_snapshots import Published

STORED = {
    "statistics": [[5.0, 4.0, 3.0, 3.0]],
    "observed": [[4.5, 3.0, 3.0, 0.5, 9.0, 6.0]],
    "n_decisions": 5.0,
    "batch_size": 2.0,
    "model": None,
}


def test_arms_that_were_added_since_have_no_data():
    """One arm was stored, two exist."""
    published = Published.from_row(STORED, 2, 0.0)

    assert published.statistics.decisions.tolist() == [5.0, 0.0]
    assert published.stats.pulls.tolist() == [4.5, 0.0]
    assert published.stats.weighted_reward_sum.tolist() == [6.0, 0.0]
    assert (published.stats.n_decisions, published.stats.batch_size) == (5.0, 2.0)


def test_nothing_stored_is_no_data():
    """As for a draft."""
    published = Published.from_row(None, 3, 0.0)

    assert published.statistics.to_matrix().tolist() == [[0.0] * 4] * 3
    assert published.stats.pulls.tolist() == [0.0] * 3


def test_an_older_version_of_the_service_stored_plain_sums_only():
    """5 decisions, 4 of them with a reward: the fifth counted as the default."""
    published = Published.from_row({**STORED, "observed": None}, 1, 0.0)

    assert published.stats.pulls.tolist() == [5.0]
    assert published.stats.reward_sum.tolist() == [3.0]
