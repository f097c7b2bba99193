"""Lift over the control, by hand."""

import numpy as np
import pytest

from backend.inference.lift import lift_over_control

NAN = np.nan


def floats(*values):
    return np.array(values, dtype=np.float64)


def test_by_hand():
    """Control 0.10 in [0.08, 0.125], arm 0.12 in [0.10, 0.15]: 0.10 / 0.125 - 1 = -0.2, 0.15 / 0.08 - 1 = 0.875."""
    lift = lift_over_control(floats(0.10, 0.12), floats([0.08, 0.125], [0.10, 0.15]), 0)

    assert lift.relative == pytest.approx([0.0, 0.2])
    assert lift.relative_interval == pytest.approx(floats([0, 0], [-0.2, 0.875]))
    assert lift.absolute == pytest.approx([0.0, 0.02])
    assert lift.absolute_interval == pytest.approx(floats([0, 0], [-0.025, 0.07]))


def test_an_arm_that_may_be_negative():
    """Control in [1, 2], arm in [-3, -1]: -3 / 1 - 1 = -4 and -1 / 2 - 1 = -1.5."""
    lift = lift_over_control(floats(1.5, -2), floats([1, 2], [-3, -1]), 0)

    assert lift.relative_interval[1] == pytest.approx([-4.0, -1.5])


@pytest.mark.parametrize("low", [0.0, -0.1, NAN])
def test_no_relative_lift_over_a_control_that_may_be_zero(low):
    lift = lift_over_control(floats(0.2, 0.1), floats([0.1, 0.3], [low, 0.2]), 1)

    assert np.isnan([lift.relative[0], *lift.relative_interval[0]]).all()
    assert lift.absolute[0] == pytest.approx(0.1)
    assert lift.relative[1] == 0.0


def test_an_arm_without_data():
    lift = lift_over_control(floats(0.1, NAN), floats([0.08, 0.125], [NAN, NAN]), 0)

    assert np.isnan([lift.relative[1], *lift.relative_interval[1], lift.absolute[1]]).all()
