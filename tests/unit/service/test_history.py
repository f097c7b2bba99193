"""What a worker keeps of what it read, in whatever order and portions it read it."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest

from backend.domain import EPOCH, Arm, Experiment, RewardSpec
from backend.inference.delay import delay_bin
from backend.inference.observed import SUMS
from backend.service.history import HOUR, MINUTE, Histories, blocks_at
from backend.service.timeline import Timeline
from backend.store.statistics import Blocks, Changes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EXPERIMENT = Experiment(
    key="test",
    name="test",
    arms=(Arm("a", "a"), Arm("b", "b")),
    experiment_id=1,
    reward=RewardSpec(attribution_window_s=3600),
)


def row(at, reward_sum, arm_id=0, decisions=1.0, **more):
    sums = dict.fromkeys(SUMS, 1.0) | {"offset_sum": 0.0, "rewarded_offset_sum": 0.0} | more
    return {
        "experiment_id": 1,
        "block": at,
        "arm_id": arm_id,
        **sums,
        "decisions": decisions,
        "reward_sum": reward_sum,
    }


CUT = Blocks(fine_since=NOON - HOUR, recent_since=NOON - HOUR)


def read(histories, *rows, cut=CUT, horizon="1", delays=(), contexts=()):
    return histories.update(Changes(horizon, list(rows), list(delays), list(contexts)), cut)


def total(histories, name="reward_sum", as_of=NOON):
    timeline = Timeline.of(histories.get(1), EXPERIMENT, as_of)
    return timeline.sums.sum(axis=0)[:, SUMS.index(name)].tolist()


def test_workers_agree_to_the_last_bit():
    """(0.1 + 0.2) + 0.3 and 0.1 + (0.2 + 0.3) differ as doubles; the order of reading must not matter."""
    totals = set()
    rows = [row(NOON + timedelta(minutes=i), value) for i, value in enumerate((0.1, 0.2, 0.3))]
    for order in permutations(rows):
        histories = Histories()
        for one in order:
            read(histories, one)
        totals.add(total(histories)[0])

    assert totals == {0.1 + 0.2 + 0.3}


def test_a_block_read_again_replaces_what_was_read_before():
    """Read whole, so nothing counts twice."""
    histories = Histories()
    read(histories, row(NOON, 1.0), horizon="0")
    changed, stale = read(histories, row(NOON, 2.5), horizon="5")

    assert total(histories) == [2.5, 0.0]
    assert (histories.horizon, changed, stale) == ("5", {1}, set())


def test_buckets_become_hours_when_they_are_no_longer_recent():
    """Two minutes of eleven o'clock, and one of twelve: at one o'clock eleven is one block."""
    histories = Histories()
    eleven = NOON - HOUR
    read(histories, row(eleven, 1.0), row(eleven + timedelta(minutes=5), 2.0), row(NOON, 4.0))
    read(histories, cut=Blocks(fine_since=NOON, recent_since=NOON))

    blocks = histories.get(1).blocks
    assert sorted(blocks) == [eleven, NOON]
    assert [blocks[at].width for at in sorted(blocks)] == [HOUR, None]
    assert total(histories) == [7.0, 0.0]


def test_seconds_become_minutes_when_they_are_no_longer_fine():
    """Three seconds of two minutes, which ten minutes later are two blocks."""
    histories = Histories()
    seconds = [NOON + timedelta(seconds=s) for s in (5, 50, 65)]
    read(histories, *(row(at, 1.0) for at in seconds))
    read(histories, cut=Blocks(fine_since=NOON + 2 * MINUTE, recent_since=NOON - HOUR))

    blocks = histories.get(1).blocks
    assert sorted(blocks) == [NOON, NOON + MINUTE]
    assert [block.width for block in blocks.values()] == [MINUTE, MINUTE]
    assert total(histories) == [3.0, 0.0]


def test_a_clock_that_is_set_back_cuts_no_finer():
    """What is one block stays one: else its buckets would be read again beside it."""
    histories = Histories()
    read(histories, cut=blocks_at(NOON + timedelta(minutes=5)))

    assert histories.next_cut(NOON - timedelta(minutes=5)) == histories.cut
    assert histories.next_cut(NOON + 2 * HOUR).recent_since == NOON + HOUR


def test_what_has_settled_is_one_sum():
    """Arms that came later, delays and all else are in it, and the totals stay what they were."""
    histories = Histories()
    for hours in range(5, 0, -1):
        read(histories, row(NOON - hours * HOUR, 1.0, arm_id=hours % 2))
    before = total(histories)
    histories.get(1).settle(NOON - 2 * HOUR)

    assert sorted(histories.get(1).blocks) == [EPOCH, NOON - 2 * HOUR, NOON - HOUR]
    assert total(histories) == before == [2.0, 3.0]
    assert histories.is_settled(1)


def test_a_change_of_what_has_settled_asks_to_read_everything_anew():
    """A reward was retracted from an hour that is part of the sum."""
    histories = Histories()
    read(histories, row(NOON - 9 * HOUR, 1.0), row(NOON, 1.0))
    histories.get(1).settle(NOON - 2 * HOUR)

    changed, stale = read(histories, row(NOON - 9 * HOUR, 0.0))
    histories.forget(stale)

    assert (changed, stale) == ({1}, {1})
    assert not histories.get(1).blocks


def test_shards_of_delays_and_contexts_are_added_up():
    """Rows of several writers, with different numbers of bins, for one block."""
    histories = Histories()
    delays = [
        {"experiment_id": 1, "block": NOON, "counts": [1.0, 2.0]},
        {"experiment_id": 1, "block": NOON, "counts": [3.0]},
    ]
    context = {"experiment_id": 1, "block": NOON, "arm_id": 1}
    sums = {
        "decision_xtx": [1.0, 2.0, 3.0],
        "reward_xtx": [1.0, 0.0, 0.0],
        "reward_xty": [5.0, 6.0],
    }
    unrewarded = {**sums, "reward_xtx": [], "reward_xty": []}
    read(histories, delays=delays, contexts=[{**context, **unrewarded}, {**context, **sums}])

    history = histories.get(1)
    assert history.blocks[NOON].delays[:3].tolist() == [4.0, 2.0, 0.0]
    assert history.contexts[NOON].decision_xtx.tolist() == [[0.0] * 3, [2.0, 4.0, 6.0]]
    assert history.contexts[NOON].reward_xty.tolist() == [[0.0, 0.0], [5.0, 6.0]]


def test_ages_are_exact():
    """Four decisions of a minute, at 10, 20, 30 and 40 s; those at 10 and 20 s have a reward. At 60 s the decisions are 35 s
    old on average, and those without a reward 25 s: whether rewards come is asked for that age. An arm without any has
    the age of the start.
    """
    histories = Histories()
    sums = {"offset_sum": 100.0, "rewarded_offset_sum": 30.0, "rewards": 2.0}
    read(histories, row(NOON, 2.0, decisions=4.0, **sums))
    history = histories.get(1)
    history.blocks[NOON].delays[delay_bin(24.0)] = 2.0  # between 16 and 32 s, so half by 24 s

    timeline = Timeline.of(history, EXPERIMENT, NOON + MINUTE)

    assert timeline.ages_s.tolist() == [[35.0, 60.0]]
    assert timeline.come[0, 0] == pytest.approx((25 - 16) / 16)


def test_ages_stay_what_they_are_when_blocks_become_coarser():
    """Decisions at 12:00:05 and 12:01:05, in buckets, in minutes, in an hour, and settled: always 35 s before 12:01:10."""
    as_of = NOON + timedelta(seconds=70)
    for cut in (
        Blocks(NOON - HOUR, NOON - HOUR),
        Blocks(NOON + 2 * MINUTE, NOON - HOUR),
        Blocks(NOON + HOUR, NOON + HOUR),
    ):
        histories = Histories()
        for seconds in (5, 65):
            at = NOON + timedelta(seconds=seconds)
            read(histories, row(at, 0.0, rewards=0.0))
        read(histories, cut=cut)

        timeline = Timeline.of(histories.get(1), EXPERIMENT, as_of)
        mean = np.average(timeline.ages_s[:, 0], weights=timeline.decisions[:, 0])
        assert mean == pytest.approx(35.0)
        histories.get(1).settle(NOON + 2 * HOUR)
        settled = Timeline.of(histories.get(1), EXPERIMENT, as_of).ages_s[0, 0]
        assert settled > 1e9  # older than any window


def test_minutes_are_the_running_hour_and_the_one_before_and_buckets_ten_minutes():
    """At 12:34:56 minutes from eleven o'clock on, and buckets from 12:24."""
    cut = blocks_at(NOON + timedelta(minutes=34, seconds=56))

    assert cut.recent_since == NOON - HOUR
    assert cut.fine_since == NOON + timedelta(minutes=24)


def test_an_empty_history_is_no_data():
    """No blocks: zeros for every arm."""
    timeline = Timeline.of(Histories().get(1), EXPERIMENT, NOON)

    assert timeline.observed(0.0).pulls.tolist() == [0.0, 0.0]
    assert np.array_equal(timeline.sums, np.zeros((0, 2, len(SUMS))))
