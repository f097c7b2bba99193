"""Forgetting, through the API: what came first counts less, by age or by the arm's own later decisions."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from backend.errors import StoreTooSlow
from backend.service import snapshot as snapshot_module
from backend.store.statistics import merge_fine_buckets
from tests.polling import eventually


def rewarded(api, arm_key, n, value, key="test"):
    """``n`` decisions for one arm, each rewarded with ``value``."""
    elements = [
        {"experiment_key": key, "unit_id": f"{arm_key}{i}", "eligible_arms": [arm_key]}
        for i in range(n)
    ]
    results = api.post("/decisions:batch", {"decisions": elements}).json["results"]
    rewards = [
        {"decision_id": result["decision"]["decision_id"], "reward": value} for result in results
    ]
    api.post("/rewards", {"rewards": rewards})


def wait_for_another_bucket():
    """Buckets of experiments that forget are a second wide."""
    start = int(time.time())
    eventually(lambda: int(time.time()) > start)


def observed(services, n_rewards):
    """What the policy learns from, once ``n_rewards`` are known."""
    published = lambda: services.snapshots.get("test").published  # noqa: E731
    eventually(lambda: published().statistics.rewards.sum() == n_rewards)
    return published().stats


def test_by_the_arms_own_later_decisions(api, services):
    """Half-life 10: 100 failures, then 100 successes: of the failures 2^-10 are left, and the other arm forgets nothing.

    A half-life of 10 remembers 1 / (1 - 2^(-1/10)) = 14.94 decisions of the last block of 100.
    """
    api.running(decay_half_life_decisions=10, update_interval_s=0.1)
    rewarded(api, "a", 100, 0)
    rewarded(api, "b", 5, 1)
    wait_for_another_bucket()
    rewarded(api, "a", 100, 1)

    stats = observed(services, 205)

    memory = (1 - 2**-10) / (1 - 2**-0.1)
    assert stats.pulls == pytest.approx([memory * (1 + 2**-10), 5 * 0.8719], rel=0.01)
    assert stats.reward_sum[0] == pytest.approx(memory)
    assert services.snapshots.get("test").published.statistics.decisions.tolist() == [200.0, 5.0]


def test_by_age(api, services, query):
    """Half-life 1 h: decisions of an hour ago count half, those of now fully."""
    api.running(decay_half_life_s=3600, update_interval_s=0.1)
    rewarded(api, "a", 100, 0)
    observed(services, 100)
    query("UPDATE experiments SET started_at = now() - interval '1 day'")
    query(
        "UPDATE arm_statistics SET bucket = bucket - interval '1 hour', changed_xid = pg_current_xact_id()"
    )
    rewarded(api, "a", 100, 1)

    results = lambda: api.get("/experiments/test/results").json  # noqa: E731
    assert results()["arms"][0]["reward_mean"] == pytest.approx(0.5)
    low, high = results()["arms"][0]["credible_interval"]
    assert low < 100 / 150 < high
    assert (low + high) / 2 == pytest.approx(100 / 150, abs=0.02)


def test_old_fine_buckets_become_minutes_and_no_sum_changes(api, services, query, differences):
    """Two seconds of one minute become one row; what a worker has read of them stays right."""
    api.running(decay_half_life_decisions=10, update_interval_s=0.1)
    rewarded(api, "a", 10, 1)
    wait_for_another_bucket()
    rewarded(api, "a", 10, 0)
    before = query(
        "SELECT sum(decisions) AS n, sum(reward_sum) AS s, sum(weight_sum) AS w FROM arm_statistics"
    )
    services.database.transaction(
        lambda conn: merge_fine_buckets(conn, datetime.now(UTC) + timedelta(minutes=2))
    )

    after = query(
        "SELECT sum(decisions) AS n, sum(reward_sum) AS s, sum(weight_sum) AS w FROM arm_statistics"
    )
    seconds = query("SELECT DISTINCT extract(second FROM bucket)::int AS s FROM arm_statistics")
    assert after == before
    assert seconds == [{"s": 0}]
    assert differences() == []


def test_nothing_is_forgotten_by_default(api, services):
    """100 failures and 100 successes are 200 decisions."""
    api.running(update_interval_s=0.1)
    rewarded(api, "a", 100, 0)
    rewarded(api, "a", 100, 1)

    stats = observed(services, 200)

    assert (stats.pulls[0], stats.reward_sum[0]) == (200.0, 100.0)


def test_forgetting_can_be_switched_on_while_rewards_are_on_their_way(api, query, services):
    """A decision is counted in its minute, and so is its reward, although buckets are seconds by then."""
    api.running(update_interval_s=0.1)
    decision = api.decide()
    api.patch("/experiments/test", {"decay_half_life_decisions": 100})
    api.reward(decision["decision_id"], 1)

    rows = query("SELECT DISTINCT bucket FROM arm_statistics")

    assert len(rows) == 1
    assert rows[0]["bucket"].second == 0
    eventually(
        lambda: services.snapshots.get("test").published.statistics.rewards.tolist().count(1.0)
    )


def test_a_read_that_fails_loses_nothing(api, services, query, monkeypatch):
    """What has settled is read anew when forgetting is switched on; if that fails once, it is tried again."""
    api.running(update_interval_s=0.1, reward={"attribution_window_s": 1})
    rewarded(api, "a", 100, 1)
    observed(services, 100)
    query("UPDATE experiments SET started_at = started_at - interval '5 hours'")
    query(
        "UPDATE arm_statistics SET bucket = bucket - interval '5 hours', changed_xid = pg_current_xact_id()"
    )
    experiment_id = services.snapshots.get("test").experiment.experiment_id
    histories = services.snapshots._histories
    eventually(lambda: histories.is_settled(experiment_id))
    failures = iter([True])
    read = snapshot_module.statistics.select_changes

    def failing(*args, **kwargs):
        if kwargs["anew"] and next(failures, False):
            raise StoreTooSlow("once")
        return read(*args, **kwargs)

    monkeypatch.setattr(snapshot_module.statistics, "select_changes", failing)
    api.patch("/experiments/test", {"decay_half_life_s": 1e8})
    rewarded(api, "b", 1, 1)

    observed(services, 101)
    assert next(failures, None) is None
