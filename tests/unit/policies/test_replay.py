"""A policy that learns along a log: by enumeration of every log, by hand, and that it never looks ahead."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np
import pytest

from backend.context_features import ContextFeatures
from backend.domain import PolicySpec, RewardSpec
from backend.inference.linear_model import LinearModel
from backend.policies import replay
from backend.policies.epsilon_greedy import EpsilonGreedy
from backend.policies.exp3_ix import Exp3IX
from backend.policies.registry import POLICIES, build_policy
from backend.policies.replay import GROWTH, Judged, LoggedDecisions, Replay
from backend.policies.thompson_sampling import ThompsonSampling
from backend.statistics import LinearStats

REWARD = RewardSpec()
FEATURES = ContextFeatures.parse([{"name": "x", "type": "numeric", "min": -1, "max": 1}])
CONTEXTUAL = ("linear_thompson", "lin_ucb", "squarecb")


@dataclass
class Seen:
    """A policy that notes what it is given, and splits evenly."""

    stats: list = field(default_factory=list)

    def probabilities(self, stats):
        self.stats.append(stats)
        return np.full(stats.n_arms, 1.0 / stats.n_arms)

    def prior(self):
        return {}


@dataclass(frozen=True)
class Proportional:
    """A contextual policy: probabilities in proportion to exp(mean)."""

    context_features: ContextFeatures = FEATURES

    def fit(self, stats):
        return LinearModel.fit(stats)

    def probabilities(self, scores):
        weights = np.exp(scores.mean)
        return weights / weights.sum()

    def prior(self):
        return {}


def decisions(arm_ids, rewards, propensities=None, eligible=None, set_ids=None, x=None, n_arms=2):
    n = len(arm_ids)
    return LoggedDecisions(
        np.array(arm_ids, dtype=np.int64),
        np.full(n, 1.0 / n_arms) if propensities is None else np.array(propensities),
        np.array(rewards, dtype=float),
        np.zeros(n, dtype=np.int64) if set_ids is None else np.array(set_ids),
        np.ones((1, n_arms), dtype=bool) if eligible is None else np.array(eligible, dtype=bool),
        None if x is None else np.column_stack([np.ones(n), x]),
    )


def random_log(rng, n, n_arms=3):
    """Three sets of eligible arms, of which one lacks an arm; x in [-1, 1]."""
    eligible = np.ones((3, n_arms), dtype=bool)
    eligible[1, 0] = False
    arm_ids = rng.integers(1, n_arms, n)
    set_ids, x = rng.integers(0, 3, n), rng.uniform(-1.0, 1.0, n)
    return decisions(
        arm_ids, rng.integers(0, 2, n), rng.uniform(0.1, 1.0, n), eligible, set_ids, x, n_arms
    )


def columns(judged: Judged):
    return np.array(
        [judged.target_propensities, judged.predicted_rewards, judged.target_predicted_rewards]
    )


@pytest.mark.parametrize(
    "policy",
    [ThompsonSampling.for_reward(REWARD), EpsilonGreedy(0.2), Exp3IX(), Proportional()],
    ids=lambda policy: type(policy).__name__,
)
def test_importance_weighting_is_unbiased_for_it(policy):
    """Over all logs of three decisions, two arms and 0/1 rewards, each with its probability.

    The behaviour policy changes: 0.5 for arm 0 at first, then 0.8 if its last decision had a reward and 0.3 if not.
    The expectation of the mean of w r, and of the doubly robust terms, is that of the target's true value along the
    log: sum over arms of target probability times mean.
    """
    means = np.array([0.3, 0.6])
    x = np.array([-0.5, 0.2, 0.9])
    ips, dr, truth = 0.0, 0.0, 0.0
    for arm_ids, rewards in product(product((0, 1), repeat=3), product((0, 1), repeat=3)):
        first = np.array([0.5, *np.where(np.array(rewards[:2]) == 1, 0.8, 0.3)])
        propensities = np.where(np.array(arm_ids) == 0, first, 1.0 - first)
        chance = propensities * np.where(rewards, means[list(arm_ids)], 1 - means[list(arm_ids)])
        log = decisions(arm_ids, rewards, propensities, x=x)
        judged = Replay(policy, 2).follow(log)
        weights = judged.target_propensities / propensities
        residuals = log.rewards - judged.predicted_rewards
        of_logged = judged.target_propensities
        of_arm_0 = np.where(log.arm_ids == 0, of_logged, 1.0 - of_logged)
        values = of_arm_0 * means[0] + (1.0 - of_arm_0) * means[1]
        ips += chance.prod() * (weights * log.rewards).mean()
        dr += chance.prod() * (judged.target_predicted_rewards + weights * residuals).mean()
        truth += chance.prod() * values.mean()

    assert (ips, dr) == pytest.approx((truth, truth), abs=1e-12)


def parameters(name):
    if name in CONTEXTUAL:
        return {"context_features": [{"name": "x", "type": "numeric", "min": -1, "max": 1}]}
    return {"horizon": 1000} if name == "finite_horizon_kl" else {}


@pytest.mark.parametrize("name", POLICIES)
def test_never_looks_ahead(rng, name):
    """For every policy: another reward of decision 150 changes nothing up to that decision."""
    log = random_log(rng, 200)
    policy = build_policy(PolicySpec(name, parameters(name)), REWARD)
    changed = replace(log, rewards=log.rewards.copy())
    changed.rewards[150] = 1.0 - changed.rewards[150]

    before = columns(Replay(policy, 3).follow(log))
    after = columns(Replay(policy, 3).follow(changed))

    np.testing.assert_array_equal(before[:, :151], after[:, :151])
    assert np.isfinite(before).all()


@pytest.mark.parametrize("policy", [ThompsonSampling.for_reward(REWARD), Proportional()])
def test_how_a_log_is_cut_changes_nothing(rng, policy):
    """In one piece, or in 21."""
    log = random_log(rng, 400)
    whole = columns(Replay(policy, 3).follow(log))
    in_parts = Replay(policy, 3)
    cuts = [0, *np.sort(rng.choice(np.arange(1, 400), 20, replace=False)), 400]
    parts = [columns(in_parts.follow(log.part(start, stop))) for start, stop in pairwise(cuts)]

    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-12)


def test_learns_from_all_earlier_decisions():
    """After (a: 1), (b: 0), (a: 1): pulls 2 and 1, rewards 2 and 0, weights 1/0.5 + 1/0.25 = 6 and 1/0.8 = 1.25."""
    policy = Seen()
    Replay(policy, 2).follow(decisions([0, 1, 0, 0], [1, 0, 1, 0], [0.5, 0.8, 0.25, 0.5]))

    last = policy.stats[-1]
    assert last.pulls.tolist() == [2.0, 1.0]
    assert last.reward_sum.tolist() == [2.0, 0.0]
    assert last.reward_sum_squares.tolist() == [2.0, 0.0]
    assert last.weight_sum == pytest.approx([6.0, 1.25])
    assert last.weighted_reward_sum == pytest.approx([6.0, 0.0])
    assert (last.n_decisions, last.batch_size) == (3.0, 1.0)


def test_adopts_statistics_as_the_log_grows():
    """After every decision up to 64, then with every 1/32: 64, 66, 68 …; each is told how many decisions it is for."""
    policy = Seen()
    Replay(policy, 2).follow(decisions([0] * 100, [1] * 100))

    adopted = [int(stats.n_decisions) for stats in policy.stats]
    assert adopted[: 2 * GROWTH + 1] == list(range(2 * GROWTH + 1))
    assert adopted[2 * GROWTH :] == [*range(64, 96, 2), 96, 99]
    assert [stats.batch_size for stats in policy.stats][-2:] == [3.0, 3.0]


def test_only_eligible_arms_share():
    """Even over two of three arms; the logged arm 0 was not among them, so its probability is 0.

    The model's value of the target is over those two: nothing known at first, then the mean 1 of the one reward.
    """
    log = decisions([0, 1], [1, 1], eligible=[[0, 1, 1]], n_arms=3)

    judged = Replay(Seen(), 3).follow(log)

    assert judged.target_propensities.tolist() == [0.0, 0.5]
    assert judged.target_predicted_rewards == pytest.approx([0.0, 1.0])


def test_the_running_mean_begins_with_one_decision_at_the_mean_of_all():
    """After (a: 1), (b: 0): mean of all 1/2; a: (1 + 1/2) / 2 = 3/4, b: 1/4, both half the time: 1/2."""
    judged = Replay(Seen(), 2).follow(decisions([0, 1, 1], [1, 0, 1]))

    assert judged.predicted_rewards == pytest.approx([0.0, 1.0, 0.25])
    assert judged.target_predicted_rewards == pytest.approx([0.0, 1.0, 0.5])


def test_implicit_exploration_is_in_the_weights_that_exp3_ix_learns_from():
    """gamma of the first decision is sqrt(ln 2 / 2) / 2 = 0.29435: the weight of arm 0 is 1 / (0.5 + gamma).

    Its loss of 1 counts so much; at t = 1 the rate is sqrt(ln 2 / 2) = 0.58871.
    """
    rate = 0.5887050112577373
    judged = Replay(Exp3IX(), 2).follow(decisions([0, 1], [0, 1]))

    of_arm_0 = np.exp(-rate / (0.5 + rate / 2))
    assert judged.target_propensities == pytest.approx([0.5, 1.0 / (1.0 + of_arm_0)])


def test_a_contextual_policy_decides_by_the_regression_of_earlier_decisions():
    """One reward of 1 for arm 0 at x = 1: the model itself, fitted to that, gives the next scores at x = 0.5."""
    policy = Proportional()
    log = decisions([0, 0], [1, 0], x=[1.0, 0.5])

    judged = Replay(policy, 2).follow(log)

    outer = np.array([[1.0, 1.0], [1.0, 1.0]])
    xtx = np.stack([outer, np.zeros((2, 2))])
    xty = np.array([[1.0, 1.0], [0.0, 0.0]])
    stats = LinearStats(xtx, xty, np.array([1.0, 0.0]), np.zeros((2, 2, 2)), 1.0)
    scores = LinearModel.fit(stats).scores(np.array([1.0, 0.5]))
    probabilities = policy.probabilities(scores)
    assert judged.target_propensities == pytest.approx([0.5, probabilities[0]])
    assert judged.predicted_rewards[1] == pytest.approx(scores.mean[0])
    assert judged.target_predicted_rewards[1] == pytest.approx(probabilities @ scores.mean)


def test_a_contextual_policy_looks_at_eligible_arms_alone():
    """The one eligible arm has probability 1; the logged one, which was not eligible, 0."""
    log = decisions([0, 2], [1, 1], eligible=[[0, 0, 1]], x=[0.1, 0.2], n_arms=3)

    assert Replay(Proportional(), 3).follow(log).target_propensities.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("policy", [Seen(), Proportional()])
def test_any_number_of_sets_of_arms(monkeypatch, policy):
    """More than are kept: all seven sets of three arms, in turn, with statistics that hardly ever change.

    Nothing is rewarded, so every vector is even over its set.
    """
    monkeypatch.setattr(replay, "MAX_CACHED_SETS", 2)
    monkeypatch.setattr(replay, "GROWTH", 1)
    eligible = (np.arange(1, 8)[:, None] >> np.arange(3)) & 1
    set_ids = np.tile(np.arange(7), 8)
    chosen = eligible.argmax(axis=1)[set_ids]
    log = decisions(chosen, np.zeros(56), None, eligible, set_ids, np.zeros(56), n_arms=3)

    judged = Replay(policy, 3).follow(log)

    assert judged.target_propensities == pytest.approx(1.0 / eligible.sum(axis=1)[set_ids])


def test_an_empty_log():
    """Nothing to judge."""
    assert columns(Replay(Seen(), 2).follow(decisions([], []))).shape == (3, 0)
