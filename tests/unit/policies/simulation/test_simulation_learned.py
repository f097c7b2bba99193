"""What a simulated experiment knows, and what it still waits for."""

import numpy as np
import pytest

from backend.policies.simulation.learned import Learned, _known_at_end

DECIDED = np.array([1000, 3000])
WEIGHTS = np.array([4.0, 4.0 / 3.0])


def all_ones(n, rng):
    """Every reward is 1."""
    return n.astype(float), n.astype(float)


def test_without_delay_everything_is_known_at_once(rng):
    """Sums are the counts; importance weights 1 / propensity of 1/4 and 3/4 make 4,000 of each arm."""
    learned = Learned(2, all_ones, mean_delay_s=0.0)

    learned.add(DECIDED, WEIGHTS, 60.0, rng)
    stats = learned.stats(batch_size=7)

    assert stats.pulls.tolist() == stats.reward_sum.tolist() == [1000.0, 3000.0]
    assert stats.pending.tolist() == [0.0, 0.0]
    assert stats.weight_sum == pytest.approx([4000.0, 4000.0])
    assert stats.weighted_reward_sum == pytest.approx([4000.0, 4000.0])
    assert (stats.n_decisions, stats.batch_size) == (4000.0, 7.0)


def test_delayed_outcomes_are_pending(rng):
    """A batch as long as the mean delay: exp(-1) = 0.368 of it is known at its end; 5 standard errors are 0.076."""
    learned = Learned(2, all_ones, mean_delay_s=60.0)

    learned.add(DECIDED, WEIGHTS, 60.0, rng)
    stats = learned.stats(1)

    assert (stats.pulls + stats.pending).tolist() == [1000.0, 3000.0]
    assert stats.pulls / DECIDED == pytest.approx(np.full(2, np.exp(-1.0)), abs=0.076)
    assert stats.weight_sum == pytest.approx(stats.pulls * WEIGHTS)


def test_what_waits_comes_later(rng):
    """After one more mean delay without decisions 1 - exp(-1) = 0.632 of the waiting; after a hundred, all."""
    learned = Learned(2, all_ones, mean_delay_s=60.0)
    nobody = np.zeros(2, dtype=np.int64)
    learned.add(DECIDED, WEIGHTS, 60.0, rng)
    waiting = learned.stats(1).pending

    learned.add(nobody, WEIGHTS, 60.0, rng)
    assert learned.stats(1).pending / waiting == pytest.approx(np.full(2, np.exp(-1.0)), abs=0.1)

    learned.add(nobody, WEIGHTS, 6000.0, rng)
    assert learned.stats(1).pending.tolist() == [0.0, 0.0]
    assert learned.stats(1).weight_sum == pytest.approx([4000.0, 4000.0])


def test_the_series_meets_the_formula():
    """Around the switch at 1e-4 both give s / 2 to 1e-8."""
    assert _known_at_end(0.99999e-4) == pytest.approx(_known_at_end(1.00001e-4), rel=1e-4)
    assert _known_at_end(1e-12) == pytest.approx(5e-13)
    assert _known_at_end(1e6) == pytest.approx(1.0, abs=1e-5)


def test_statistics_stay_as_they_were(rng):
    """A policy may keep them."""
    learned = Learned(2, all_ones, mean_delay_s=0.0)
    before = learned.stats(1)

    learned.add(DECIDED, WEIGHTS, 60.0, rng)

    assert before.pulls.tolist() == before.weight_sum.tolist() == [0.0, 0.0]
