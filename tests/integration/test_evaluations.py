"""Off-policy evaluation over an experiment's own log, by hand."""

from __future__ import annotations

import math

import pytest

from backend.policies.registry import POLICIES
from backend.service import evaluate_policy as use_case
from tests.conftest import Api

UNIFORM = {"type": "uniform"}
CONTEXT_FEATURES = [{"name": "age", "type": "numeric", "min": 0, "max": 1}]
CONTEXTUAL = ("linear_thompson", "lin_ucb", "squarecb")


def path(key="test"):
    return f"/experiments/{key}/evaluations"


def evaluate(api, policy, key="test", **fields):
    answer = api.post(path(key), {"policy": policy, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json


def log_of(api, *chosen, key="test", **fields):
    """Decisions for one arm each, by (eligible arms, reward); None brings no reward."""
    made = []
    for i, (eligible, reward) in enumerate(chosen):
        decision = api.decide(key, f"u{i}", eligible_arms=list(eligible), **fields)
        if reward is not None:
            assert api.reward(decision["decision_id"], reward)["status"] == "recorded"
        made.append(decision)
    return made


def test_the_contracts_fields(api):
    """All three estimators where none is named."""
    api.running(policy=UNIFORM)
    log_of(api, ("ab", 1), ("ab", 0))

    found = evaluate(api, UNIFORM)

    assert set(found) == {
        "experiment_key",
        "as_of",
        "policy",
        "n",
        "effective_sample_size",
        "estimates",
        "logged_policy_value",
        "warnings",
    }
    assert (found["experiment_key"], found["n"]) == ("test", 2)
    assert found["policy"] == {"type": "uniform", "params": {}}
    assert set(found["estimates"]) == {"ips", "snips", "dr"}
    assert all(len(e["interval"]) == 2 for e in found["estimates"].values())


def test_of_the_logged_policy_itself_is_the_mean(api):
    """All weights are 1: every estimate is 2 successes of 3, and so is the effective sample size 3."""
    api.running(policy=UNIFORM, allocation={"probability_floor": 0})
    log_of(api, ("ab", 1), ("ab", 0), ("ab", 1))

    found = evaluate(api, UNIFORM, estimators=["ips", "snips"])

    assert found["effective_sample_size"] == pytest.approx(3)
    assert found["estimates"]["ips"]["value"] == pytest.approx(2 / 3)
    assert found["estimates"]["snips"]["value"] == pytest.approx(2 / 3)
    assert found["logged_policy_value"] == pytest.approx(2 / 3)
    assert "under 100" in found["warnings"][0]


def test_importance_weights_of_a_policy_that_learns(api):
    """Greedy after (a: 1): the first vector is even (weight 1), then all on a, whose propensity was 1/2.

    The log: a decision restricted to a (propensity 1, target 1, reward 1), then even draws. Each later one has weight 2
    if it was a and 0 if it was b; b's mean would have to beat a's 1 to change that, and a gets only ones. So ips is
    (1 + 2 n_a) / n, as long as b gets only zeros; dr has 3 terms less simple.
    """
    api.running(policy=UNIFORM, allocation={"probability_floor": 0})
    log_of(api, ("a", 1), ("b", 0))
    n_a = 0
    for i in range(6):
        decision = api.decide(unit_id=f"even{i}")
        n_a += decision["arm_key"] == "a"
        api.reward(decision["decision_id"], int(decision["arm_key"] == "a"))

    found = evaluate(api, {"type": "epsilon_greedy", "params": {"epsilon": 0}})

    assert found["n"] == 8
    assert found["estimates"]["ips"]["value"] == pytest.approx((1 + 2 * n_a) / 8)
    assert found["estimates"]["snips"]["value"] == pytest.approx((1 + 2 * n_a) / (2 + 2 * n_a))


def test_only_eligible_arms_have_probability(api):
    """Of three arms two were eligible: uniform over those, as logged: weight 1 each, effective sample size 2."""
    api.running(n_arms=3, policy=UNIFORM, allocation={"probability_floor": 0})
    log_of(api, ("ab", 1), ("bc", 1))

    assert evaluate(api, UNIFORM)["effective_sample_size"] == pytest.approx(2)


def test_arms_that_were_paused_have_none_at_that_time(api):
    """Before the pause each of three arms has 1/3, after it each of two 1/2, as logged: all weights are 1."""
    api.running(n_arms=3, policy=UNIFORM, allocation={"probability_floor": 0})
    log_of(api, ("abc", 1), ("abc", 1))
    api.patch("/experiments/test/arms/c", {"status": "paused"})
    log_of(api, ("abc", 1))

    found = evaluate(api, UNIFORM)

    assert found["effective_sample_size"] == pytest.approx(3)
    assert found["estimates"]["ips"]["value"] == pytest.approx(1.0)


def test_decisions_of_a_paused_experiment_are_left_out(api):
    """One decision counts; the one while it was paused does not."""
    api.running(policy=UNIFORM)
    log_of(api, ("ab", 1))
    api.post("/experiments/test/pause")
    log_of(api, ("ab", 1))

    assert evaluate(api, UNIFORM)["n"] == 1


def test_the_log_ends_where_a_reward_may_still_come(api, query):
    """Rewards take an hour. The second of three has none yet: it and the third are left out, and the answer says so."""
    api.running(policy=UNIFORM)
    log_of(api, ("ab", 1), ("ab", None), ("ab", 1))
    query(
        "UPDATE reward_delays SET counts = array_fill(0.0::float8, ARRAY[18]) || ARRAY[2.0::float8]"
    )

    found = evaluate(api, UNIFORM)

    assert found["n"] == 1
    assert any("newest 2 decisions are left out" in warning for warning in found["warnings"])


def test_no_reward_means_the_default_once_rewards_of_that_age_have_come(api, query):
    """Two hours ago; the one reward came at once, so after a second no other is expected: 1 success of 2."""
    api.running(policy=UNIFORM)
    log_of(api, ("a", None), ("a", 1))
    query("UPDATE decisions SET decided_at = decided_at - interval '2 hours'")

    found = evaluate(api, UNIFORM)

    assert found["n"] == 2
    assert found["logged_policy_value"] == pytest.approx(0.5)


def test_no_reward_means_the_default_once_the_window_has_passed(api, query):
    """A window of a minute, two hours ago, and no reward at all: 2 decisions of 0."""
    api.running(policy=UNIFORM, reward={"attribution_window_s": 60})
    log_of(api, ("a", None), ("a", None))
    query("UPDATE decisions SET decided_at = decided_at - interval '2 hours'")

    found = evaluate(api, UNIFORM)

    assert (found["n"], found["logged_policy_value"]) == (2, 0.0)


def test_without_a_default_decisions_without_a_reward_are_left_out(api):
    """2 of 3 have one; that the oldest has none ends nothing."""
    api.running(policy=UNIFORM, reward={"default_reward": None})
    log_of(api, ("ab", None), ("ab", 1), ("ab", 0))

    found = evaluate(api, UNIFORM)

    assert (found["n"], found["logged_policy_value"]) == (2, 0.5)
    assert any("1 decisions without a reward" in warning for warning in found["warnings"])


def test_several_rewards_count_as_the_experiment_says(api):
    """Summed: 2 + 3 = 5 in the one decision."""
    api.running(
        policy=UNIFORM, reward={"type": "count", "aggregation": "sum", "min": None, "max": None}
    )
    (decision,) = log_of(api, ("ab", 2))
    api.reward(decision["decision_id"], 3)

    assert evaluate(api, UNIFORM)["logged_policy_value"] == 5.0


def test_a_retracted_reward_does_not_count(api):
    """Nor does a secondary metric: what is left is open, and nothing is known."""
    api.running(policy=UNIFORM)
    (decision,) = log_of(api, ("ab", 1))
    api.reward(decision["decision_id"], 7, metric="latency")
    api.delete(f"/rewards/{decision['decision_id']}?metric=primary")

    assert evaluate(api, UNIFORM)["n"] == 0


def test_an_empty_log_has_no_estimates(api):
    """Nulls and a warning; also for a draft."""
    api.post("/experiments", {"key": "test", "arms": [{"key": "a"}, {"key": "b"}]})

    found = evaluate(api, UNIFORM)

    nothing = {"value": None, "interval": [None, None]}
    assert (found["n"], found["effective_sample_size"]) == (0, 0.0)
    assert found["estimates"] == {"ips": nothing, "snips": nothing, "dr": nothing}
    assert found["logged_policy_value"] is None
    assert found["warnings"] == [
        "no decision with a known reward: there is nothing to estimate from"
    ]


@pytest.mark.parametrize(
    ("contextual", "most"), [(False, "MAX_DECISIONS"), (True, "MAX_CONTEXTUAL_DECISIONS")]
)
def test_the_newest_decisions_are_read(api, monkeypatch, contextual, most):
    """At most 2 of 3, and the answer says so: of rewards 1, 0, 0 the mean of the last two is 0."""
    monkeypatch.setattr(use_case, most, 2)
    api.running(policy=UNIFORM)
    log_of(api, ("a", 1), ("a", 0), ("a", 0), context={"age": 0.5})
    policy = {"type": "lin_ucb", "params": {"context_features": CONTEXT_FEATURES}}

    found = evaluate(api, policy if contextual else UNIFORM)

    assert (found["n"], found["logged_policy_value"]) == (2, 0.0)
    assert "only the newest 2 decisions were read" in found["warnings"]


def parameters(name):
    if name in CONTEXTUAL:
        return {"context_features": CONTEXT_FEATURES}
    return {"horizon": 100} if name == "finite_horizon_kl" else {}


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_be_evaluated(shared_api, key, name):
    """Whatever the experiment ran; one without the features that a contextual policy needs is left out."""
    shared_api.running(key, n_arms=3, policy=UNIFORM)
    log_of(shared_api, ("abc", 1), ("ab", 0), key=key, context={"age": 0.3, "other": True})
    log_of(shared_api, ("abc", 1), key=key)

    found = evaluate(shared_api, {"type": name, "params": parameters(name)}, key)

    assert found["n"] == (2 if name in CONTEXTUAL else 3)
    values = [e["value"] for e in found["estimates"].values()]
    assert all(value is None or math.isfinite(value) for value in values)
    left_out = any("lacks a feature" in warning for warning in found["warnings"])
    assert left_out == (name in CONTEXTUAL)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "policy"),
        ({"policy": {"type": "none"}}, "policy"),
        ({"policy": {"type": "epsilon_greedy", "params": {"epsilon": 2}}}, "policy"),
        ({"policy": UNIFORM, "estimators": ["dm"]}, "estimators.0"),
        ({"policy": UNIFORM, "estimators": []}, "estimators"),
        ({"policy": UNIFORM, "estimator": ["ips"]}, "estimator"),
    ],
)
def test_what_is_wrong_is_named(shared_api, key, body, field):
    """422."""
    shared_api.running(key)

    answer = shared_api.post(path(key), body)

    assert answer.status_code == 422
    assert field in answer.json["errors"]


def test_an_unknown_experiment_is_not_found(shared_api):
    """404."""
    assert shared_api.post(path("none"), {"policy": UNIFORM}).status_code == 404


def test_a_reader_may_ask(shared_api, key):
    """It changes nothing."""
    shared_api.running(key)
    made = shared_api.post("/keys", {"name": key, "role": "reader"})
    reader = Api(shared_api.client, made.json["key"])

    assert reader.post(path(key), {"policy": UNIFORM}).status_code == 200


def test_an_idempotency_key_gets_the_first_answer_again(shared_api, key):
    """Though there is another decision by then."""
    shared_api.running(key, policy=UNIFORM)
    first = shared_api.post(path(key), {"policy": UNIFORM}, idempotency_key=key)
    log_of(shared_api, ("ab", 1), key=key)

    second = shared_api.post(path(key), {"policy": UNIFORM}, idempotency_key=key)
    other = shared_api.post(
        path(key), {"policy": UNIFORM, "estimators": ["ips"]}, idempotency_key=key
    )

    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json == first.json
    assert other.status_code == 409
