"""ucb1, kl_ucb and finite_horizon_kl: each by the formula of its paper, and what each refuses."""

import numpy as np
import pytest

from backend.domain import PolicySpec, RewardSpec, RewardType
from backend.errors import InvalidPolicy
from backend.inference.posteriors import NormalFamily, PooledNormalFamily
from backend.policies.finite_horizon_kl import (
    FiniteHorizonKL,
    RemainingTime,
    estimated_variances,
)
from backend.policies.kl_ucb import KLUCB
from backend.policies.registry import build_policy
from backend.policies.ucb1 import UCB1
from backend.statistics import ArmStats

BINARY = RewardSpec()
COUNT = RewardSpec(type=RewardType.COUNT, min=None, max=None)
CONTINUOUS = RewardSpec(type=RewardType.CONTINUOUS, min=-10.0, max=10.0, default_reward=None)
UNBOUNDED = RewardSpec(type=RewardType.CONTINUOUS, min=None, max=None, default_reward=None)


def stats(pulls, means, n_decisions=-1.0, square=None, **more):
    pulls, means = np.array(pulls, dtype=float), np.array(means, dtype=float)
    squares = pulls * (means if square is None else np.array(square, dtype=float))
    return ArmStats(pulls, pulls * means, squares, n_decisions=n_decisions, **more)


class TestUCB1:
    """mean + range * sqrt(2 ln t / n)"""

    @pytest.mark.parametrize(("second", "winner"), [(0.66, 0), (0.69, 1)])
    def test_takes_the_higher_bound(self, second, winner):
        """t = 1000, 2 ln t = 13.8155. Mean 0.5 after 100 pulls: 0.5 + sqrt(0.138155) = 0.8717.

        After 363 pulls sqrt(13.8155 / 363) = 0.1951: 0.66 is raised to 0.855, 0.69 to 0.885.
        """
        probabilities = UCB1.for_reward(BINARY).probabilities(
            stats([100, 363], [0.5, second], n_decisions=1000.0)
        )

        assert int(probabilities.argmax()) == winner

    def test_the_width_follows_the_range(self):
        """Rewards in [-10, 10] are rewards in [0, 1] times 20 minus 10: the same vector."""
        unit = stats([5, 9, 30], [0.3, 0.6, 0.5], batch_size=20.0)
        scaled = stats([5, 9, 30], [-4.0, 2.0, 0.0], batch_size=20.0)

        found = UCB1.for_reward(CONTINUOUS).probabilities(scaled)

        assert found == pytest.approx(UCB1.for_reward(BINARY).probabilities(unit), abs=1e-9)


class TestKLUCB:
    """The largest q with n * kl(m, q) <= ln t"""

    def test_brings_a_batch_down_to_one_index(self):
        """At q = 0.6 and t = 1000: n = ln 1000 / kl(m, q).

        kl(0.5, 0.6) = 0.5 ln(0.5 / 0.6) + 0.5 ln(0.5 / 0.4) = 0.0204110, n = 338.434;
        kl(0.3, 0.6) = 0.3 ln 0.5 + 0.7 ln(0.7 / 0.4) = 0.1837868, n = 37.586.
        From counts 300 and 30 that are 38.434 and 7.586 more. A batch draws means towards that of all arms; the sums
        are such that 0.5 and 0.3 come out of that, to 1e-4.
        """
        extra = np.array([38.434, 7.586])
        policy = KLUCB.for_reward(BINARY)
        plain = stats([300, 30], [0.5, 0.3], n_decisions=1000.0, batch_size=float(extra.sum()))
        drawn = (plain.pulls + 1.0) / plain.pulls
        overall = (plain.reward_sum.sum() + 0.5) / (plain.pulls.sum() + 1.0)
        undone = ArmStats(
            plain.pulls,
            plain.reward_sum * drawn - overall,
            plain.reward_sum_squares,
            n_decisions=1000.0,
            batch_size=plain.batch_size,
        )

        assert policy.probabilities(undone) == pytest.approx(extra / extra.sum(), abs=2e-3)

    def test_bounded_rewards_are_taken_as_shares_of_their_range(self):
        """-4, 2 and 0 of [-10, 10] are 0.3, 0.6 and 0.5 of it."""
        unit = stats([5, 9, 30], [0.3, 0.6, 0.5], batch_size=20.0)
        scaled = stats([5, 9, 30], [-4.0, 2.0, 0.0], batch_size=20.0)

        found = KLUCB.for_reward(CONTINUOUS).probabilities(scaled)

        assert found == pytest.approx(KLUCB.for_reward(BINARY).probabilities(unit), abs=1e-9)

    def test_counts_have_their_own_divergence(self):
        """t = 1000, ln t = 6.9078; index of mean 2 after 51: 2 (e^u - 1 - u) = 6.9078 / 51 gives u = 0.346, q = 2.83.

        Mean 2.6 after 200: 2.6 (e^u - 1 - u) = 6.9078 / 200, u = 0.159, q = 3.05, so the second leads; with mean 2.3
        its q is 2.3 e^0.169 = 2.72, and the first leads.
        """
        policy = KLUCB.for_reward(COUNT)

        leads = [
            int(policy.probabilities(stats([50, 200], [2.0, mean], n_decisions=1000.0)).argmax())
            for mean in (2.6, 2.3)
        ]

        assert leads == [1, 0]


class TestFiniteHorizonKL:
    """The largest q with n * d(m, q) <= z((T - t + 1) / (n sqrt(K)))"""

    def test_the_budget_by_hand(self):
        """100 / n for n = 200, 50, 100 / e and 100 / e^4: z = 0, ln 2, 1 and 4 - ln(4) / 2."""
        counts = np.array([200.0, 50.0, 100.0 / np.e, 100.0 / np.exp(4.0)])

        budget = RemainingTime(100.0).budget(counts)

        assert budget == pytest.approx([0.0, np.log(2.0), 1.0, 4.0 - np.log(4.0) / 2.0])

    @pytest.mark.parametrize("longest", [1e-3, 1.0, 7.0, 1e4, 1e12])
    def test_counts_are_the_inverse_of_the_budget(self, longest):
        """n * d = z(longest / n) for the n that belongs to d, from d of 1e-12 to 100."""
        distance = np.geomspace(1e-12, 100.0, 200)

        counts, _ = RemainingTime(longest).counts(distance)

        assert counts * distance == pytest.approx(RemainingTime(longest).budget(counts), rel=1e-9)

    def test_the_elasticity_is_the_derivative(self):
        """-d log n / d log d by central differences of 1e-5, on both sides of ln r = 1."""
        distance = np.array([1e-4, 1e-3, 0.1, 3.0])
        remaining = RemainingTime(500.0)

        up, down = (remaining.counts(distance * np.exp(step))[0] for step in (1e-5, -1e-5))

        assert remaining.counts(distance)[1] == pytest.approx(np.log(down / up) / 2e-5, rel=1e-6)

    def test_one_decision_remains_to_be_repaid_by_itself(self):
        """t is the number of the decision to be made: after 99 of 100 there is T - t + 1 = 1 left, r = 1 / 1.41 n < 1."""
        probabilities = FiniteHorizonKL.for_reward(BINARY, 100.0).probabilities(
            stats([98, 1], [0.5, 0.0])
        )

        assert probabilities.tolist() == [1.0, 0.0]

    def test_explores_less_as_time_runs_out(self):
        """The second arm's bound is the higher one for 9,800 more decisions, and no more for 100.

        With 9,800: r = 9800 / (20 sqrt 2) = 346, z = 5.85 - 0.88 = 4.97 > 20 kl(0.4, 0.7) = 3.84; and the first arm:
        r = 38.5, z = 3.0 < 180 kl(0.6, 0.7) = 3.9. So the bounds are above and below 0.7.
        With 100: z = 1.26 - 0.12 = 1.15 < 20 kl(0.4, 0.6) = 1.62, below the first one's mean.
        """
        early, late = (
            FiniteHorizonKL.for_reward(BINARY, 200.0 + left).probabilities(
                stats([180, 20], [0.6, 0.4])
            )
            for left in (9800.0, 100.0)
        )

        assert early.argmax() == 1
        assert late.argmax() == 0

    @pytest.mark.parametrize("reward", [BINARY, COUNT, CONTINUOUS, UNBOUNDED])
    def test_is_greedy_after_the_horizon(self, reward):
        """Nothing can be repaid any more; a new arm still gets its first decision."""
        policy = FiniteHorizonKL.for_reward(reward, 50.0)

        old = policy.probabilities(stats([100, 100], [0.4, 0.41], square=[0.5, 0.5]))
        new = policy.probabilities(stats([100, 0], [0.4, 0.0], square=[0.5, 0.5]))

        assert old.tolist() == [0.0, 1.0]
        assert new.tolist() == [0.0, 1.0]

    def test_the_unit_of_an_unbounded_reward_is_nothing(self):
        """Cents or thousands: the same vector, because the prior is taken from the data of all arms."""
        policy = FiniteHorizonKL.for_reward(UNBOUNDED, 10_000.0)
        data = stats([40, 50, 60], [1.1, 1.0, 1.2], square=[1.8, 2.0, 1.9])

        found = [
            policy.probabilities(
                ArmStats(data.pulls, data.reward_sum * unit, data.reward_sum_squares * unit**2)
            )
            for unit in (1e-4, 1.0, 1e5)
        ]

        assert found[0] == pytest.approx(found[1], abs=1e-6)
        assert found[2] == pytest.approx(found[1], abs=1e-6)

    def test_more_variable_rewards_are_explored_longer(self):
        """Equal counts; the first leads by 0.1; variances 1e-4 and 1 (squares 1.2101 and 2): the second may be better."""
        policy = FiniteHorizonKL.for_reward(UNBOUNDED, 10_000.0)

        calm = policy.probabilities(stats([400, 400], [1.1, 1.0], square=[1.2101, 1.0001]))
        wild = policy.probabilities(stats([400, 400], [1.1, 1.0], square=[1.2101, 2.0]))

        assert calm.argmax() == 0
        assert wild.argmax() == 1


class TestEstimatedVariances:
    """(2 * shared + spread) / (2 + n - 1), and the shared one alike over all arms"""

    def test_by_hand(self):
        """Rewards (1, 2, 3) and (5): spreads 2 and 0. Shared: (2 * 4 + 2) / (2 + 2) = 2.5.

        First: (2 * 2.5 + 2) / (2 + 2) = 1.75; second: (2 * 2.5 + 0) / (2 + 0) = 2.5.
        """
        found = estimated_variances(
            ArmStats(np.array([3.0, 1.0]), np.array([6.0, 5.0]), np.array([14.0, 25.0])), 4.0
        )

        assert found == pytest.approx([1.75, 2.5])

    def test_less_than_one_pull_has_no_spread(self):
        """0.3 of a reward of 1e6, as forgetting leaves it: spread 0, so only the two observations of 4 are left."""
        found = estimated_variances(
            ArmStats(np.array([0.3]), np.array([0.3e6]), np.array([0.3e12])), 4.0
        )

        assert found == pytest.approx([4.0])

    def test_constant_rewards_leave_a_variance(self):
        """1e7 rewards of 1e6 each on two arms: the prior's alone is left, and it is above 0."""
        pulls = np.array([1e7, 1e7])

        assert (estimated_variances(ArmStats(pulls, pulls * 1e6, pulls * 1e12), 1.0) > 0.0).all()


@pytest.mark.parametrize("name", ["ucb1", "kl_ucb", "finite_horizon_kl"])
def test_pending_decisions_stop_a_stampede(name):
    """One failure in one pull is so wide that it leads over one success in ten; with 500 pending the width is gone."""
    params = {"horizon": 20_000} if name == "finite_horizon_kl" else {}
    policy = build_policy(PolicySpec(name, params), BINARY)
    pulls, rewards = np.array([1.0, 10.0]), np.array([0.0, 1.0])

    before = policy.probabilities(ArmStats(pulls, rewards, rewards, n_decisions=5000.0))
    pending = np.array([500.0, 0.0])
    after = policy.probabilities(ArmStats(pulls, rewards, rewards, pending, n_decisions=5000.0))

    assert before.argmax() == 0
    assert after.argmax() == 1


@pytest.mark.parametrize(
    ("name", "reward", "message"),
    [
        ("ucb1", COUNT, "ucb1 needs rewards in a known range: .*; counts have none"),
        ("ucb1", UNBOUNDED, "ucb1 needs .*: give reward.min and reward.max"),
        ("kl_ucb", UNBOUNDED, "kl_ucb needs .*: give reward.min and reward.max"),
    ],
)
def test_rewards_without_a_range_are_refused(name, reward, message):
    """The message says what to do."""
    with pytest.raises(InvalidPolicy, match=message):
        build_policy(PolicySpec(name), reward)


@pytest.mark.parametrize("horizon", [0.0, -5.0, 1.1e12, float("inf"), float("nan"), 10**400])
def test_a_horizon_out_of_range_is_refused(horizon):
    """At least one decision, and a number that can be counted to."""
    with pytest.raises(InvalidPolicy, match=r"horizon, .*, must be in \[1, 1e\+12\]"):
        build_policy(PolicySpec("finite_horizon_kl", {"horizon": horizon}), BINARY)


def test_the_prior_of_continuous_rewards_follows_their_range():
    """As for Thompson sampling: middle 0 and a quarter of 20, squared."""
    policy = FiniteHorizonKL.for_reward(CONTINUOUS, 10.0)

    assert policy.continuous == PooledNormalFamily(NormalFamily(0.0, 25.0), has_range=True)
