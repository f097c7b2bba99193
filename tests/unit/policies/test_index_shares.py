"""How a batch is spread by indices: by hand, and against giving it away in small parts to the highest index."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from backend.policies.divergences import (
    BernoulliDivergence,
    GaussianDivergence,
    PoissonDivergence,
)
from backend.policies.finite_horizon_kl import RemainingTime
from backend.policies.index_shares import SharedBudget, first_pulls, index_shares
from backend.statistics import ArmStats


def floats(*values):
    return np.array(values, dtype=float)


def stats(counts, batch_size=1.0, pending=None):
    """Statistics whose rewards do not matter, because the divergence has the means."""
    pulls = floats(*counts)
    pending = np.zeros_like(pulls) if pending is None else floats(*pending)
    return ArmStats(pulls, pulls, pulls, pending=pending, batch_size=batch_size)


def gaussian(*means):
    return GaussianDivergence(floats(*means), np.ones(len(means)))


class TestByHand:
    """Gaussian arms with variance 1 and budget 2: an index m + 2 / sqrt(n), so n = 4 / (level - m)^2."""

    def test_equal_means_are_brought_to_equal_counts(self):
        """Counts 10 and 4, batch 8: both reach (10 + 4 + 8) / 2 = 11, so 1 and 7 of 8."""
        shares = index_shares(gaussian(0, 0), SharedBudget(2.0), stats([10, 4], 8.0))

        assert shares == pytest.approx([1 / 8, 7 / 8])

    def test_a_small_batch_goes_to_the_highest_index(self):
        """Counts 10 and 4, batch 6: the second needs all six to come down to the first."""
        shares = index_shares(gaussian(0, 0), SharedBudget(2.0), stats([10, 4], 6.0))

        assert shares == pytest.approx([0.0, 1.0], abs=1e-9)

    def test_different_means_are_brought_to_one_index(self):
        """At level 1.25: 4 / 1.25^2 = 2.56 of mean 0, 4 / 0.25^2 = 64 of mean 1. From 1 and 16: 1.56 and 48 more."""
        shares = index_shares(gaussian(0, 1), SharedBudget(2.0), stats([1, 16], 49.56))

        assert shares == pytest.approx([1.56 / 49.56, 48 / 49.56], abs=1e-8)

    def test_pending_decisions_count(self):
        """One pull and nine pending are a count of 10: as in the first example."""
        shares = index_shares(gaussian(0, 0), SharedBudget(2.0), stats([1, 4], 8.0, [9, 0]))

        assert shares == pytest.approx([1 / 8, 7 / 8])

    def test_first_pulls_come_first(self):
        """Counts 0, 0.5 and 9, batch 6, equal means: 1 + 0.5 first, then 2.25 each for the two at 1: 3.25, 2.75, 0."""
        shares = index_shares(gaussian(0, 0, 0), SharedBudget(2.0), stats([0, 0.5, 9], 6.0))

        assert shares == pytest.approx([3.25 / 6, 2.75 / 6, 0.0], abs=1e-9)

    def test_what_is_left_at_the_highest_mean_goes_to_it(self):
        """With z(20 / n), an arm is explored up to 20 pulls. Means 1, 1, 0; counts 18, 30, 30; batch 6.

        The first is raised by 2; the other 4 are shared by those with the highest mean: 4, 2 and 0 of 6.
        """
        shares = index_shares(gaussian(1, 1, 0), RemainingTime(20.0), stats([18, 30, 30], 6.0))

        assert shares == pytest.approx([4 / 6, 2 / 6, 0.0])


class TestFirstPulls:
    """Arms with less than one pull or pending decision."""

    def test_share_a_batch_that_is_too_small_in_proportion(self):
        """They lack 1, 0.5 and 0, and one decision is to be given: 2/3 and 1/3."""
        first, rest = first_pulls(stats([0, 0.5, 3]))

        assert first == pytest.approx([2 / 3, 1 / 3, 0.0])
        assert rest == 0.0

    def test_leave_the_rest(self):
        """They lack 1.5 of 10."""
        first, rest = first_pulls(stats([0, 0.5, 3], 10.0))

        assert first.tolist() == [1.0, 0.5, 0.0]
        assert rest == pytest.approx(8.5)

    def test_need_none_while_one_is_pending(self):
        """Three pending decisions, no outcome yet."""
        first, rest = first_pulls(stats([0, 3], pending=[3, 0]))

        assert first.tolist() == [0.0, 0.0]
        assert rest == 1.0


def bernoulli(mean, q):
    return special.rel_entr(mean, q) + special.rel_entr(1.0 - mean, 1.0 - q)


def poisson(mean, q):
    return special.kl_div(mean, q)


def index(formula, mean, highest, per_pull):
    """The largest q in [mean, highest] with ``formula(mean, q) <= per_pull``, by bisection."""
    if formula(mean, highest) <= per_pull:
        return highest
    return optimize.brentq(lambda q: formula(mean, q) - per_pull, mean, highest, xtol=1e-13)


def spread_in_parts(indices, counts, batch_size, n_parts):
    """Give a batch away part by part, each to the arm with the highest index at its count."""
    counts, given = counts.copy(), np.zeros_like(counts)
    for _ in range(n_parts):
        arm = int(np.argmax([of(count) for of, count in zip(indices, counts, strict=True)]))
        counts[arm] += batch_size / n_parts
        given[arm] += 1.0 / n_parts
    return given


def ln_budget(total):
    return lambda n: total / n


def horizon_budget(longest):
    """z(r) / n as the issue writes it."""

    def per_pull(n):
        r = longest / n
        if r <= 1.0:
            return 0.0
        z = np.log(r)
        return (z if z <= 1.0 else np.log(r / np.sqrt(z))) / n

    return per_pull


CASES = {
    "bernoulli": (BernoulliDivergence.around, bernoulli, 1.0 - 1e-13),
    "poisson": (PoissonDivergence.around, poisson, 1e3),
    "gaussian": (
        lambda m: GaussianDivergence(m, np.full(len(m), 0.5)),
        lambda m, q: (q - m) ** 2,
        1e3,
    ),
}
BUDGETS = {
    "ln t": (SharedBudget(3.0), ln_budget(3.0)),
    "horizon": (RemainingTime(60.0), horizon_budget(60.0)),
}


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("case", CASES)
@example(arms=[(0.25, 80), (0.05, 1)], batch_size=25.0)  # the second first, the rest to the first
@settings(max_examples=30, deadline=None)
@given(
    arms=st.lists(st.tuples(st.floats(0.05, 0.9), st.integers(1, 80)), min_size=2, max_size=4),
    batch_size=st.sampled_from([1.0, 25.0]),
)
def test_is_what_small_parts_to_the_highest_index_add_up_to(case, budget, arms, batch_size):
    """Indices by bisection, without any inverse. A part is 1/100 of the batch, and no arm is off by over two of them."""
    make, formula, highest = CASES[case]
    exploration, per_pull = BUDGETS[budget]
    means, counts = (floats(*column) for column in zip(*arms, strict=True))
    means += 1e-7 * np.arange(
        len(means)
    )  # ties of the highest mean share, while parts go to the first
    indices = [lambda n, m=m: index(formula, m, highest, per_pull(n)) for m in means]

    shares = index_shares(make(means), exploration, stats(counts, batch_size))

    expected = spread_in_parts(indices, counts, batch_size, 100)
    assert shares == pytest.approx(expected, abs=0.02)


def test_arms_that_never_failed_share():
    """Their indices are 1 at any count: nothing tells them apart, but both lead."""
    divergence = BernoulliDivergence.around(floats(1.0, 1.0, 0.5))

    shares = index_shares(divergence, SharedBudget(5.0), stats([30, 30, 30]))

    assert shares == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)


@pytest.mark.parametrize("exploration", [SharedBudget(16.0), RemainingTime(1e9)])
@pytest.mark.parametrize("make", [case[0] for case in CASES.values()], ids=CASES)
def test_a_thousand_mature_arms_are_brought_to_one_index(make, exploration):
    """Counts from 1 to 1e7 and a batch of 1e5: where an arm gets something, its divergence is the same as its budget.

    The level is found from the first such arm, and the counts of the others must agree with it to 1e-6 of the batch.
    """
    rng = np.random.default_rng(20240501)
    counts = np.floor(10.0 ** rng.uniform(0.0, 7.0, 1000))
    divergence = make(rng.uniform(0.3, 0.5, 1000))

    shares = index_shares(divergence, exploration, stats(counts, 1e5))

    raised = counts + 1e5 * shares
    top = int(shares.argmax())
    per_pull = exploration.budget(raised) / raised
    level = optimize.brentq(
        lambda level: divergence.at(level)[0][top] - per_pull[top],
        divergence.locations[top],
        divergence.locations[top] + 50.0,
        xtol=1e-15,
    )
    wanted, _ = exploration.counts(np.maximum(divergence.at(level)[0], 1e-300))
    assert 1e5 * shares == pytest.approx(np.maximum(wanted - counts, 0.0), abs=0.1)
