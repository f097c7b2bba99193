"""Policies that look at the unit: the loop from context to regression and back, through the API."""

import numpy as np
import pytest

from backend.context_features import ContextFeatures
from backend.inference.linear_model import LinearModel
from backend.statistics import LinearStats
from tests.policies import CONTEXT, CONTEXT_FEATURES, policy
from tests.polling import eventually

NAMES = ["linear_thompson", "lin_ucb", "squarecb"]
YOUNG, OLD = {"age": 10, "device": "phone"}, {"age": 90, "device": "desktop"}


def decide_all(api, contexts, key="test"):
    elements = [
        {"experiment_key": key, "unit_id": f"u{i}", "context": context}
        for i, context in enumerate(contexts)
    ]
    results = api.post("/decisions:batch", {"decisions": elements}).json["results"]
    return [result["decision"] for result in results]


def teach(api, services, n=600, noise=0.0):
    """The young like a, the old like b, but for a share of ``noise`` who do not; then wait until that is known."""
    odd = np.random.default_rng(5).random(n) < noise
    contexts = [YOUNG if i % 2 else OLD for i in range(n)]
    decisions = decide_all(api, contexts)
    rewards = [
        {
            "decision_id": d["decision_id"],
            "reward": int(((d["arm_key"] == "a") == (c is YOUNG)) != is_odd),
        }
        for d, c, is_odd in zip(decisions, contexts, odd.tolist(), strict=True)
    ]
    api.post("/rewards", {"rewards": rewards})
    published = lambda: services.snapshots.get("test").published  # noqa: E731
    eventually(lambda: published().statistics.rewards.sum() == n and published().model is not None)
    return decisions, contexts, rewards


@pytest.mark.parametrize("name", NAMES)
def test_learns_who_likes_what(api, services, name):
    """After 600 people who reveal it fully, each kind gets its own arm nearly always."""
    api.running(policy=policy(name), update_interval_s=0.1)
    teach(api, services)

    young, old = (api.decide(unit_id="new", context=c)["probabilities"] for c in (YOUNG, OLD))

    assert young["a"] > 0.9
    assert old["b"] > 0.9


def test_the_published_model_is_that_of_the_log(api, services):
    """Fitted anew from what was decided and rewarded, coefficients and uncertainty are the same, to rounding."""
    api.running(policy=policy("linear_thompson"), update_interval_s=0.1)
    decisions, contexts, rewards = teach(api, services, n=200)
    api.delete(f"/rewards/{decisions[0]['decision_id']}")
    api.post("/rewards", {"rewards": [rewards[0], rewards[0], rewards[1]]})
    published = lambda: services.snapshots.get("test").published  # noqa: E731
    eventually(lambda: published().statistics.rewards.sum() == 200)

    features = ContextFeatures.parse(CONTEXT_FEATURES)
    x = np.array([features.encode(c) for c in contexts])
    y = np.array([float(reward["reward"]) for reward in rewards])
    arms = np.array(["ab".index(d["arm_key"]) for d in decisions])
    zeros = LinearStats.zeros(2, features.n_features)
    for arm in (0, 1):
        mine = x[arms == arm]
        zeros.xtx[arm] = mine.T @ mine
        zeros.xty[arm] = mine.T @ y[arms == arm]
        zeros.reward_sum_squares[arm] = (y[arms == arm] ** 2).sum()
    expected = LinearModel.fit(zeros)
    found = services.snapshots.get("test").model

    assert found.coefficients == pytest.approx(expected.coefficients, abs=1e-9)
    assert found.spread == pytest.approx(expected.spread, abs=1e-9)


def test_every_worker_decides_alike(api, other_api, services, other_app):
    """The model is published, so two workers give the same vector for the same person."""
    api.running(policy=policy("linear_thompson"), update_interval_s=0.1)
    teach(api, services)
    other = other_app.extensions["bandstand"].snapshots
    version = services.snapshots.get("test").policy_version
    eventually(lambda: other.get("test").policy_version >= version)

    mine, theirs = (
        a.decide(unit_id=f"u{i}", context=CONTEXT) for i, a in enumerate((api, other_api))
    )

    if mine["policy_version"] == theirs["policy_version"]:
        assert mine["probabilities"] == theirs["probabilities"]


def test_an_arm_added_midway_is_explored(api, services):
    """It has the prior, and so a fair chance at once: it is believed to be like all arms, give or take the noise of rewards."""
    api.running(policy=policy("linear_thompson"), update_interval_s=0.1)
    teach(api, services, noise=0.3)
    api.post("/experiments/test/arms", {"key": "c"})

    probabilities = api.decide(unit_id="new", context=YOUNG)["probabilities"]

    assert probabilities["c"] > 0.02
    assert sum(probabilities.values()) == pytest.approx(1.0)


def test_a_context_of_defaults_alone_is_learned_from(api, query):
    """Left out, it is as good as sent: decisions and rewards add to the same sums."""
    features = [{"name": "age", "type": "numeric", "min": 0, "max": 100, "default": 50}]
    api.running(policy={"type": "lin_ucb", "params": {"context_features": features}})
    for i in range(10):
        api.reward(api.decide(unit_id=f"u{i}")["decision_id"], 1)

    (sums,) = query(
        "SELECT sum(decision_xtx[1]) AS decisions, sum(reward_xtx[1]) AS rewards FROM context_statistics"
    )

    assert sums == {"decisions": 10.0, "rewards": 10.0}


def test_eligible_arms_and_the_floor_hold(api):
    """Only b is allowed: 1 for b. Else no arm is below the floor."""
    api.running(policy=policy("lin_ucb"), allocation={"probability_floor": 0.1})

    only = api.decide(context=CONTEXT, eligible_arms=["b"])["probabilities"]
    both = api.decide(unit_id="other", context=CONTEXT)["probabilities"]

    assert only == {"a": 0.0, "b": 1.0}
    assert min(both.values()) >= 0.1


@pytest.mark.parametrize(
    ("context", "path"),
    [
        (None, "context.age"),
        ({"device": "phone"}, "context.age"),
        ({"age": "old", "device": "phone"}, "context.age"),
        ({"age": 1, "device": "fridge"}, "context.device"),
        ({"age": 1, "device": "phone", "color": 1}, "context.color"),
    ],
)
def test_a_context_that_does_not_fit_is_named(api, context, path):
    """422 at the decision; nothing is logged."""
    api.running(policy=policy("linear_thompson"))

    answer = api.post("/experiments/test/decisions", {"unit_id": "u", "context": context})

    assert answer.status_code == 422
    assert path in answer.json["errors"]
    assert api.get("/experiments/test/results").json["totals"]["decisions"] == 0


def test_a_bad_element_does_not_spoil_the_batch(api):
    """The one without a context is refused alone."""
    api.running(policy=policy("squarecb"))
    elements = [
        {"experiment_key": "test", "unit_id": "u1", "context": CONTEXT},
        {"experiment_key": "test", "unit_id": "u2"},
    ]

    results = api.post("/decisions:batch", {"decisions": elements}).json["results"]

    assert [result["status"] for result in results] == [201, 422]


def test_features_are_fixed_once_started_but_can_be_dropped(api):
    """Another feature is a conflict; a policy without context is not, and is final."""
    api.running(policy=policy("linear_thompson"))
    other = {"type": "lin_ucb", "params": {"context_features": CONTEXT_FEATURES[:1]}}

    changed = api.patch("/experiments/test", {"policy": other})
    same = api.patch("/experiments/test", {"policy": policy("lin_ucb")})
    dropped = api.patch("/experiments/test", {"policy": {"type": "thompson_sampling"}})
    again = api.patch("/experiments/test", {"policy": policy("lin_ucb")})

    assert [r.status_code for r in (changed, same, dropped, again)] == [409, 200, 200, 409]


def test_there_is_no_vector_for_all(api):
    """A client cannot draw by itself without the context: 409 that says so; results give the mean vector."""
    api.running(policy=policy("linear_thompson"))

    assert api.get("/experiments/test/propensities").status_code == 409
    assert [arm["propensity"] for arm in api.get("/experiments/test/results").json["arms"]] == [
        0.5,
        0.5,
    ]


def test_a_paused_experiment_needs_no_context(api):
    """It answers its control, whatever is known of the unit."""
    api.running(policy=policy("linear_thompson"))
    api.post("/experiments/test/pause")

    assert api.decide()["reason"] == "paused"


def test_sticky_units_keep_their_arm_whatever_their_context(api):
    """The second decision is the first one's, and can be explained by its scores."""
    api.running(policy=policy("linear_thompson"), allocation={"stickiness": "forever"})
    first = api.decide(context=YOUNG)

    second = api.decide(context=OLD)
    found = api.get(f"/decisions/{second['decision_id']}/explain").json

    assert (second["arm_key"], second["reason"]) == (first["arm_key"], "sticky")
    assert second["probabilities"] == first["probabilities"]
    assert found["is_reproduced"] is True
    assert found["context"] == YOUNG


def test_a_model_that_would_be_too_large_is_refused(shared_api, key):
    """60 numeric features are 61 encoded ones: 1,000,000 / 61^2 = 268 arms at most."""
    features = [{"name": f"x{i}", "type": "numeric", "min": 0, "max": 1} for i in range(60)]
    body = {
        "key": key,
        "arms": [{"key": f"a{i}"} for i in range(269)],
        "policy": {"type": "lin_ucb", "params": {"context_features": features}},
    }

    refused = shared_api.post("/experiments", body)
    taken = shared_api.post("/experiments", {**body, "arms": body["arms"][1:]})

    assert refused.json["errors"] == {"arms": ["At most 268 with 61 encoded features of context."]}
    assert taken.status_code == 201
