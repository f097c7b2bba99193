"""Thompson sampling, calculated by hand."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as distributions

from backend.domain import RewardSpec, RewardType
from backend.inference.posteriors import NormalFamily
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
    """Prior of the range 0 to 1: mean 1/2, variance (1/4)^2 = 1/16, worth one observation.

    One reward of 1: mean (0.5 + 1) / 2 = 0.75, variance (2/16 + 0 + 0.25/2) / 3 = 1/12, over weight 2: 1/24. The
    other arm stays at mean 0.5 and variance 1/16. P(better) = Phi(0.25 / sqrt(1/24 + 1/16)) = Phi(0.774597).
    """
    policy = ThompsonSampling.for_reward(CONTINUOUS)

    probabilities = policy.probabilities(stats([1, 0], [1, 0], [1, 0]))

    assert probabilities == pytest.approx([0.780711, 0.219289], abs=1e-6)


@pytest.mark.parametrize(
    ("reward", "prior"),
    [
        (RewardSpec(), {"family": "beta", "alpha": 1.0, "beta": 1.0}),
        (RewardSpec(type=RewardType.COUNT), {"family": "gamma", "shape": 1.0, "rate": 1.0}),
        (CONTINUOUS, {"family": "normal", "mean": 0.5, "variance": 0.0625, "weight": 1.0}),
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
    """Rewards of 0 and 1 as numbers: the normal posterior is the one that ``NormalFamily`` documents."""
    data = stats(pulls, pulls * level)
    posterior = NormalFamily.for_range(0.0, 1.0).posterior(data)
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
