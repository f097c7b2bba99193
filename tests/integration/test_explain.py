"""Explanations: everything that made a choice, enough to compute it again by hand."""

import numpy as np
import pytest

from backend.domain import PolicySpec, RewardSpec, RewardType
from backend.policies.base import ContextualPolicy
from backend.policies.registry import POLICIES, build_policy
from backend.statistics import ArmStats, Scores
from tests import policies
from tests.polling import eventually


def explain(api, decision):
    answer = api.get(f"/decisions/{decision['decision_id']}/explain")
    assert answer.status_code == 200, answer.text
    return answer.json


def learn(api, key="test", **fields):
    """Ten decisions with rewards for the third arm, and none for the others; then wait until it is known."""
    for i in range(30):
        arm_key = "abc"[i % 3]
        decision = api.decide(key, f"u{i}", eligible_arms=[arm_key], **fields)
        api.reward(decision["decision_id"], int(arm_key == "c"))

    def knows():
        decision = api.decide(key, eligible_arms=["b"], **fields)
        found = explain(api, decision)
        return sum(arm["rewards"] for arm in found["statistics"]) == 30

    eventually(knows)


OBSERVED = (
    "pulls",
    "reward_sum",
    "reward_sum_squares",
    "pending",
    "weight_sum",
    "weighted_reward_sum",
)


def recomputed(found):
    """The vector from the explanation's own numbers, by the steps that the contract describes."""
    arms = found["statistics"]
    reward = RewardSpec(**{**found["reward"], "type": RewardType(found["reward"]["type"])})
    can = [arm for arm in arms if arm["is_eligible"]]
    stats = ArmStats(
        *(np.array([arm["observed"][name] for arm in can]) for name in OBSERVED),
        n_decisions=found["n_decisions"],
        batch_size=found["batch_size"],
    )
    policy = build_policy(PolicySpec(**found["policy"]), reward)
    if isinstance(policy, ContextualPolicy):
        means, deviations = (
            np.array([arm["score"][name] for arm in can]) for name in ("mean", "standard_deviation")
        )
        own = policy.probabilities(Scores(means, deviations, found["n_decisions"]))
    else:
        own = policy.probabilities(stats)
    floor = found["allocation"]["probability_floor"]
    share = found["allocation"]["control_share"]
    probabilities = {arm["arm_key"]: 0.0 for arm in arms}
    for arm, p in zip(can, own, strict=True):
        probabilities[arm["arm_key"]] = (1 - share) * (floor + (1 - len(can) * floor) * p)
    if probabilities["a"]:  # the control arm of these tests
        probabilities["a"] += share
    else:
        probabilities = {k: p / (1 - share) for k, p in probabilities.items()}
    return probabilities


def drawn(probabilities, number):
    """The first arm at which the running sum exceeds ``number``."""
    total = 0.0
    for arm_key, probability in probabilities.items():
        total += probability
        if total > number:
            return arm_key
    raise AssertionError


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("eligible_arms", [None, ["b", "c"]])
def test_a_decision_can_be_recomputed_from_its_explanation(api, policy, eligible_arms):
    """Statistics, policy, floor, control share and random number give its arm and its propensity."""
    api.running(
        n_arms=3,
        policy=policies.policy(policy),
        update_interval_s=0.1,
        allocation={"probability_floor": 0.05, "control_share": 0.1},
    )
    context = policies.context_for(policy)
    learn(api, context=context)
    decision = api.decide(unit_id="new", eligible_arms=eligible_arms, context=context)

    found = explain(api, decision)

    probabilities = recomputed(found)
    assert found["is_reproduced"] is True
    assert probabilities == pytest.approx(decision["probabilities"], abs=1e-6)
    assert drawn(decision["probabilities"], found["random_number"]) == decision["arm_key"]
    assert found["propensity"] == decision["propensity"]
    assert {arm["arm_key"]: arm["probability"] for arm in found["statistics"]} == decision[
        "probabilities"
    ]


def test_explains_with_what_was_known_then(api):
    """Later rewards, another policy and another arm change nothing about it."""
    api.running(update_interval_s=0.1)
    decision = api.decide()
    before = explain(api, decision)
    api.reward(decision["decision_id"], 1)
    api.patch("/experiments/test", {"policy": {"type": "uniform"}})
    api.post("/experiments/test/arms", {"key": "z"})
    api.decide()

    after = explain(api, decision)

    assert after == before
    assert after["policy"]["type"] == "thompson_sampling"
    assert after["prior"] == {"family": "beta", "alpha": 1.0, "beta": 1.0}


def test_explains_a_paused_decision(api):
    """The policy had no say; the control was certain."""
    api.running()
    api.post("/experiments/test/pause")
    decision = api.decide()

    found = explain(api, decision)

    assert (found["status"], found["reason"], found["is_reproduced"]) == ("paused", "paused", True)
    assert found["probabilities"] == {"a": 1.0, "b": 0.0}
    assert [arm["policy_probability"] for arm in found["statistics"]] == [0.0, 0.0]


def test_a_tampered_decision_is_not_reproduced(api, query):
    """Whoever changes the log is found out: this propensity does not follow from the numbers."""
    api.running()
    decision = api.decide()

    query("UPDATE decisions SET propensity = 0.123")

    assert explain(api, decision)["is_reproduced"] is False


def test_a_seeded_decision_shows_its_number(api):
    """The first number of seed 7."""
    from backend.service.seeded_random import random_numbers

    api.running(seed=7)

    found = explain(api, api.decide())

    assert found["seed"] == 7
    assert found["random_number"] == next(random_numbers(7, 0))
