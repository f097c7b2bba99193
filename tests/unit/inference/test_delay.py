"""Which share of the rewards has come by now: learned from those that came, without being fooled by those that could not."""

import numpy as np
import pytest

from backend.inference.delay import EDGES_S, N_BINS, DelayDistribution, delay_bin

DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("delay_s", "expected"),
    [(-3.0, 0), (0.0, 0), (0.015, 0), (1 / 64, 1), (0.99, 6), (1.0, 7), (3600.0, 18), (1e12, 35)],
)
def test_bins_double(delay_s, expected):
    """[0, 1/64), [1/64, 1/32), … [1, 2) … seconds; an hour is in [2048, 4096), twelve behind the one that ends at 1 s."""
    assert delay_bin(delay_s) == expected


def counts_of(delays_s):
    return np.bincount([delay_bin(d) for d in delays_s], minlength=N_BINS).astype(float)


def test_before_any_reward_nothing_has_come():
    """Pending until the window is over."""
    unknown = DelayDistribution.unknown(DAY_S)

    assert unknown.share_come(np.array([0.0, 3600.0, DAY_S, 2 * DAY_S])).tolist()[2:] == [1.0, 1.0]
    assert unknown.share_come(np.array([3600.0, 30_000.0])).max() == 0.0


def test_the_first_rewards_are_taken_at_their_word():
    """Too young to compare: all came between 1/16 and 1/8 s, so after that nothing is pending."""
    known = DelayDistribution.estimate(counts_of([0.1] * 20)[None], np.array([0.0]), DAY_S)

    assert known.share_come(np.array([0.0, 1 / 16, 3 / 32, 1 / 8, 60.0])) == pytest.approx(
        [0.0, 0.0, 0.5, 1.0, 1.0]
    )


def test_when_all_mass_is_in_the_last_bin_seen_nothing_is_said_of_its_tail():
    """Every reward takes 4 s, and the oldest decisions are 8 s old: none was seen to take longer, nor not to."""
    known = DelayDistribution.estimate(counts_of([4.1] * 30)[None], np.array([9.0]), DAY_S)

    assert known.share_come(np.array([4.0, 8.0])) == pytest.approx([0.0, 1.0])


def test_old_blocks_give_the_plain_distribution():
    """8 rewards within 1 s, 4 within [4, 8), 4 within [64, 128), in a block older than the window: 8/16, 12/16, 1."""
    delays = [0.5] * 8 + [5.0] * 4 + [100.0] * 4
    known = DelayDistribution.estimate(counts_of(delays)[None], np.array([2 * DAY_S]), DAY_S)

    assert known.share_come(np.array([1.0, 4.0, 8.0, 64.0, 128.0])) == pytest.approx(
        [0.5, 0.5, 0.75, 0.75, 1.0]
    )


def test_young_blocks_do_not_make_delays_look_short():
    """Every decision's reward comes after 0.5 s or after 100 s, with even chances.

    A block of two minutes has shown both kinds, 10 each. Ten blocks of a minute have shown only the short ones, 10 each. By
    count 10 of 120 are long; compared where both could be seen it is 10 of 20.
    """
    young = [counts_of([0.5] * 10)] * 10
    counts = np.array([counts_of([0.5] * 10 + [100.0] * 10), *young])
    ages = np.array([130.0] + [60.0] * 10)

    known = DelayDistribution.estimate(counts, ages, DAY_S)

    seen_both = known.share_come(np.array([60.0])) / known.share_come(np.array([128.0]))
    assert seen_both[0] == pytest.approx(0.5)


def test_what_lies_beyond_the_experiments_age_continues_the_trend():
    """Delays uniform over ten hours, seen for half an hour: F is proportional to time, so each doubling doubles it.

    At half an hour the truth is 0.05. Of what came within an edge half came in its last bin, and that goes on for 6 more
    doublings up to the window of a day: 2^-5.6 of the rest, 0.02; what matters is that it is not 1, as it seems to be.
    """
    rng = np.random.default_rng(1)
    blocks, ages = [], np.arange(60.0, 1800.0, 60.0)
    for age in ages:
        delays = rng.uniform(0, 36_000, 20_000)
        blocks.append(counts_of(delays[delays < age]))

    known = DelayDistribution.estimate(np.array(blocks), ages, DAY_S)

    assert 0.01 < known.share_come(np.array([1800.0]))[0] < 0.1


def test_learns_the_distribution_from_running_traffic():
    """Exponential delays of mean 1 h, six hours of traffic: F within 0.08 of the truth at every age up to three hours.

    Between edges F is linear, which for 1 - exp(-t) errs by up to 0.05 where the bin is two hours wide. Behind the last
    edge seen, 4.5 h, 0.011 are left in truth; the trend of the ratios, 0.24 and 0.09, leaves 0.037 + 0.014 + 0.006.
    """
    rng = np.random.default_rng(2)
    ages = np.arange(60.0, 6 * 3600.0, 60.0)
    blocks = []
    for age in ages:
        delays = rng.exponential(3600.0, 500)
        blocks.append(counts_of(delays[delays < age]))

    known = DelayDistribution.estimate(np.array(blocks), ages, DAY_S)

    at = np.array([300.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0])
    assert known.share_come(at) == pytest.approx(1.0 - np.exp(-at / 3600.0), abs=0.08)


def test_rewards_that_become_known_after_their_window_tell_nothing_of_it():
    """Uploaded every night, window of an hour: within it none is ever known, so all is pending until it is over."""
    known = DelayDistribution.estimate(counts_of([30_000.0] * 9)[None], np.array([DAY_S]), 3600.0)

    assert known.share_come(np.array([0.0, 1800.0])).tolist() == [0.0, 0.0]
    assert known.share_come(np.array([3600.0])).tolist() == [1.0]


def test_a_reward_that_an_older_service_counted_can_be_retracted():
    """A count below 0 is none."""
    counts = counts_of([0.5] * 4)
    counts[11] = -1.0
    known = DelayDistribution.estimate(counts[None], np.array([2 * DAY_S]), DAY_S)

    assert known.share_come(np.array([1.0, 100.0])) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("window_s", [1.0, 7.0, 3600.0, 3e8])
def test_is_a_distribution_up_to_the_window(window_s):
    """Never falling, inside [0, 1], and 1 from the window on, whatever came."""
    counts = np.random.default_rng(3).integers(0, 5, (4, N_BINS)).astype(float)
    known = DelayDistribution.estimate(counts, np.array([0.0, 1.5, 1e3, 1e9]), window_s)

    come = known.share_come(np.linspace(0.0, 1.5 * window_s, 200))
    assert 0.0 <= come[0] <= 1.0
    assert (np.diff(come) >= 0.0).all()
    assert (come[np.linspace(0.0, 1.5 * window_s, 200) >= window_s] == 1.0).all()
    assert len(EDGES_S) == N_BINS
