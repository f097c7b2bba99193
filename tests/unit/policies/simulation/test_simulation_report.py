"""The planner's summary, by hand."""

import numpy as np
import pytest

from backend.domain import RewardType
from backend.policies.simulation.report import mean_with_interval, report, wilson_interval
from backend.policies.simulation.run import Run
from backend.policies.simulation.scenario import AssumedArm, Scenario, assumed_reward

DAY_S = 86_400.0


def scenario_of(*means, n_runs=4):
    """100 decisions a day for four days, updated daily."""
    arms = tuple(AssumedArm(chr(ord("a") + i), mean) for i, mean in enumerate(means))
    return Scenario(
        arms,
        assumed_reward(RewardType.BINARY),
        decisions_per_day=100,
        max_days=4,
        n_runs=n_runs,
        update_interval_s=DAY_S,
    )


def run_of(scenario, share, decided_in=None, winner=None):
    """Always gives the first of two arms this share."""
    vectors = np.tile([share, 1.0 - share], (4, 1))
    return Run(vectors, np.cumsum(100 * vectors @ scenario.gaps()), decided_in, winner)


def report_of(scenario, runs):
    """Beside even splits that are never decided."""
    return report(scenario, scenario.schedule(), runs, [run_of(scenario, 0.5) for _ in runs])


def test_wilson_by_hand():
    """z^2 = 3.8415. 0 of 10: [0, z^2 / (10 + z^2)] = [0, 0.2775]; 5 of 10: 0.5 -+ 0.5 / sqrt(1 + z^2 / 10) / ... = 0.2634."""
    assert wilson_interval(0, 10) == pytest.approx([0.0, 0.2775], abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx([0.7225, 1.0], abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx([0.2366, 0.7634], abs=1e-4)


def test_an_interval_of_a_mean_by_hand():
    """1, 2, 3: mean 2, standard error 1 / sqrt(3), and t with two degrees 4.3027: 2 -+ 2.4842."""
    found = mean_with_interval(np.array([1.0, 2.0, 3.0]))

    assert found["mean"] == 2.0
    assert found["interval"] == pytest.approx([-0.4842, 4.4842], abs=1e-4)


def test_times_and_winners_by_hand():
    """Four runs: decided on days 1 (right), 2 (wrong), 4 (right), and never.

    A tenth of the runs is decided by day 1 (the first), half by day 2, nine tenths never.
    """
    scenario = scenario_of(0.2, 0.1)
    runs = [
        run_of(scenario, 0.9, decided_in=0, winner=0),
        run_of(scenario, 0.9, decided_in=1, winner=1),
        run_of(scenario, 0.9, decided_in=3, winner=0),
        run_of(scenario, 0.9),
    ]

    found = report_of(scenario, runs)

    time, wrong = found["time_to_decision"], found["wrong_winner"]
    assert time["share_decided"] == 0.75
    assert time["median_days"] == 2.0
    assert time["quantiles_days"] == {"0.1": 1.0, "0.5": 2.0, "0.9": None}
    assert time["even_split"]["median_days"] is None
    assert (wrong["probability"], wrong["share_undecided"]) == (0.25, 0.25)
    assert wrong["even_split"] == {
        "probability": 0.0,
        "interval": pytest.approx(wilson_interval(0, 4)),
        "share_undecided": 1.0,
    }
    assert [point["share_decided"] for point in found["curves"]] == [0.25, 0.5, 0.5, 0.75]


def test_regret_by_hand():
    """Gap 0.1: the even split loses 0.05 x 400 = 20, one with 10% for the worse arm 0.01 x 400 = 4.

    Stopped on day 1 for the better arm it loses 1; on day 2 for the worse one 2 + 200 x 0.1 = 22; mean 11.5.
    """
    scenario = scenario_of(0.2, 0.1, n_runs=2)
    runs = [
        run_of(scenario, 0.9, decided_in=0, winner=0),
        run_of(scenario, 0.9, decided_in=1, winner=1),
    ]

    found = report_of(scenario, runs)

    regret, stopped = found["regret"], found["regret_with_stopping"]
    assert regret["policy"]["mean"] == pytest.approx(4.0)
    assert regret["even_split"]["mean"] == pytest.approx(20.0)
    assert regret["saved"]["mean"] == pytest.approx(16.0)
    assert regret["relative_saved"] == pytest.approx(0.8)
    assert stopped["policy"]["mean"] == pytest.approx(11.5)
    assert stopped["even_split"]["mean"] == pytest.approx(20.0)
    assert found["curves"][1] == {
        "day": 2.0,
        "allocation": pytest.approx({"a": 0.9, "b": 0.1}),
        "regret_policy": pytest.approx(2.0),
        "regret_even_split": pytest.approx(10.0),
        "share_decided": 1.0,
        "share_decided_even_split": 0.0,
    }


def test_among_equal_arms_no_winner_is_wrong():
    """And there is nothing to lose, so no share of it to save."""
    scenario = scenario_of(0.1, 0.1)
    runs = [run_of(scenario, 0.5, decided_in=0, winner=i % 2) for i in range(4)]

    found = report_of(scenario, runs)

    assert found["wrong_winner"]["probability"] == 0.0
    assert found["regret"]["relative_saved"] is None
    assert found["best_arm_key"] == "a"
    assert found["notes"] == [
        "a and b have the same, highest mean: none of them is a wrong winner."
    ]


def test_a_near_tie_is_said():
    """0.1995 is within 1% of 0.2."""
    (note,) = report_of(scenario_of(0.2, 0.1995), [run_of(scenario_of(0.2, 0.1995), 0.5)] * 4)[
        "notes"
    ]

    assert note.startswith("b: within 1% of the best arm.")


def test_means_that_nothing_can_be_decided_about_are_said():
    """The highest is 0."""
    scenario = scenario_of(0.0, 0.0)

    *_, note = report_of(scenario, [run_of(scenario, 0.5)] * 4)["notes"]

    assert note.startswith("No mean is above 0")
