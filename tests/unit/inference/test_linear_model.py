"""The regressions of the arms: against hand calculations, plain linear algebra and laws."""

from dataclasses import replace

import numpy as np
import pytest

from backend.inference.linear_model import LinearModel, nearly_best
from backend.statistics import LinearStats


def stats_of(features, rewards, pending=None):
    """Features per arm, shape (n_rewards, n_features) each; rewards per arm; pending like features."""
    pending = [np.zeros((0, features[0].shape[1]))] * len(features) if pending is None else pending
    return LinearStats(
        xtx=np.array([x.T @ x for x in features]),
        xty=np.array([x.T @ y for x, y in zip(features, rewards, strict=True)]),
        reward_sum_squares=np.array([y @ y for y in rewards]),
        pending_xtx=np.array([x.T @ x for x in pending]),
        n_decisions=float(sum(len(x) for x in [*features, *pending])),
    )


def simulated(seed, sizes, n_features=4, noise=0.5):
    """Arms with these numbers of rewards, linear in contexts whose first entry is 1."""
    rng = np.random.default_rng(seed)
    features, rewards = [], []
    for size in sizes:
        x = rng.uniform(-1.0, 1.0, (size, n_features))
        x[:, 0] = 1.0
        features.append(x)
        rewards.append(x @ rng.normal(size=n_features) + noise * rng.normal(size=size))
    return features, rewards


CONTEXT = np.array([1.0, 0.3, -0.8, 0.5])


def test_with_the_intercept_alone_it_is_a_shrunken_mean():
    """Rewards 1, 2, 3 and 6: their mean is 3, and ridge 0.1 times 1.

    Arm 0: 3 + (6 - 9) / 3.1; arm 1: 3 + (6 - 3) / 1.1. Squares around 3: 4 + 1 + 0 + 9 = 14, of which
    9 / 3.1 + 9 / 1.1 are explained; the rest over 4 rewards is the variance.
    """
    stats = stats_of([np.ones((3, 1)), np.ones((1, 1))], [np.array([1.0, 2, 3]), np.array([6.0])])

    scores = LinearModel.fit(stats).scores(np.ones(1))

    variance = (14 - 9 / 3.1 - 9 / 1.1) / 4
    assert scores.mean == pytest.approx([3 - 3 / 3.1, 3 + 3 / 1.1])
    assert scores.standard_deviation == pytest.approx(np.sqrt(variance / np.array([3.1, 1.1])))
    assert scores.n_decisions == 4.0


def test_it_is_the_posterior_that_plain_linear_algebra_gives():
    """Each arm alone, by a dense inverse; the variance by the density of rewards, y' (I + X X' / ridge)^-1 y / n."""
    features, rewards = simulated(1, [30, 7, 2])
    everything = np.concatenate(features)
    ridge = 0.1 * (everything**2).sum() / len(everything)
    level = np.concatenate(rewards).mean()
    squares = sum(
        (y - level) @ np.linalg.inv(np.eye(len(y)) + x @ x.T / ridge) @ (y - level)
        for x, y in zip(features, rewards, strict=True)
    )
    residual_sd = np.sqrt(squares / len(everything))

    model = LinearModel.fit(stats_of(features, rewards))
    scores = model.scores(CONTEXT)

    for arm, (x, y) in enumerate(zip(features, rewards, strict=True)):
        inverse = np.linalg.inv(x.T @ x + ridge * np.eye(4))
        mean = level + CONTEXT @ inverse @ x.T @ (y - level)
        assert scores.mean[arm] == pytest.approx(mean)
        deviation = residual_sd * np.sqrt(CONTEXT @ inverse @ CONTEXT)
        assert scores.standard_deviation[arm] == pytest.approx(deviation)


def test_the_residual_standard_deviation_is_learned():
    """Noise 0.5 and 4 x 2000 rewards: the standard error of the estimate is 0.5 / sqrt(2 x 8000) = 0.004."""
    features, rewards = simulated(2, [2000] * 4)

    model = LinearModel.fit(stats_of(features, rewards))

    everything = np.concatenate(features)
    ridge = 0.1 * (everything**2).sum() / len(everything)
    assert model.prior_sd * np.sqrt(ridge) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("shift", "scale"), [(1000.0, 1.0), (0.0, 1000.0), (-3.0, 1e-3)])
def test_shifted_and_scaled_rewards_shift_and_scale_the_scores(shift, scale):
    """scale * y + shift: means alike, standard deviations by scale."""
    features, rewards = simulated(3, [20, 5, 0])
    changed = [scale * y + shift for y in rewards]

    before = LinearModel.fit(stats_of(features, rewards)).scores(CONTEXT)
    after = LinearModel.fit(stats_of(features, changed)).scores(CONTEXT)

    assert after.mean == pytest.approx(scale * before.mean + shift, rel=1e-9)
    assert after.standard_deviation == pytest.approx(scale * before.standard_deviation, rel=1e-6)


def test_an_arm_without_data_is_believed_to_bring_the_mean_of_all_rewards():
    """In a typical context, 10 residual variances wide: its standard deviation is sqrt(10) = 3.16 residual ones."""
    features, rewards = simulated(4, [400, 400, 0])
    typical = np.sqrt((np.concatenate(features) ** 2).mean(axis=0))

    scores = LinearModel.fit(stats_of(features, rewards)).scores(typical)

    assert scores.mean[2] == pytest.approx(np.concatenate(rewards).mean())
    assert scores.standard_deviation[2] == pytest.approx(np.sqrt(10) * 0.5, rel=0.1)


def test_pending_decisions_narrow_without_moving():
    """As if 50 more rewards of arm 1 had come just as predicted: its width falls, no mean changes.

    The ridge follows the mean square of all contexts, so it is kept the same by contexts of 1 and -1.
    """
    rng = np.random.default_rng(5)
    features = [rng.choice([-1.0, 1.0], (size, 4)) for size in (30, 10)]
    for x in features:
        x[:, 0] = 1.0
    rewards = [rng.normal(size=30), rng.normal(size=10)]
    pending = [features[0][:0], np.tile(features[0][:25], (2, 1))]

    before = LinearModel.fit(stats_of(features, rewards)).scores(CONTEXT)
    after = LinearModel.fit(stats_of(features, rewards, pending)).scores(CONTEXT)

    assert after.mean == pytest.approx(before.mean)
    assert after.standard_deviation[0] == pytest.approx(before.standard_deviation[0])
    assert after.standard_deviation[1] < 0.7 * before.standard_deviation[1]


@pytest.mark.parametrize("n_pending", [0, 9])
def test_without_rewards_nothing_is_infinite(n_pending):
    """All means are 0, all widths positive; equal while nothing is pending."""
    pending = [np.ones((n_pending, 4)), np.ones((0, 4))]
    stats = stats_of([np.zeros((0, 4))] * 2, [np.zeros(0)] * 2, pending)

    scores = LinearModel.fit(stats).scores(CONTEXT)

    assert scores.mean.tolist() == [0.0, 0.0]
    assert (scores.standard_deviation > 0.0).all()
    assert (scores.standard_deviation[0] < scores.standard_deviation[1]) == (n_pending > 0)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_rewards_that_are_all_alike_leave_some_width(value):
    """No residual at all: every mean is that reward, every width above 0 and below a millionth of it."""
    features, rewards = simulated(6, [20, 3, 0])
    rewards = [np.full_like(y, value) for y in rewards]

    scores = LinearModel.fit(stats_of(features, rewards)).scores(CONTEXT)

    assert scores.mean == pytest.approx(np.full(3, value))
    assert (scores.standard_deviation > 0.0).all()
    assert value == 0.0 or (scores.standard_deviation < 1e-6 * value).all()


def test_selected_arms_keep_their_scores():
    """Arms 0 and 2 of three, as they were among all."""
    model = LinearModel.fit(stats_of(*simulated(7, [9, 8, 7])))
    mask = np.array([True, False, True])

    chosen, everyone = model.select(mask).scores(CONTEXT), model.scores(CONTEXT)

    assert chosen.mean == pytest.approx(everyone.mean[mask])
    assert chosen.standard_deviation == pytest.approx(everyone.standard_deviation[mask])


def test_new_arms_have_the_prior():
    """As if they had been there without data when the model was fitted; fewer arms than there are change nothing."""
    features, rewards = simulated(8, [40, 30, 0, 0])
    fitted = LinearModel.fit(stats_of(features, rewards)).scores(CONTEXT)
    before = LinearModel.fit(stats_of(features[:2], rewards[:2]))

    after = before.with_new_arms(4)

    assert after.n_arms == 4
    assert after.scores(CONTEXT).mean == pytest.approx(fitted.mean)
    assert after.scores(CONTEXT).standard_deviation == pytest.approx(fitted.standard_deviation)
    assert after.with_new_arms(3) is after


def test_bytes_bring_the_same_model_back():
    """Bit for bit; 3 numbers and, for 2 arms of 4 features, 2 x (4 + 10) more, of 8 bytes."""
    model = LinearModel.fit(stats_of(*simulated(9, [12, 5]))).with_new_arms(2)

    data = model.to_bytes()
    back = LinearModel.from_bytes(data, 4)

    assert len(data) == 8 * (3 + 2 * 14)
    assert np.array_equal(back.coefficients, model.coefficients)
    assert np.array_equal(back.spread, model.spread)
    assert (back.level, back.prior_sd) == (model.level, model.prior_sd)
    assert back.scores(CONTEXT).to_array() == model.scores(CONTEXT).to_array()


def test_bytes_of_another_shape_are_refused():
    """31 numbers are no model of 5 features, of which each arm has 5 + 15."""
    data = LinearModel.fit(stats_of(*simulated(9, [12, 5]))).to_bytes()

    with pytest.raises(ValueError, match="no linear model of 5 features has 31 numbers"):
        LinearModel.from_bytes(data, 5)


def test_the_nearly_best_differ_by_rounding_only():
    """A billionth of a standard deviation is rounding; a millionth is not; nor is 1e-12 relative to what it is."""
    index = np.array([1.0, 1.0 - 1e-14, 1.0 - 1e-6, 0.0])

    assert nearly_best(index, np.full(4, 1e-3)).tolist() == [True, True, False, False]
    assert nearly_best(1e9 * index, np.full(4, 1e-3)).tolist() == [True, True, False, False]
    assert nearly_best(index, np.full(4, 2e3)).tolist() == [True, True, True, False]


def test_statistics_are_left_alone():
    """Fitting writes nothing into what it reads."""
    stats = stats_of(*simulated(10, [12, 5]))
    before = replace(stats, xtx=stats.xtx.copy(), xty=stats.xty.copy())

    LinearModel.fit(stats)

    assert np.array_equal(stats.xtx, before.xtx)
    assert np.array_equal(stats.xty, before.xty)
