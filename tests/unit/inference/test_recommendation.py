"""Which advice is given, and that its words claim no more than is shown."""

from dataclasses import replace

import numpy as np
import pytest

from backend.domain import Status
from backend.inference.recommendation import Action, Evidence, recommend
from backend.inference.sample_ratio import SampleRatio
from backend.inference.value_remaining import ValueRemaining


def floats(*values):
    return np.array(values, dtype=np.float64)


OPEN = Evidence(
    status=Status.RUNNING,
    arm_keys=("a", "b"),
    pulls=floats(1000, 1000),
    means=floats(0.10, 0.11),
    probability_best=floats(0.2, 0.8),
    expected_loss=floats(0.012, 0.002),
    value_remaining=ValueRemaining(0.95, 0.0066, 0.06),
    confidence_sequence=floats([0.08, 0.13], [0.09, 0.14]),
    joint_sequence=floats([0.07, 0.14], [0.08, 0.15]),
)
SETTLED = replace(OPEN, value_remaining=ValueRemaining(0.95, 0.0005, 0.0045))
WON = replace(OPEN, joint_sequence=floats([0.07, 0.10], [0.11, 0.15]))
ALIKE = replace(SETTLED, expected_loss=floats(0.001, 0.0002))


def test_another_arm_may_still_be_better():
    advice = recommend(OPEN)

    assert (advice.action, advice.arm_key) == (Action.KEEP_RUNNING, None)
    assert "'b' is best with probability 80.0%" in advice.reason
    assert "6.00%" in advice.reason


def test_shipping_at_a_bounded_loss_claims_no_winner():
    """Value remaining of 0.45% is below 1%; the intervals overlap, and both are shown."""
    advice = recommend(SETTLED)

    assert (advice.action, advice.arm_key) == (Action.SHIP, "b")
    assert "at most 0.45%" in advice.reason
    assert "bounds the loss, not the chance of a false discovery" in advice.reason
    assert "not shown that 'b' is the better arm" in advice.reason
    assert "'b' in [0.09, 0.14], 'a' in [0.08, 0.13]" in advice.reason


def test_nothing_remaining_is_said_so():
    advice = recommend(replace(SETTLED, value_remaining=ValueRemaining(0.95, 0.0, 0.0)))

    assert "gives away nothing" in advice.reason


def test_a_winner_is_claimed_when_intervals_are_apart():
    advice = recommend(WON)

    assert (advice.action, advice.arm_key) == (Action.SHIP, "b")
    assert "better than every other arm" in advice.reason
    assert "all others below 0.1" in advice.reason


def test_the_joint_intervals_decide():
    """Each arm's own 95% may be apart while those that hold together are not."""
    apart = replace(SETTLED, confidence_sequence=floats([0.08, 0.10], [0.11, 0.14]))

    assert "not shown" in recommend(apart).reason


@pytest.mark.parametrize(
    "joint", [floats([np.nan, np.nan], [0.11, 0.15]), np.full((2, 2), np.nan)], ids=["one", "both"]
)
def test_unknown_bounds_prove_nothing(joint):
    assert recommend(replace(OPEN, joint_sequence=joint)).action is Action.KEEP_RUNNING


def test_unknown_intervals_are_called_so():
    advice = recommend(replace(SETTLED, confidence_sequence=np.full((2, 2), np.nan)))

    assert "No interval that is valid at every look can be given yet" in advice.reason


def test_with_a_context_nobody_wins_for_everybody():
    """Even where the intervals are apart: they are of different units."""
    joint = np.array([[0.1, 0.2], [0.3, 0.4]])
    evidence = replace(SETTLED, joint_sequence=joint)

    assert recommend(evidence).action is Action.SHIP
    assert recommend(replace(evidence, is_contextual=True)).action is Action.KEEP_RUNNING


def test_arms_alike_have_no_winner():
    """Both lose less than 1% of 0.11: 0.001 is 0.91%."""
    advice = recommend(ALIKE)

    assert (advice.action, advice.arm_key) == (Action.STOP, None)
    assert "practically alike" in advice.reason
    assert "0.91%" in advice.reason
    assert "neither a winner" in advice.reason


def test_a_mean_that_may_be_negative():
    advice = recommend(replace(OPEN, value_remaining=ValueRemaining(0.95, 0.5, None)))

    assert advice.action is Action.KEEP_RUNNING
    assert "by 0.5 (95% bound)" in advice.reason


def test_data_that_contradict_the_log_come_first():
    advice = recommend(replace(WON, sample_ratio=SampleRatio(1e-6, mismatch=True)))

    assert (advice.action, advice.arm_key) == (Action.CHECK_DATA, None)
    assert "1e-06" in advice.reason
    assert (
        recommend(replace(WON, sample_ratio=SampleRatio(1.0, mismatch=False))).action is Action.SHIP
    )


def test_too_few_decisions():
    """Whatever the rest says; 49 are fewer than 50."""
    advice = recommend(replace(WON, pulls=floats(49, 1000)))

    assert (advice.action, advice.arm_key) == (Action.KEEP_RUNNING, None)
    assert "1 of 2 arms" in advice.reason
    assert "'a' has 49" in advice.reason


def test_a_draft_has_no_data():
    advice = recommend(replace(OPEN, status=Status.DRAFT))

    assert advice.action is Action.KEEP_RUNNING
    assert "has not started" in advice.reason


def test_one_arm_is_no_comparison():
    lone = Evidence(
        Status.RUNNING,
        ("a",),
        floats(1000),
        floats(0.1),
        floats(1),
        floats(0),
        ValueRemaining(0.95, 0.0, 0.0),
        floats([0.08, 0.13]),
        floats([0.08, 0.13]),
    )

    assert "Only 'a' is in play" in recommend(lone).reason


def test_a_paused_experiment_learns_nothing():
    advice = recommend(replace(OPEN, status=Status.PAUSED))

    assert advice.action is Action.KEEP_RUNNING
    assert "paused" in advice.reason
    assert recommend(replace(WON, status=Status.PAUSED)).action is Action.SHIP


def test_a_stopped_experiment_cannot_keep_running():
    advice = recommend(replace(OPEN, status=Status.STOPPED))

    assert (advice.action, advice.arm_key) == (Action.STOP, None)
    assert "single out no arm" in advice.reason
    assert recommend(replace(WON, status=Status.STOPPED)).arm_key == "b"


def test_an_arm_that_breaks_a_guardrail_is_not_shipped():
    advice = recommend(replace(WON, breached={"b": ("errors", "latency")}))

    assert (advice.action, advice.arm_key) == (Action.KEEP_RUNNING, None)
    assert "'b' breaks the guardrail on 'errors', 'latency'" in advice.reason
    assert recommend(replace(WON, breached={"a": ("errors",)})).action is Action.SHIP


@pytest.mark.parametrize("evidence", [OPEN, SETTLED, WON, ALIKE])
def test_no_naive_p_value_is_ever_shown(evidence):
    reason = recommend(evidence).reason

    assert "significant" not in reason
    assert "p =" not in reason
