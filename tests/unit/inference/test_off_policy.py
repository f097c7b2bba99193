"""Off-policy estimates: by hand, against the Open Bandit Pipeline, and by simulation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.inference.off_policy import (
    Estimator,
    WeightedLog,
    dr,
    effective_sample_size,
    evaluate,
    ips,
    snips,
)

GOLDEN = Path(__file__).parent / "data/open_bandit_pipeline.json"
Z = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution."""


def log_of(rewards, propensities, target_propensities, predicted=None, target_predicted=None):
    n = len(rewards)
    columns = (rewards, propensities, target_propensities, predicted, target_predicted)
    return WeightedLog(*(np.zeros(n) if c is None else np.array(c, dtype=float) for c in columns))


def on_policy(n):
    """Every weight is 1; every second reward is 1."""
    return log_of(np.arange(n) % 2, np.full(n, 0.5), np.full(n, 0.5))


def test_equal_those_of_the_open_bandit_pipeline():
    """The same log and reward model through its own code; the file says which version and how."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    arm_ids = np.array(golden["arm_ids"])
    target = np.array(golden["target_probabilities"])
    predicted = np.array(golden["predicted_rewards"])
    at = np.arange(len(arm_ids))
    log = WeightedLog(
        np.array(golden["rewards"]),
        np.array(golden["propensities"]),
        target[at, arm_ids],
        predicted[at, arm_ids],
        (target * predicted).sum(axis=1),
    )

    found = {name: estimate.value for name, estimate in evaluate(log).estimates.items()}

    assert found == pytest.approx(golden["values"], abs=1e-9, rel=0)


def test_ips_by_hand():
    """Weights 2, 0.5; terms 2 x 1 and 0.5 x 0: mean 1, sample standard deviation sqrt(2), standard error 1."""
    found = ips(log_of([1, 0], [0.25, 0.8], [0.5, 0.4]))

    assert found.value == pytest.approx(1.0)
    assert found.interval == pytest.approx((1.0 - Z, 1.0 + Z))


def test_snips_by_hand():
    """2 x 1 + 0.5 x 0 over 2.5 is 0.8. Linearised terms 1.6 x 0.2 and 0.4 x -0.8: +-0.32, whose standard error is 0.32."""
    found = snips(log_of([1, 0], [0.25, 0.8], [0.5, 0.4]))

    assert found.value == pytest.approx(0.8)
    assert found.interval == pytest.approx((0.8 - 0.32 * Z, 0.8 + 0.32 * Z))


def test_dr_by_hand():
    """0.6 + 2 (1 - 0.5) = 1.6 and 0.6 + 0.5 (0 - 0.4) = 0.4: mean 1, standard error 0.6."""
    found = dr(log_of([1, 0], [0.25, 0.8], [0.5, 0.4], [0.5, 0.4], [0.6, 0.6]))

    assert found.value == pytest.approx(1.0)
    assert found.interval == pytest.approx((1.0 - 0.6 * Z, 1.0 + 0.6 * Z))


def test_of_the_behaviour_policy_itself_all_are_the_mean():
    """Weights of 1, and dr with any model that is the same on both sides."""
    log = replace(
        on_policy(10), predicted_rewards=np.full(10, 0.3), target_predicted_rewards=np.full(10, 0.3)
    )

    assert {e.value for e in evaluate(log).estimates.values()} == {0.5}


def test_a_perfect_model_leaves_dr_no_width():
    """Every residual is 0: the model's value of 0.7, exactly; and an interval of no width is warned of."""
    log = log_of([1, 0], [0.5, 0.5], [0.9, 0.1], [1, 0], [0.7, 0.7])

    found = evaluate(log, [Estimator.DR])

    assert found.estimates[Estimator.DR].interval == pytest.approx((0.7, 0.7))
    assert "all that dr averages is equal" in found.warnings[-1]


@given(
    st.lists(st.floats(0.0, 1e100, allow_subnormal=False), min_size=1, max_size=50).map(np.array)
)
def test_the_effective_sample_size_is_between_one_and_n(weights):
    """By the Cauchy-Schwarz inequality; 0 only without any weight. No weight overflows."""
    found = effective_sample_size(weights)

    assert found == 0.0 if not weights.any() else 1.0 - 1e-9 <= found <= len(weights) + 1e-9


def test_the_effective_sample_size_by_hand():
    """(1 + 3)^2 / (1 + 9) = 1.6."""
    assert effective_sample_size(np.array([1.0, 3.0, 0.0])) == pytest.approx(1.6)


def test_nothing_comes_of_nothing():
    """No decision: no value, no interval, a warning that says so."""
    found = evaluate(on_policy(0))

    assert (found.n, found.effective_sample_size) == (0, 0.0)
    assert all(e.value is None for e in found.estimates.values())
    assert all(e.interval == (None, None) for e in found.estimates.values())
    assert found.warnings == ["no decision with a known reward: there is nothing to estimate from"]


def test_one_decision_has_a_value_but_no_interval():
    """A standard deviation needs two."""
    found = evaluate(on_policy(1))

    assert all(e.value == 0.0 for e in found.estimates.values())
    assert all(e.interval == (None, None) for e in found.estimates.values())


def test_a_target_that_shares_no_arm_with_the_log():
    """IPS is 0 by its formula, SNIPS is 0 / 0 and has no value; the one warning says why."""
    found = evaluate(log_of([1, 1], [0.5, 0.5], [0, 0]), [Estimator.IPS, Estimator.SNIPS])

    assert found.estimates[Estimator.IPS].value == 0.0
    assert found.estimates[Estimator.SNIPS].value is None
    assert "gives no logged arm any probability" in found.warnings[0]


@pytest.mark.parametrize(("n", "is_warned"), [(99, True), (100, False)])
def test_warns_under_an_effective_sample_size_of_100(n, is_warned):
    """With weights of 1 it is n."""
    assert any("under 100" in w for w in evaluate(on_policy(n)).warnings) == is_warned


@pytest.mark.parametrize(("n_used", "is_warned"), [(199, True), (200, False)])
def test_warns_under_one_percent_of_the_log(n_used, is_warned):
    """Of 20,000 decisions, n_used have one and the same weight and the others none: that many are effective.

    Their weight of 20,000 / n_used makes the mean weight 1.
    """
    n = 20_000
    target = np.zeros(n)
    target[:n_used] = 1.0
    log = log_of(np.arange(n) % 2, np.full(n, n_used / n), target)

    warnings = evaluate(log).warnings

    assert any("under 1% of the 20000 decisions" in w for w in warnings) == is_warned
    assert len(warnings) == is_warned


def test_warns_when_weights_do_not_average_one():
    """Propensities that are twice what they were: weights of 0.5."""
    log = on_policy(1000)

    warnings = evaluate(replace(log, propensities=2 * log.propensities)).warnings

    assert len(warnings) == 1
    assert "average 0.5, not 1" in warnings[0]


@pytest.mark.parametrize("scale", [1e-300, 1e15])
def test_rewards_of_any_size(scale):
    """The estimates are in proportion to the rewards; nothing overflows."""
    log = log_of(np.array([1.0, 0.0, 1.0]) * scale, [1e-100, 0.5, 0.5], [0.5, 0.5, 0.5])

    assert ips(log).value == pytest.approx(scale * (5e99 + 1.0) / 3, rel=1e-12)


def simulated(rng, n):
    """A contextual log: x in {0, 1}, three arms, and a model of rewards that is off by 0.1."""
    means = np.array([[0.2, 0.5, 0.7], [0.6, 0.3, 0.1]])
    behaviour = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    target = np.array([[0.1, 0.2, 0.7], [0.6, 0.2, 0.2]])
    x = rng.integers(0, 2, n)
    arm_ids = (behaviour[x].cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    rewards = (rng.random(n) < means[x, arm_ids]).astype(float)
    model = means + 0.1
    values = (target * model).sum(axis=1)
    log = WeightedLog(
        rewards, behaviour[x, arm_ids], target[x, arm_ids], model[x, arm_ids], values[x]
    )
    return log, float((target * means).sum(axis=1).mean())


def test_intervals_cover(rng):
    """95% of 10,000 logs of 500 decisions, to within 1%: the standard error is 0.22%, the rest is for skewed weights."""
    n_covered = dict.fromkeys(Estimator, 0)
    for _ in range(10_000):
        log, value = simulated(rng, 500)
        for name, estimate in evaluate(log).estimates.items():
            n_covered[name] += estimate.interval[0] <= value <= estimate.interval[1]

    assert [n / 10_000 for n in n_covered.values()] == pytest.approx([0.95] * 3, abs=0.01)


def test_a_model_of_rewards_makes_intervals_narrower(rng):
    """That dr is there for."""
    log, _ = simulated(rng, 20_000)

    widths = {name: e.interval[1] - e.interval[0] for name, e in evaluate(log).estimates.items()}

    assert widths["dr"] < widths["snips"] < widths["ips"]


def test_a_policy_that_would_never_have_chosen_so_has_no_value():
    """No logged arm has any probability under it: nothing corrects a model of its rewards, so no estimate but IPS's 0."""
    log = replace(on_policy(50), target_propensities=np.zeros(50))

    found = evaluate(log).estimates

    assert (found[Estimator.SNIPS].value, found[Estimator.DR].value) == (None, None)
    assert found[Estimator.DR].interval == (None, None)
