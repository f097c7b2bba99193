"""Guardrails: which arms are named."""

import numpy as np
import pytest

from backend.domain import Direction, Guardrail
from backend.inference.guardrails import breaches


def floats(*values):
    return np.array(values, dtype=np.float64)


ERRORS = Guardrail("errors", 0.02)
RETURNS = Guardrail("returns", 0.5, Direction.BELOW)


def test_an_error_rate_above_the_threshold():
    """10,000 values each: 4% is 0.02 / sqrt(0.04 * 0.96 / 1e4) = 10 standard errors above 2%, 2.2% is 1.4."""
    found = breaches(ERRORS, np.full(3, 1e4), floats(400, 220, 100), floats(400, 220, 100))

    assert found.tolist() == [True, False, False]


def test_below_is_bad():
    """The same numbers, mirrored."""
    found = breaches(RETURNS, np.full(2, 1e4), floats(4000, 5500), floats(4000, 5500))

    assert found.tolist() == [True, False]


def test_few_values_name_nobody():
    """99 errors in 99 decisions are below the minimum of 100."""
    assert breaches(ERRORS, floats(99), floats(99), floats(99)).tolist() == [False]
    assert breaches(ERRORS, floats(100), floats(100), floats(100)).tolist() == [True]


def test_no_data():
    assert breaches(ERRORS, np.zeros(2), np.zeros(2), np.zeros(2)).tolist() == [False, False]


def test_rare_values_that_have_not_come_yet_prove_nothing():
    """100 zeros have probability 0.98^100 = 13% at a rate of 2%; 10,000 have 1e-88."""
    guardrail = Guardrail("conversions", 0.02, Direction.BELOW)

    assert not breaches(guardrail, floats(100), floats(0), floats(0))[0]
    assert breaches(guardrail, floats(1e4), floats(0), floats(0))[0]


def test_zeros_are_measured_by_what_other_arms_have_shown():
    """Values of 50 in the second arm: 1,000 zeros do not exclude a mean of 0.02 (one in 2,500), but 1e6 do."""
    guardrail = Guardrail("revenue", 0.02, Direction.BELOW)
    total, squares = floats(0, 5e4), floats(0, 2.5e6)

    assert not breaches(guardrail, floats(1e3, 1e3), total, squares)[0]
    assert breaches(guardrail, floats(1e6, 1e3), total, squares)[0]


def test_a_thousand_arms_share_the_risk():
    """4.5 standard errors above the threshold name a lone arm, but not one of a thousand.

    With n rho^2 = 79 the bound is sqrt(2 (80 / 79) (ln(80) / 2 + ln 20)) = 3.2 estimated standard errors wide, and 5.0
    with n rho^2 = 229 and ln 20,000; the errors are estimated 14% larger than at the threshold.
    """
    n, rate = 1e4, 0.02
    total = n * rate + 4.5 * np.sqrt(n * rate * (1 - rate))

    assert breaches(ERRORS, floats(n), floats(total), floats(total))[0]
    assert not breaches(ERRORS, np.full(1000, n), np.full(1000, total), np.full(1000, total)).any()


@pytest.mark.parametrize("direction", Direction)
def test_huge_counts_give_no_warning(direction):
    """Means at the threshold, ten million values of 1e9 +/- 1e3."""
    n, mean = 1e7, 1e9
    guardrail = Guardrail("cents", mean, direction)

    assert not breaches(guardrail, floats(n), floats(n * mean), floats(n * (mean**2 + 1e6)))[0]
