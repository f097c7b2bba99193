"""Weights of what was seen long ago."""

import numpy as np
import pytest

from backend.inference.forgetting import weights_by_age, weights_by_decisions


def test_after_one_half_life_a_decision_counts_half():
    """Ages of 0, 1 and 3 half-lives: 1, 1/2, 1/8; an age below 0 counts as 0."""
    weights = weights_by_age(np.array([-5.0, 0.0, 60.0, 180.0]), 60.0)

    assert weights.tolist() == [1.0, 1.0, 0.5, 0.125]


def test_decisions_of_one_at_a_time_are_halved_by_those_that_follow():
    """Half-life 2: the k-th from the end has the weight 2^(-k/2), as if sums were multiplied before each addition."""
    weights = weights_by_decisions(np.ones((5, 1)), 2.0)

    assert weights[:, 0] == pytest.approx(2.0 ** (-np.arange(5)[::-1] / 2.0))


def test_a_block_has_the_mean_weight_of_its_decisions():
    """Two blocks of 3 and 4 decisions, half-life 5: the mean of 2^(-k/5) over k = 4, 5, 6 and over k = 0, 1, 2, 3."""
    weights = weights_by_decisions(np.array([[3.0], [4.0]]), 5.0)

    expected = [np.mean(2.0 ** (-np.arange(4, 7) / 5)), np.mean(2.0 ** (-np.arange(4) / 5))]
    assert weights[:, 0] == pytest.approx(expected)


def test_an_arm_forgets_by_its_own_decisions_alone():
    """The first arm got nothing since, so its block counts in full whatever the other one got."""
    weights = weights_by_decisions(np.array([[1.0, 1.0], [0.0, 1e6]]), 10.0)

    assert weights[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("half_life", [1.0, 1e3, 1e9])
def test_stays_a_weight_however_many_decisions_there_are(half_life):
    """From none to 10^7 a block: in [0, 1], without overflow."""
    weights = weights_by_decisions(np.array([[1e7, 0.0, 1.0], [0.0, 0.0, 1e7]]), half_life)

    assert ((weights >= 0.0) & (weights <= 1.0)).all()


def test_the_sum_of_weights_is_the_memory():
    """In the long run a half-life of h remembers 1 / (1 - 2^(-1/h)) decisions, about h / ln 2: 144.8 for h = 100."""
    weights = weights_by_decisions(np.full((100, 1), 1000.0), 100.0)

    assert (1000.0 * weights).sum() == pytest.approx(1.0 / (1.0 - 2.0 ** (-1 / 100)))
