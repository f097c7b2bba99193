"""Results, series and propensities: what was learned, by hand."""

from datetime import datetime

import pytest

from tests import policies
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
    """1 success of 3 decisions, one of them without a reward, default 0: mean 1/3, once others would have had theirs."""
    api.running()
    rewarded(api, "a", 1, 0, None)

    eventually(lambda: api.arm("a")["reward_mean"] == pytest.approx(1 / 3, abs=0.001))


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

    eventually(lambda: api.arm("a")["reward_mean"] == 1.0)


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


def test_unbiased_means_weight_by_the_logged_propensities(api):
    """Propensities 1/2 (even split) and 1 (only a eligible): weights sqrt(2) and 1.

    One success at 1/2 and one failure at 1: sqrt(2) / (sqrt(2) + 1) = 0.586, where the plain mean is 1/2.
    """
    api.running(policy={"type": "uniform"})
    decision = next(d for i in range(50) if (d := api.decide(unit_id=f"u{i}"))["arm_key"] == "a")
    api.reward(decision["decision_id"], 1)
    rewarded(api, "a", 0)

    found = api.arm("a")

    n_unrewarded = found["decisions"] - 2
    weights = 2**0.5 * (1 + n_unrewarded) + 1
    assert found["unbiased_mean"] == pytest.approx(2**0.5 / weights, rel=1e-3)


def test_draws_are_compared_with_their_probabilities(api):
    """40 even draws expect 20 each; a unit that keeps its arm is drawn once."""
    api.running(policy={"type": "uniform"}, allocation={"stickiness": "forever"})
    for i in range(40):
        api.decide(unit_id=f"u{i}")
        api.decide(unit_id=f"u{i}")

    results = api.get("/experiments/test/results").json

    assert [arm["expected_draws"] for arm in results["arms"]] == pytest.approx([20.0, 20.0])
    assert sum(arm["draws"] for arm in results["arms"]) == 40
    assert results["sample_ratio"]["mismatch"] is False
    assert 0.0 < results["sample_ratio"]["p_value"] <= 1.0


def test_a_misrouted_arm_is_noticed(api, query):
    """As if 60 draws of b had come as a: the advice is to check the data before anything else."""
    api.running(policy={"type": "uniform"})
    elements = [{"experiment_key": "test", "unit_id": f"u{i}"} for i in range(200)]
    api.post("/decisions:batch", {"decisions": elements})
    query("UPDATE allocation_statistics SET drawn = ARRAY[drawn[1] + 60, drawn[2] - 60]")

    results = api.get("/experiments/test/results").json

    assert results["sample_ratio"]["mismatch"] is True
    assert results["recommendation"]["action"] == "check_data"


def test_the_lift_is_of_the_best_challenger_over_the_control(api):
    """a, the control, 20 of 100; b 40 of 100; c 10 of 100: the lift of b is 1, with an interval around it."""
    api.running(n_arms=3, policy={"type": "uniform"})
    for arm_key, successes in (("a", 20), ("b", 40), ("c", 10)):
        elements = [
            {"experiment_key": "test", "unit_id": f"{arm_key}{i}", "eligible_arms": [arm_key]}
            for i in range(100)
        ]
        made = api.post("/decisions:batch", {"decisions": elements}).json["results"]
        rewards = [
            {"decision_id": m["decision"]["decision_id"], "reward": int(i < successes)}
            for i, m in enumerate(made)
        ]
        api.post("/rewards", {"rewards": rewards})

    results = api.get("/experiments/test/results").json
    lift = results["lift_over_control"]

    assert (lift["arm_key"], lift["estimate"]) == ("b", pytest.approx(1.0))
    assert lift["interval"][0] < 1.0 < lift["interval"][1]
    assert lift["absolute"]["estimate"] == pytest.approx(0.2)
    assert results["arms"][0]["lift_over_control"]["estimate"] == 0.0
    assert results["arms"][1]["confidence_sequence"][0] > 0.2
    assert results["value_remaining"]["relative"] < 0.1
    assert results["recommendation"]["action"] in ("keep_running", "ship")


def test_a_retired_arm_keeps_its_history_and_is_out_of_the_running(api):
    """Its numbers stay; it is best with probability 0, and has no loss."""
    api.running(n_arms=3)
    rewarded(api, "a", 1, 0)
    api.patch("/experiments/test/arms/a", {"status": "retired"})

    a, b, c = api.get("/experiments/test/results").json["arms"]

    assert (a["decisions"], a["rewards"], a["status"]) == (2, 2, "retired")
    assert (a["probability_best"], a["expected_loss"], a["propensity"]) == (0.0, None, 0.0)
    assert b["probability_best"] == c["probability_best"] == pytest.approx(0.5)


def test_an_unbounded_reward_has_results_without_any_data(api):
    """Nothing known is null, not an error."""
    api.running(reward={"type": "continuous"})

    results = api.get("/experiments/test/results").json

    assert results["arms"][0]["confidence_sequence"] == [None, None]
    assert results["value_remaining"]["relative"] is None
    assert results["recommendation"]["action"] == "keep_running"


def test_a_paused_arm_does_not_hold_up_advice(api):
    """a and b have 200 decisions each, c one and is paused: the advice is about a and b."""
    api.running(n_arms=3, policy={"type": "uniform"})
    for arm_key, successes in (("a", 20), ("b", 150)):
        elements = [
            {"experiment_key": "test", "unit_id": f"{arm_key}{i}", "eligible_arms": [arm_key]}
            for i in range(200)
        ]
        made = api.post("/decisions:batch", {"decisions": elements}).json["results"]
        rewards = [
            {"decision_id": m["decision"]["decision_id"], "reward": int(i < successes)}
            for i, m in enumerate(made)
        ]
        api.post("/rewards", {"rewards": rewards})
    rewarded(api, "c", 1)
    before = api.get("/experiments/test/results").json["recommendation"]
    api.patch("/experiments/test/arms/c", {"status": "paused"})

    after = api.get("/experiments/test/results").json["recommendation"]

    assert before["action"] == "keep_running"
    assert (after["action"], after["arm_key"]) == ("ship", "b")


@pytest.mark.parametrize("name", ["linear_thompson", "lin_ucb", "squarecb"])
def test_with_a_context_no_arm_is_recommended_for_all(api, name):
    """a is liked by few, and given to them: it looks best by its own units, and would be worst for everybody."""
    api.running(policy=policies.policy(name), update_interval_s=0.1)
    elements = [
        {
            "experiment_key": "test",
            "unit_id": f"u{i}",
            "context": {"age": 50, "device": "phone" if i % 4 == 0 else "desktop"},
            "eligible_arms": ["a" if i % 4 == 0 else "b"],
        }
        for i in range(800)
    ]
    made = api.post("/decisions:batch", {"decisions": elements}).json["results"]
    rewards = [
        {"decision_id": m["decision"]["decision_id"], "reward": int(i % 4 == 0 or i % 2 == 0)}
        for i, m in enumerate(made)
    ]
    api.post("/rewards", {"rewards": rewards})

    found = api.get("/experiments/test/results").json["recommendation"]

    assert (found["action"], found["arm_key"]) == ("keep_running", None)
    assert "evaluations" in found["reason"]
