"""Which value several rewards of one decision and metric count as."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import Aggregation
from backend.store.rewards import aggregate

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def row(value, minute=None, received=0, is_late=False, is_retracted=False):
    """A reward that occurred ``minute`` and was received ``received`` minutes after noon."""
    return {
        "value": value,
        "occurred_at": None if minute is None else NOON + timedelta(minutes=minute),
        "received_at": NOON + timedelta(minutes=received),
        "is_late": is_late,
        "retracted_at": NOON if is_retracted else None,
    }


@pytest.mark.parametrize(
    ("aggregation", "value"),
    [(Aggregation.FIRST, 5.0), (Aggregation.LAST, 7.0), (Aggregation.SUM, 15.0)],
)
def test_by_time_of_occurrence(aggregation, value):
    """3 at minute 2, 5 at minute 1, 7 at minute 9, in this order of arrival: first 5, last 7, sum 15."""
    rewards = [row(3.0, 2), row(5.0, 1), row(7.0, 9)]

    assert aggregate(rewards, aggregation) == value


def test_the_time_of_receipt_stands_in():
    """The first reward did not say when; it was received at minute 4, after the other one occurred."""
    rewards = [row(3.0, received=4), row(5.0, 1, received=6)]

    assert aggregate(rewards, Aggregation.FIRST) == 5.0
    assert aggregate(rewards, Aggregation.LAST) == 3.0


def test_equal_times_are_ordered_by_value():
    """Any rule will do, as long as the order of arrival has no say."""
    one_way, other_way = [row(1.0, 3), row(2.0, 3)], [row(2.0, 3), row(1.0, 3)]

    assert aggregate(one_way, Aggregation.FIRST) == aggregate(other_way, Aggregation.FIRST) == 1.0


@pytest.mark.parametrize("aggregation", Aggregation)
def test_late_and_retracted_ones_do_not_count(aggregation):
    """Only the 4 is left."""
    rewards = [row(1.0, 0, is_late=True), row(9.0, 1, is_retracted=True), row(4.0, 2)]

    assert aggregate(rewards, aggregation) == 4.0


@pytest.mark.parametrize("rewards", [[], [row(1.0, 0, is_late=True)]])
def test_nothing_that_counts_is_not_zero(rewards):
    """A decision without a reward differs from one with the reward 0."""
    assert aggregate(rewards, Aggregation.SUM) is None


@given(
    values=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=8),
    random=st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_does_not_matter(values, random):
    """Any permutation gives the same value (whole numbers, so that sums are exact)."""
    rewards = [row(float(value), minute) for value, minute in values]
    shuffled = rewards[:]
    random.shuffle(shuffled)

    for aggregation in Aggregation:
        assert aggregate(rewards, aggregation) == aggregate(shuffled, aggregation)
