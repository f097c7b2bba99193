"""Rewards on their way, through the API: pending decisions are no failures, and a window of a day is no day of blindness."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.polling import eventually

DAY_S = 86_400


def decide(api, n, arm_key="a"):
    elements = [
        {"experiment_key": "test", "unit_id": f"{arm_key}{i}", "eligible_arms": [arm_key]}
        for i in range(n)
    ]
    results = api.post("/decisions:batch", {"decisions": elements}).json["results"]
    return [result["decision"]["decision_id"] for result in results]


def reward(api, decision_ids):
    api.post("/rewards", {"rewards": [{"decision_id": d, "reward": 1} for d in decision_ids]})


def age_everything(query, by):
    """As if all had happened ``by`` earlier; delays stay what they were."""
    interval = f"interval '{int(by.total_seconds())} seconds'"
    query(f"UPDATE experiments SET started_at = started_at - {interval}")
    for table in ("arm_statistics", "reward_delays"):
        query(
            f"UPDATE {table} SET bucket = bucket - {interval}, changed_xid = pg_current_xact_id()"
        )


def arm(api, arm_key="a"):
    return api.arm(arm_key)


def test_before_any_reward_all_decisions_are_pending(api):
    """100 decisions, nothing known: no mean, no verdict, and the vector stays even."""
    api.running(update_interval_s=0.1)
    decide(api, 100)

    found = arm(api)

    assert (found["decisions"], found["observed"], found["reward_mean"]) == (100, 0.0, None)
    assert found["probability_best"] == pytest.approx(0.5)
    assert api.get("/experiments/test/results").json["totals"]["pending"] == 100


def test_after_the_window_no_reward_is_the_default(api, query):
    """A day and an hour later: 100 failures."""
    api.running(update_interval_s=0.1)
    decide(api, 100)
    age_everything(query, timedelta(days=1, hours=1))

    found = arm(api)

    assert (found["observed"], found["reward_mean"]) == (100.0, 0.0)


def test_rewards_that_come_at_once_leave_nothing_pending(api, query):
    """20 of 100 were rewarded within a second; minutes later nobody waits a day for the other 80."""
    api.running(update_interval_s=0.1)
    reward(api, decide(api, 100)[:20])
    age_everything(query, timedelta(minutes=10))

    found = arm(api)

    assert found["observed"] == pytest.approx(100.0, rel=0.03)
    assert found["reward_mean"] == pytest.approx(0.2, rel=0.03)


def test_the_newest_decision_does_not_spoil_what_is_known(api):
    """Every outcome of 60 is reported at once, all near 100; one more decision, milliseconds old, is no reward of 0."""
    api.running(reward={"type": "continuous"}, update_interval_s=0.1)
    for value, decision_id in enumerate(decide(api, 60)):
        time.sleep(0.001)
        api.reward(decision_id, 100 + value % 3)
    decide(api, 1)

    found = arm(api)

    assert found["reward_mean"] == pytest.approx(101.0, abs=0.2)
    assert found["observed"] == pytest.approx(60.0, abs=0.1)


def test_a_new_arm_is_not_punished_for_rewards_on_their_way(api, query):
    """Rewards take two hours. a is known: 50 of 100. b was decided 100 times a minute ago, and has none yet.

    As failures those would make b 0 of 100, and its chance of being best below 1e-10. They are pending, so b has the
    prior: the chance that a uniform rate exceeds one of about a half.
    """
    api.running(update_interval_s=0.1)
    slow = decide(api, 100)[:50]
    reward(api, slow)
    query(
        "UPDATE reward_delays SET counts = array_fill(0.0::float8, ARRAY[19]) || ARRAY[50.0::float8]"
    )
    age_everything(query, timedelta(days=2))
    decide(api, 100, "b")

    a, b = arm(api), arm(api, "b")

    assert (a["observed"], a["reward_mean"]) == (100.0, 0.5)
    assert b["observed"] < 1.0
    assert 0.4 < b["probability_best"] < 0.6


def test_delays_are_counted_once_and_taken_back_with_their_reward(api, query, differences):
    """Duplicates count nothing, a second reward of a decision nothing either, and a retraction takes one away."""
    api.running(reward={"type": "count", "aggregation": "sum"})
    first, second = decide(api, 2)
    for decision_id in (first, first, second):
        reward(api, [decision_id])
    api.reward(first, 3)
    api.delete(f"/rewards/{second}")

    counted = query("SELECT sum(n) AS n FROM reward_delays, unnest(counts) AS n")

    assert counted == [{"n": 1.0}]
    assert differences() == []


def test_the_delay_is_until_the_reward_is_known(api, query):
    """Reported an hour after it happened, it came an hour late: what counts is when it could be learned from."""
    api.running()
    (decision_id,) = decide(api, 1)
    query("UPDATE decisions SET decided_at = decided_at - interval '1 hour'")
    at = (datetime.now(UTC) - timedelta(minutes=59)).isoformat()
    api.reward(decision_id, 1, occurred_at=at)

    (row,) = query("SELECT counts FROM reward_delays")

    assert row["counts"] == [0.0] * 18 + [1.0]  # [2048 s, 4096 s)


def test_a_stopped_experiment_still_reports_what_matured(api, query):
    """Its statistics are read whatever its status."""
    api.running(update_interval_s=0.1)
    reward(api, decide(api, 10)[:5])
    api.post("/experiments/test/stop")
    age_everything(query, timedelta(days=2))

    assert eventually(lambda: arm(api)["reward_mean"]) == 0.5
