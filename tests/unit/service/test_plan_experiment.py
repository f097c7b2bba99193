"""The planner's process: one at a time, in time, without secrets, and never left behind."""

from __future__ import annotations

import sys

import pytest

from backend.domain import RewardType
from backend.errors import PlannerBusy, PlanTooSlow
from backend.policies.simulation.scenario import AssumedArm, Scenario, assumed_reward
from backend.service.plan_experiment import PlanExperiment
from tests.polling import eventually

SCENARIO = Scenario(
    (AssumedArm("a", 0.1), AssumedArm("b", 0.2)),
    assumed_reward(RewardType.BINARY),
    decisions_per_day=100,
    max_days=1,
    n_runs=10,
)
WAITS = "import time; print('{\"progress\": 0.1}', flush=True); time.sleep(60)"


def planner(program, **options):
    """A use case whose planner is this Python program."""
    return PlanExperiment((sys.executable, "-c", program), **options)


def test_tells_progress_then_the_result():
    """Of the real planner: ten runs, ten lines."""
    plan = PlanExperiment().start(SCENARIO)
    events = list(plan.events())
    plan.close()

    assert [event.get("progress") for event in events[:-1]] == [i / 10 for i in range(1, 11)]
    assert events[-1]["result"]["best_arm_key"] == "b"


def test_one_at_a_time():
    """The next may start when the first has ended, however it ended."""
    plans = planner(WAITS)
    first = plans.start(SCENARIO)

    with pytest.raises(PlannerBusy):
        plans.start(SCENARIO)
    first.close()
    plans.start(SCENARIO).close()


def test_closing_ends_the_process():
    """Also twice."""
    plan = planner(WAITS).start(SCENARIO)
    assert next(plan.events()) == {"progress": 0.1}
    assert plan.is_running()

    plan.close()
    plan.close()

    assert not plan.is_running()


def test_too_slow_is_ended():
    """After its time, not after the minute that the program wants."""
    plan = planner(WAITS, time_limit_s=0.3).start(SCENARIO)

    with pytest.raises(PlanTooSlow, match="ask for fewer runs or arms"):
        list(plan.events())
    assert eventually(lambda: not plan.is_running())
    plan.close()


def test_nobody_reads_and_still_it_ends():
    """The time limit needs no reader."""
    plan = planner(WAITS, time_limit_s=0.3).start(SCENARIO)

    assert eventually(lambda: not plan.is_running())
    plan.close()


@pytest.mark.parametrize("program", ["raise SystemExit(3)", "import sys; sys.stdin.close()"])
def test_a_planner_without_a_result_has_failed(program):
    """Whether it reads its scenario or not."""
    plan = planner(program).start(SCENARIO)

    with pytest.raises(RuntimeError, match="and no result"):
        list(plan.events())
    plan.close()


def test_the_planner_gets_no_secrets(monkeypatch):
    """Only what a Python needs to start, whatever we hold."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("BANDSTAND_ADMIN_KEY", "secret")
    shows = "import json, os; print(json.dumps({'result': dict(os.environ)}))"

    plan = planner(shows).start(SCENARIO)
    ((_, environment),) = (event for shown in plan.events() for event in shown.items())
    plan.close()

    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment.keys() <= {
        *("PATH", "LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS"),
        *("LC_CTYPE", "__CF_USER_TEXT_ENCODING"),  # Python and macOS add these by themselves
    }
