"""Thompson sampling, calculated by hand."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as distributions

from backend.domain import RewardSpec, RewardType
from backend.inference.posteriors import PooledNormalFamily
from backend.policies.thompson_sampling import ThompsonSampling
from backend.statistics import ArmStats

CONTINUOUS = RewardSpec(type=RewardType.CONTINUOUS, min=0.0, max=1.0)


def stats(pulls, reward_sum, reward_sum_squares=None):
    total = np.array(reward_sum, dtype=float)
    squares = total if reward_sum_squares is None else np.array(reward_sum_squares, dtype=float)
    return ArmStats(np.array(pulls, dtype=float), total, squares)


def test_one_success_against_one_failure():
    """P(Beta(2,1) > Beta(1,2)): integral of 2x * (1 - (1-x)^2) over (0, 1) = 4/3 - 1/2 = 5/6."""
    policy = ThompsonSampling.for_reward(RewardSpec())

    assert policy.probabilities(stats([1, 1], [1, 0])) == pytest.approx([5 / 6, 1 / 6], abs=1e-9)


def test_one_success_against_no_data():
    """P(Beta(2,1) > Beta(1,1)): integral of 2x * x over (0, 1) = 2/3."""
    policy = ThompsonSampling.for_reward(RewardSpec())

    assert policy.probabilities(stats([1, 0], [1, 0])) == pytest.approx([2 / 3, 1 / 3], abs=1e-9)


def test_counts_against_no_data():
    """P(Gamma(2, rate 2) > Gamma(1, rate 1)) = 5/9.

    One pull with a count of 1 makes the prior Gamma(1, 1) a Gamma(2, 2): the time of the second of two events that
    come at rate 2. The other arm is one event at rate 1. Each next event is of the first arm with probability 2/3,
    so both of its events come before the other one with (2/3)^2 = 4/9; else it is the larger.
    """
    policy = ThompsonSampling.for_reward(RewardSpec(type=RewardType.COUNT))

    assert policy.probabilities(stats([1, 0], [1, 0])) == pytest.approx([5 / 9, 4 / 9], abs=1e-9)


def test_continuous_rewards_against_no_data():
    """Rewards 2, 4 and none: pooled mean 3, variance 10 - 9 = 1, worth one observation.

    The first arm: mean (3 + 6) / 3 = 3, variance (2 + 2 + 0) / 4 = 1, over weight 3: 1/3; the other one keeps mean 3. So
    it is even. Of rewards 2, 4 and one of 0: pooled mean 2, variance 20/3 - 4 = 8/3; means (2 + 6) / 3 = 8/3 and
    (2 + 0) / 2 = 1; variances (16/3 + 2 + 2/3) / 4 / 3 = 2/3 and (16/3 + 0 + 2) / 3 / 2 = 11/9. P(better) =
    Phi((5/3) / sqrt(2/3 + 11/9)) = Phi(1.212678).
    """
    policy = ThompsonSampling.for_reward(CONTINUOUS)

    even = policy.probabilities(stats([2, 0], [6, 0], [20, 0]))
    assert even == pytest.approx([0.5, 0.5], abs=1e-6)
    probabilities = policy.probabilities(stats([2, 1], [6, 0], [20, 0]))

    assert probabilities == pytest.approx([0.887374, 0.112626], abs=1e-6)


@pytest.mark.parametrize(
    ("reward", "prior"),
    [
        (RewardSpec(), {"family": "beta", "alpha": 1.0, "beta": 1.0}),
        (RewardSpec(type=RewardType.COUNT), {"family": "gamma", "shape": 1.0, "rate": 1.0}),
        (CONTINUOUS, PooledNormalFamily.for_range(0.0, 1.0).prior()),
    ],
)
def test_its_prior_follows_the_reward(reward, prior):
    """Conjugate to the reward; the continuous one is centred in the range, with a quarter of it as deviation."""
    assert ThompsonSampling.for_reward(reward).prior() == prior


def integrated(posterior, arm):
    """P(``arm`` best): its density times the others' distribution functions, by adaptive integration.

    Args:
        posterior: a SciPy distribution whose parameters have shape (n_arms,).
    """
    is_other = np.arange(len(posterior.mean())) != arm
    mean, deviation = posterior.mean(), posterior.std()
    low, high = posterior.ppf(1e-13).max(), posterior.isf(1e-13).max()
    steps = np.array([-8, -5, -3, -1.5, 0, 1.5, 3, 5, 8])
    bends = np.concatenate([mean[arm] + deviation[arm] * steps, np.linspace(low, high, 12)])
    edges = np.unique(np.clip(bends, low, high))

    def density_and_others_below(x):
        return posterior.pdf(x)[arm] * np.prod(posterior.cdf(x)[is_other])

    pieces = [
        integrate.quad(density_and_others_below, start, end, epsabs=1e-9, epsrel=1e-6)[0]
        for start, end in pairwise(edges)
    ]
    return sum(pieces)


def binary(pulls, level):
    successes = np.floor(pulls * level)
    posterior = distributions.beta(1.0 + successes, 1.0 + pulls - successes)
    return RewardSpec(), stats(pulls, successes), posterior


def count(pulls, level):
    total = np.floor(3.0 * pulls * level)
    posterior = distributions.gamma(1.0 + total, scale=1.0 / (1.0 + pulls))
    reward = RewardSpec(type=RewardType.COUNT, min=None, max=None)
    return reward, stats(pulls, total, 3.0 * total), posterior


def continuous(pulls, level):
    """Rewards of 0 and 1 as numbers: the normal posterior is the one that ``PooledNormalFamily`` documents."""
    data = stats(pulls, pulls * level)
    posterior = PooledNormalFamily.for_range(0.0, 1.0).posterior(data)
    return CONTINUOUS, data, distributions.norm(posterior.mean(), posterior.standard_deviation)


@pytest.mark.parametrize("most", [0.0, 1.0, 3.0, 7.0], ids=["0", "10", "1e3", "1e7"])
@pytest.mark.parametrize("n_arms", [2, 10, 100, 1000])
@pytest.mark.parametrize("kind", [binary, count, continuous])
def test_agrees_with_direct_integration_to_a_millionth(kind, n_arms, most):
    """From no data to 1e7 pulls, with a fresh arm beside them: the likeliest arm, the tenth (or last) and the fresh one."""
    rng = np.random.default_rng(20240501)
    pulls = np.floor(10.0 ** rng.uniform(0.0, most, n_arms)) * (most > 0.0)
    pulls[0] = 0.0
    reward, data, posterior = kind(pulls, rng.uniform(0.45, 0.5, n_arms))

    probabilities = ThompsonSampling.for_reward(reward).probabilities(data)

    ranked = np.argsort(probabilities)[::-1]
    for arm in {0, int(ranked[0]), int(ranked[min(9, n_arms - 1)])}:
        assert probabilities[arm] == pytest.approx(integrated(posterior, arm), abs=1e-6)


class TestPending:
    """Decisions whose outcome is on its way."""

    def test_they_narrow_as_if_they_had_brought_what_is_expected(self):
        """300 of 1,000; a new arm with 60 pending, believed to bring 0.3: as 18 of 60."""
        policy = ThompsonSampling.for_reward(RewardSpec())

        waiting = policy.probabilities(
            ArmStats(*np.array([[1000.0, 0.0], [300, 0], [300, 0]]), pending=np.array([0.0, 60.0]))
        )

        assert waiting == pytest.approx(
            policy.probabilities(stats([1000, 60], [300, 18])), abs=1e-9
        )

    def test_a_new_arm_does_not_get_everybody_until_its_first_outcome(self):
        """200 of 10,000 against a uniform prior is 0.02 to 0.98; with 500 pending it is about even, and stays fair."""
        policy = ThompsonSampling.for_reward(RewardSpec())
        known = np.array([[10_000.0, 0.0], [200, 0], [200, 0]])

        fresh = policy.probabilities(ArmStats(*known))
        waiting = policy.probabilities(ArmStats(*known, pending=np.array([0.0, 500.0])))

        assert fresh[1] > 0.95
        assert 0.3 < waiting[1] < 0.6

    def test_before_any_outcome_nothing_is_expected(self):
        """However unevenly the pending decisions are spread."""
        policy = ThompsonSampling.for_reward(RewardSpec())

        found = policy.probabilities(ArmStats(*np.zeros((3, 3)), pending=np.array([9.0, 0, 1])))

        assert found == pytest.approx(np.full(3, 1 / 3), abs=1e-9)
