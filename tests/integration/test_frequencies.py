"""The arms that are drawn follow the propensities that are logged."""

import pytest
from scipy import stats

from backend.policies.registry import POLICIES
from tests import policies
from tests.polling import eventually

N_DECISIONS = 20_000
BATCH = 1000


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
def test_twenty_thousand_decisions_match_their_propensities(api, query, policy):
    """Chi-square of the arms' counts against the sums of their logged probabilities: p > 1e-4.

    Floor 0.05 and control share 0.1 are on, the policy has data, and one request in four allows three arms only.
    The seed makes the draws the same in every run. The smallest probability is about 0.9 * 0.05, so the smallest
    expected count is about 900, far above the 5 that the test needs.
    """
    api.running(
        n_arms=4,
        seed=20240501,
        update_interval_s=86400,
        policy=policies.policy(policy),
        allocation={"probability_floor": 0.05, "control_share": 0.1},
    )
    context = policies.context_for(policy)
    _teach(api, query, context)
    counts, expected = dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 0.0)
    reasons = {"control": 0, "policy": 0}

    for start in range(0, N_DECISIONS, BATCH):
        elements = [
            {"experiment_key": "test", "unit_id": f"u{i}", "context": context}
            | ({"eligible_arms": ["a", "b", "d"]} if i % 4 == 0 else {})
            for i in range(start, start + BATCH)
        ]
        answer = api.post("/decisions:batch", {"decisions": elements})
        for result in answer.json["results"]:
            decision = result["decision"]
            counts[decision["arm_key"]] += 1
            reasons[decision["reason"]] += 1
            assert decision["propensity"] == decision["probabilities"][decision["arm_key"]]
            for arm_key, probability in decision["probabilities"].items():
                expected[arm_key] += probability

    assert sum(expected.values()) == pytest.approx(N_DECISIONS)
    assert stats.chisquare(list(counts.values()), list(expected.values())).pvalue > 1e-4
    assert stats.binomtest(reasons["control"], N_DECISIONS, 0.1).pvalue > 1e-4


def _teach(api, query, context):
    """Ten decisions an arm, of which 1, 2, 3, 4 succeed; published, and then no more: versions 1 (start), 2 (change), 3."""
    for arm_id, arm_key in enumerate("abcd"):
        for i in range(10):
            decision = api.decide(
                unit_id=f"t{arm_key}{i}", eligible_arms=[arm_key], context=context
            )
            api.reward(decision["decision_id"], int(i <= arm_id))
    api.patch("/experiments/test", {"update_interval_s": 0.1})
    eventually(lambda: query("SELECT max(policy_version) AS v FROM policy_snapshots")[0]["v"] > 2)
    api.patch("/experiments/test", {"update_interval_s": 86400})
