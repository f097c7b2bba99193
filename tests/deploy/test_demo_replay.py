"""The demo's pace, and what it asks of the service; a stand-in answers in the service's place."""

from random import Random
from typing import Any

import pytest

from deploy_cli.demo.experiment import ensure_running, replayed
from deploy_cli.demo.pools import Pools
from deploy_cli.demo.replay import Replay, batches
from deploy_cli.demo.tally import Tally
from deploy_cli.demo.trial import ARMS, EXPERIMENT_KEY
from deploy_cli.errors import ApiRefused, DemoRefused


class Clock:
    """Time that passes only while somebody sleeps; the ``stalls`` add to single sleeps."""

    def __init__(self, stalls: dict[int, float] | None = None) -> None:
        self.now = 100.0
        self._n_sleeps = 0
        self._stalls = stalls or {}

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self._stalls.get(self._n_sleeps, 0.0)
        self._n_sleeps += 1


class ServiceStandIn:
    """Gives every unit the last eligible arm, and keeps what it was asked."""

    def __init__(self, reason: str = "policy", reward_status: str = "recorded") -> None:
        self.decisions: list[dict[str, Any]] = []
        self.rewards: list[dict[str, Any]] = []
        self._reason = reason
        self._reward_status = reward_status

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/decisions:batch":
            return {"results": [self._decide(asked) for asked in body["decisions"]]}
        self.rewards += body["rewards"]
        return {"results": [{"status": self._reward_status} for _ in body["rewards"]]}

    def _decide(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.decisions.append(asked)
        decision_id = f"decision-{len(self.decisions)}"
        arm_key = asked["eligible_arms"][-1]
        decision = {"decision_id": decision_id, "arm_key": arm_key, "reason": self._reason}
        return {"status": 201, "decision": decision}


def left(arm_key: str, n_people: int) -> tuple[int, int]:
    """What has to be replayed already so that ``n_people`` non-voters are left in the arm."""
    arm = next(arm for arm in ARMS if arm.key == arm_key)
    return (arm.people - n_people, arm.voters)


@pytest.mark.parametrize("rate", [1, 3, 10, 100, 9_999])
def test_people_come_at_the_rate_and_as_many_as_asked(rate):
    """Three seconds' worth of people take three seconds, to one tick of 0.1 s."""
    clock = Clock()

    sizes = list(batches(rate, 3 * rate, clock=clock, sleep=clock.sleep))

    assert sum(sizes) == 3 * rate
    assert clock.now - 100.0 == pytest.approx(3.0, abs=0.1001)


def test_about_ten_batches_a_second():
    clock = Clock()

    assert len(list(batches(100, 1_000, clock=clock, sleep=clock.sleep))) in range(99, 102)


def test_a_long_stall_is_not_caught_up():
    """60 s at 100 a second would be 6,000 people due; the schedule begins anew instead."""
    clock = Clock(stalls={5: 60.0})

    sizes = list(batches(100, 1_000, clock=clock, sleep=clock.sleep))

    assert set(sizes) == {10}
    assert clock.now - 100.0 == pytest.approx(70.0, abs=0.2)


def test_a_batch_stays_within_the_api():
    clock = Clock()

    assert max(batches(10_000, 50_000, clock=clock, sleep=clock.sleep)) <= 1_000


def test_everybody_decided_is_rewarded_by_the_trials_outcome():
    service = ServiceStandIn()
    replay = Replay(service, Pools({}), Random(1), n_replayed=7)

    outcomes = replay.send(20)

    assert [asked["unit_id"] for asked in service.decisions[:2]] == [
        "person-000007",
        "person-000008",
    ]
    assert {asked["experiment_key"] for asked in service.decisions} == {EXPERIMENT_KEY}
    assert [reward["decision_id"] for reward in service.rewards] == [
        f"decision-{number}" for number in range(1, 21)
    ]
    assert [voted for _, voted in outcomes] == [reward["reward"] for reward in service.rewards]
    assert replay.pools.people_left() == 344_084 - 20


def test_a_used_up_arm_is_offered_no_more():
    """3 people are left in Neighbors, the arm that the stand-in always takes; then comes Self."""
    service = ServiceStandIn()
    replay = Replay(service, Pools({"neighbors": left("neighbors", 3)}), Random(2), n_replayed=0)

    outcomes = replay.send(10)

    assert [arm_key for arm_key, _ in outcomes] == ["neighbors"] * 3 + ["self"] * 7
    assert "neighbors" not in service.decisions[-1]["eligible_arms"]


def test_it_ends_when_everybody_is_used_up():
    before = {arm.key: left(arm.key, 0) for arm in ARMS} | {"control": left("control", 2)}
    replay = Replay(ServiceStandIn(), Pools(before), Random(3), n_replayed=0)

    assert replay.send(10) == [("control", 0), ("control", 0)]
    assert replay.send(10) == []


def test_a_pause_in_the_middle_is_said():
    replay = Replay(ServiceStandIn(reason="paused"), Pools({}), Random(4), n_replayed=0)

    with pytest.raises(DemoRefused, match="was paused"):
        replay.send(1)


def test_a_refused_decision_is_said():
    service = ServiceStandIn()
    service._decide = lambda _asked: {"status": 409, "problem": {"title": "Stopped"}}
    replay = Replay(service, Pools({}), Random(5), n_replayed=0)

    with pytest.raises(DemoRefused, match="refuses decisions: Stopped"):
        replay.send(1)


def test_a_refused_reward_is_said():
    replay = Replay(ServiceStandIn(reward_status="late"), Pools({}), Random(6), n_replayed=0)

    with pytest.raises(DemoRefused, match="`late`"):
        replay.send(1)


class ExperimentStandIn:
    """Holds one experiment in a given status; None: no experiment yet."""

    def __init__(self, status: str | None, arms: tuple[str, ...] = ()) -> None:
        self._status = status
        self._arms = arms or tuple(arm.key for arm in ARMS)
        self.posted: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        if path.endswith("/results"):
            arm = {"arm_key": "self", "decisions": 5, "rewards": 4, "reward_sum": 2.0}
            return {"arms": [arm]}
        if self._status is None:
            raise ApiRefused("no such experiment", 404)
        return self._shown()

    def post(self, path: str, _body: dict[str, Any] | None = None) -> dict[str, Any]:
        self.posted.append(path)
        self._status = "running" if path.endswith("/start") else "draft"
        return self._shown()

    def _shown(self) -> dict[str, Any]:
        return {"status": self._status, "arms": [{"key": key} for key in self._arms]}


@pytest.mark.parametrize(
    ("status", "posted"),
    [
        (None, ["/experiments", "/experiments/get-out-the-vote/start"]),
        ("draft", ["/experiments/get-out-the-vote/start"]),
        ("running", []),
    ],
)
def test_the_experiment_is_created_and_started_once(status, posted):
    api = ExperimentStandIn(status)

    ensure_running(api)

    assert api.posted == posted


@pytest.mark.parametrize("status", ["paused", "stopped"])
def test_what_a_person_halted_is_not_started_again(status):
    with pytest.raises(DemoRefused, match=f"is {status}"):
        ensure_running(ExperimentStandIn(status))


def test_somebody_elses_experiment_is_left_alone():
    with pytest.raises(DemoRefused, match="has other arms"):
        ensure_running(ExperimentStandIn("running", ("red", "blue")))


def test_progress_is_read_from_the_service():
    assert replayed(ExperimentStandIn("running")) == {"self": (5, 2)}


def test_tally_shows_shares_of_the_last_thousand_and_totals_of_the_run():
    """500 controls, then 1,000 neighbors of whom every fourth voted."""
    tally = Tally()
    for _ in range(500):
        tally.add("control", 0)
    for number in range(1_000):
        tally.add("neighbors", int(number % 4 == 0))

    assert tally.recent_shares()["neighbors"] == 1.0
    assert tally.rows()[0] == ("Control", "500", "33.3%", "0.0%")
    assert tally.rows()[1] == ("Civic Duty", "0", "0.0%", "-")
    assert tally.rows()[4] == ("Neighbors", "1,000", "66.7%", "25.0%")
