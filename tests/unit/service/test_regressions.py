"""From sums of contexts per hour to regressions, with what is pending, forgotten or has no reward."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.domain import Arm, Decision, Experiment, Reason, RewardSpec
from backend.inference.observed import SUMS
from backend.service.history import Histories
from backend.service.regressions import linear_stats
from backend.service.sums_of_batch import ContextAdditions, decision_contexts, fresh_draws
from backend.service.timeline import Timeline
from backend.statistics import ArmStats
from backend.store.statistics import Blocks, Changes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
X = np.array([1.0, 0.5, -1.0])
"""Intercept and two features; its lower triangle of products, row by row, is 1, .5, .25, -1, -.5, 1."""


def experiment(default_reward=0.0, window_s=3600):
    reward = RewardSpec(attribution_window_s=window_s, default_reward=default_reward)
    arms = (Arm("a", "a"), Arm("b", "b"))
    return Experiment("test", arms, "test", experiment_id=1, reward=reward)


def learned(decisions, rewards, as_of, weight=1.0, **fields):
    """Regressions of 2 arms after ``decisions`` decisions for arm 0 with context X at noon, ``rewards`` of them worth 1."""
    additions = ContextAdditions()
    for i in range(decisions):
        additions.add_decision(1, NOON, 0, X)
        if i < rewards:
            additions.add_reward(1, NOON, 0, X, None, 1.0)
    (context,) = additions
    values = dict.fromkeys(SUMS, 0.0) | {
        "decisions": float(decisions),
        "rewards": float(rewards),
        "reward_sum": float(rewards),
        "reward_sum_squares": float(rewards),
    }
    block = {"experiment_id": 1, "block": NOON, "arm_id": 0}
    names = ("decision_xtx", "reward_xtx", "reward_xty")
    contexts = [block | {name: getattr(context, name).tolist() for name in names}]
    histories = Histories()
    histories.update(Changes("1", [block | values], [], contexts), Blocks(NOON, NOON))
    history, test = histories.get(1), experiment(**fields)
    timeline = Timeline.of(history, test, as_of)
    weights = np.full((1, 2), weight)
    seen = timeline.observed(test.reward.default_reward, weights)
    stats = ArmStats(seen.pulls, seen.reward_sum, seen.reward_sum_squares)
    return linear_stats(history, test, timeline, weights, stats)


def test_after_the_window_every_decision_counts():
    """10 decisions, 4 successes: 10 x x', and 4 x; the other arm has nothing."""
    stats = learned(10, 4, NOON + timedelta(hours=2))

    assert stats.xtx[0] == pytest.approx(10 * np.outer(X, X))
    assert stats.xty[0] == pytest.approx(4 * X)
    assert stats.pulls.tolist() == [10.0, 0.0]
    assert stats.pending_xtx == pytest.approx(np.zeros((2, 3, 3)))


def test_within_the_window_decisions_without_a_reward_are_pending():
    """No delay is known yet, so only the 4 rewards count, and 6 contexts are pending."""
    stats = learned(10, 4, NOON + timedelta(minutes=1))

    assert stats.xtx[0] == pytest.approx(4 * np.outer(X, X))
    assert stats.pending_xtx[0] == pytest.approx(6 * np.outer(X, X))


def test_another_default_reward_goes_to_those_without_one():
    """4 of 10 have a reward of 1, the other 6 count as 0.5: 4 x + 3 x."""
    stats = learned(10, 4, NOON + timedelta(hours=2), default_reward=0.5)

    assert stats.xty[0] == pytest.approx(7 * X)


def test_without_a_default_only_rewarded_decisions_count():
    """4 of 10."""
    stats = learned(10, 4, NOON + timedelta(hours=2), default_reward=None)

    assert stats.xtx[0] == pytest.approx(4 * np.outer(X, X))
    assert stats.xty[0] == pytest.approx(4 * X)


def test_what_is_half_forgotten_counts_half():
    """Both sums at weight 1/2."""
    stats = learned(10, 4, NOON + timedelta(hours=2), weight=0.5)

    assert stats.xtx[0] == pytest.approx(5 * np.outer(X, X))
    assert stats.xty[0] == pytest.approx(2 * X)


def test_a_retracted_reward_leaves_no_trace():
    """Added and taken back: zeros but for the decision."""
    additions = ContextAdditions()
    additions.add_decision(1, NOON, 0, X)
    additions.add_reward(1, NOON, 0, X, None, 2.0)
    additions.add_reward(1, NOON + timedelta(minutes=59), 0, X, 2.0, None)
    (context,) = additions

    assert context.decision_xtx.tolist() == [1.0, 0.5, 0.25, -1.0, -0.5, 1.0]
    assert context.reward_xtx.tolist() == [0.0] * 6
    assert context.reward_xty.tolist() == [0.0] * 3


def decision(probabilities, arm_id, reason=Reason.POLICY, features=None):
    return Decision(
        decision_id=f"{arm_id}",
        experiment=experiment(),
        unit_id="unit",
        arm_id=arm_id,
        propensity=1.0,
        probabilities=probabilities,
        reason=reason,
        policy_version=1,
        random_number=0.5,
        decided_at_us=0,
        features=features,
    )


def test_draws_are_compared_with_the_vectors_they_came_from():
    """Two draws from (0.8, 0.2) and one from (0.5, 0.5): sums 2.1 and 0.9; a kept and a paused arm are no draws."""
    often, once = {"a": 0.8, "b": 0.2}, {"a": 0.5, "b": 0.5}
    (draws,) = fresh_draws(
        [
            decision(often, 0),
            decision(often, 1, Reason.CONTROL),
            decision(once, 0),
            decision(once, 1, Reason.STICKY),
            decision({"a": 1.0, "b": 0.0}, 0, Reason.PAUSED),
        ]
    )

    assert draws.drawn.tolist() == [2.0, 1.0]
    assert draws.probability_sum == pytest.approx([2.1, 0.9])
    assert draws.probability_sum_squares == pytest.approx([2 * 0.64 + 0.25, 2 * 0.04 + 0.25])


def test_decisions_without_a_context_add_nothing():
    """Only those of contextual policies carry features."""
    additions = decision_contexts([decision({"a": 1.0, "b": 0.0}, 0)])

    assert not additions
    assert decision_contexts([decision({"a": 1.0, "b": 0.0}, 0, features=X)])
