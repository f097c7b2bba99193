"""Results, series and propensities: what was learned, by hand."""

from datetime import datetime

import pytest

from tests.polling import eventually


def rewarded(api, arm_key, *values, key="test"):
    """One decision for ``arm_key`` and each value; None brings no reward."""
    for i, value in enumerate(values):
        decision = api.decide(key, f"{arm_key}{i}", eligible_arms=[arm_key])
        if value is not None:
            assert api.reward(decision["decision_id"], value)["status"] == "recorded"


def test_have_the_contracts_fields(api):
    """Names of all parts, for a draft without any data."""
    api.post("/experiments", {"key": "test", "arms": [{"key": "a"}, {"key": "b"}]})

    results = api.get("/experiments/test/results").json

    assert set(results) == {
        "experiment_key",
        "as_of",
        "policy_version",
        "totals",
        "arms",
        "value_remaining",
        "lift_over_control",
        "sample_ratio",
        "recommendation",
        "status",
        "guardrails",
    }
    assert results["totals"] == {"decisions": 0, "rewards": 0, "reward_sum": 0.0, "pending": 0}
    assert [arm["arm_key"] for arm in results["arms"]] == ["a", "b"]
    assert results["arms"][0]["reward_mean"] is None


def test_sums_are_right_at_once(api):
    """a: 3 decisions, 2 rewards, 1 success, 1 pending; b: 1 decision, 1 success."""
    api.running(update_interval_s=86400)
    rewarded(api, "a", 1, 0, None)
    rewarded(api, "b", 1)

    results = api.get("/experiments/test/results").json

    assert results["totals"] == {"decisions": 4, "rewards": 3, "reward_sum": 2.0, "pending": 1}
    a, b = results["arms"]
    assert (a["decisions"], a["rewards"], a["reward_sum"]) == (3, 2, 1.0)
    assert (b["decisions"], b["rewards"], b["reward_sum"]) == (1, 1, 1.0)


def test_a_decision_without_a_reward_counts_as_the_default(api):
    """1 success of 3 decisions, one of them without a reward, default 0: mean 1/3."""
    api.running()
    rewarded(api, "a", 1, 0, None)

    assert api.arm("a")["reward_mean"] == pytest.approx(1 / 3)


def test_without_a_default_it_does_not_count(api):
    """1 success of 2 rewards: mean 1/2."""
    api.running(reward={"default_reward": None})
    rewarded(api, "a", 1, 0, None)

    assert api.arm("a")["reward_mean"] == pytest.approx(0.5)


def test_the_posterior_of_binary_rewards(api):
    """a: Beta(2, 1), whose quantile p is the root of p; b: Beta(1, 2). P(a better) = 5/6."""
    api.running()
    rewarded(api, "a", 1)
    rewarded(api, "b", 0)

    a, b = api.get("/experiments/test/results").json["arms"]

    assert a["credible_interval"] == pytest.approx([0.025**0.5, 0.975**0.5])
    assert b["credible_interval"] == pytest.approx([1 - 0.975**0.5, 1 - 0.025**0.5])
    assert (a["probability_best"], b["probability_best"]) == pytest.approx((5 / 6, 1 / 6))


def test_a_default_of_one_counts_decisions_as_successes(api):
    """Opt-out: two decisions without complaint are two successes, mean 1, once the window of a second is over."""
    api.running(reward={"default_reward": 1, "attribution_window_s": 1})
    rewarded(api, "a", None, None)
    pending = api.arm("a")

    eventually(lambda: api.arm("a")["reward_mean"] == 1.0)
    assert (pending["decisions"], pending["reward_mean"]) == (2, None)


def test_propensities_are_what_decisions_are_drawn_from(api):
    """The vector of the very next decision, with the numbers a client needs."""
    api.running(policy={"type": "uniform"}, allocation={"control_share": 0.2})

    found = api.get("/experiments/test/propensities").json

    assert found["probabilities"] == pytest.approx({"a": 0.6, "b": 0.4})
    assert found["probabilities"] == api.decide()["probabilities"]
    assert (found["control_arm_key"], found["control_share"]) == ("a", 0.2)


def test_propensities_can_be_cached(api):
    """304 for the tag just seen; another tag, and 200, once the experiment has changed."""
    api.running(update_interval_s=30)
    first = api.get("/experiments/test/propensities")

    same = api.get("/experiments/test/propensities", if_none_match=first.headers["ETag"])
    api.post("/experiments/test/pause")
    changed = api.get("/experiments/test/propensities", if_none_match=first.headers["ETag"])

    assert first.headers["Cache-Control"] == "public, max-age=30"
    assert (same.status_code, same.data) == (304, b"")
    assert changed.status_code == 200
    assert changed.json["probabilities"] == {"a": 1.0, "b": 0.0}


@pytest.mark.parametrize(("bucket", "zeros"), [("minute", 1), ("hour", 2), ("day", 3)])
def test_series_add_up_to_the_totals(api, bucket, zeros):
    """Summed over buckets; each begins where its unit does: its last ``zeros`` of (hour, minute, second) are 0."""
    api.running(policy={"type": "uniform"})
    rewarded(api, "a", 1, 0, None)

    series = api.get(f"/experiments/test/timeseries?bucket={bucket}").json

    assert (series["bucket"], series["metric"]) == (bucket, "primary")
    assert sum(point["decisions"] for point in series["items"]) == 3
    assert sum(point["rewards"] for point in series["items"]) == 2
    assert sum(point["reward_sum"] for point in series["items"]) == 1.0
    for point in series["items"]:
        start = datetime.fromisoformat(point["bucket_start"])
        assert (start.hour, start.minute, start.second)[3 - zeros :] == (0,) * zeros
        assert point["mean_propensity"] == 1.0


def test_mean_propensity_is_over_the_decisions(api):
    """Two decisions for b: one with 1/2, one with 1 (only b eligible): mean 3/4."""
    api.running(policy={"type": "uniform"}, allocation={"stickiness": "forever"})
    first = api.decide()["arm_key"]
    api.decide(unit_id="other", eligible_arms=[first])

    points = api.get("/experiments/test/timeseries?bucket=day").json["items"]

    n = sum(point["decisions"] for point in points)
    assert sum(p["mean_propensity"] * p["decisions"] for p in points) / n == pytest.approx(0.75)


@pytest.mark.parametrize("query", ["bucket=week", "metric=A", "from=now"])
def test_a_wrong_query_is_an_error(shared_api, key, query):
    """422."""
    shared_api.running(key)

    assert shared_api.get(f"/experiments/{key}/timeseries?{query}").status_code == 422


@pytest.mark.parametrize(
    "part", ["results", "timeseries", "propensities", "decisions.ndjson", "audit"]
)
def test_of_an_unknown_experiment_are_not_found(shared_api, part):
    """404."""
    assert shared_api.get(f"/experiments/none/{part}").status_code == 404
