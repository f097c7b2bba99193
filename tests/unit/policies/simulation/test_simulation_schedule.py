"""Batches and looks of a simulated experiment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.policies.simulation.schedule import DAY_S, N_LOOKS, N_UPDATES, Schedule


@given(
    rate=st.integers(1, 10_000_000),
    days=st.integers(1, 365),
    interval_s=st.floats(0.1, 86_400.0),
)
def test_all_traffic_comes_in_few_batches(rate, days, interval_s):
    """Every decision is in a batch, no batch is empty or too short, and the last ends where the experiment does."""
    schedule = Schedule.spread(rate, days, interval_s)

    assert schedule.n_decisions == rate * days
    assert schedule.n_batches <= N_UPDATES
    assert schedule.is_look.sum() <= N_LOOKS
    assert (schedule.sizes >= 1).all()
    assert (schedule.durations_s[:-1] >= interval_s * (1 - 1e-9)).all()
    assert schedule.days == pytest.approx(np.cumsum(schedule.durations_s) / DAY_S)
    assert schedule.days[-1] == pytest.approx(days)


def test_daily_updates_are_daily():
    """Of the 56 looks two fall on each of 28 days; rounded up to whole days they are one."""
    schedule = Schedule.spread(5000, 28, DAY_S)

    assert schedule.days == pytest.approx(np.arange(1, 29))
    assert (schedule.sizes == 5000).all()
    assert schedule.is_look.all()


def test_early_batches_are_small_and_late_ones_a_small_part():
    """5,000 a day for 28 days: the first batch is one decision; later ones grow by a factor of 140,000^(1/55) = 1.24."""
    schedule = Schedule.spread(5000, 28, 1.0)
    before = np.cumsum(schedule.sizes) - schedule.sizes

    assert schedule.sizes[0] == 1
    assert (schedule.sizes[before > 20] / before[before > 20]).max() < 0.30


def test_looks_are_evenly_spread():
    """56 in 28 days: every half day."""
    schedule = Schedule.spread(5000, 28, 1.0)

    assert schedule.days[schedule.is_look] == pytest.approx(np.arange(1, 57) / 2, abs=1e-4)
