"""Rewards: exactly once, in whatever order, and as if never sent when taken back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.http.context import EXTENSION
from tests.conftest import ADMIN_KEY, Api
from tests.polling import eventually

SESSIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'bandstand'
"""
UNKNOWN_ID = "01990000-0000-7000-8000-000000000000"


def after(decision, seconds):
    """A time so many seconds after the decision."""
    decided_at = datetime.fromisoformat(decision["decided_at"])
    return (decided_at + timedelta(seconds=seconds)).isoformat()


def send(api, *rewards):
    answer = api.post("/rewards", {"rewards": list(rewards)})
    assert answer.status_code == 200, answer.text
    return answer.json["results"]


def sums(api, arm_key, key="test"):
    """(rewards, reward_sum) of an arm."""
    arm = api.arm(arm_key, key)
    return arm["rewards"], arm["reward_sum"]


class TestExactlyOnce:
    """Sending the same reward again changes nothing."""

    def test_a_reward_is_recorded(self, api):
        """And counted for the arm of its decision."""
        api.running()
        decision = api.decide()

        result = api.reward(decision["decision_id"], 1)

        assert result == {"decision_id": decision["decision_id"], "status": "recorded"}
        assert sums(api, decision["arm_key"]) == (1, 1.0)

    @pytest.mark.parametrize("aggregation", ["first", "last", "sum"])
    def test_the_same_again_is_a_duplicate(self, api, aggregation):
        """Three times in requests of its own, twice in one: counted once, whatever the aggregation."""
        api.running(reward={"aggregation": aggregation})
        decision = api.decide()
        reward = {"decision_id": decision["decision_id"], "reward": 1}

        statuses = [send(api, reward)[0]["status"] for _ in range(3)]
        statuses += [result["status"] for result in send(api, reward, reward)]

        assert statuses == ["recorded", *["duplicate"] * 4]
        assert sums(api, decision["arm_key"]) == (1, 1.0)

    def test_twins_in_one_request(self, api):
        """The first one counts."""
        api.running()
        decision = api.decide()
        reward = {"decision_id": decision["decision_id"], "reward": 1}

        statuses = [result["status"] for result in send(api, reward, reward)]

        assert statuses == ["recorded", "duplicate"]
        assert sums(api, decision["arm_key"]) == (1, 1.0)

    def test_sent_by_many_at_once(self, api, app, other_api, other_app, differences):
        """Sixteen threads of two workers send the same ten rewards: each is recorded by one of them."""
        api.running(reward={"type": "continuous", "aggregation": "sum"})
        decisions = [api.decide(unit_id=f"u{i}", eligible_arms=["a"]) for i in range(10)]
        rewards = [{"decision_id": d["decision_id"], "reward": 0.5} for d in decisions]

        def work(i):
            caller = Api((app, other_app)[i % 2].test_client(), ADMIN_KEY)
            return [result["status"] for result in send(caller, *rewards[:: (-1) ** i])]

        with ThreadPoolExecutor(16) as pool:
            statuses = [status for found in pool.map(work, range(16)) for status in found]

        assert statuses.count("recorded") == 10
        assert statuses.count("duplicate") == 150
        assert sums(api, "a") == (10, 5.0)
        assert differences() == []

    def test_writers_that_settle_the_same_rewards_never_block_each_other(
        self, api, app, other_app, query
    ):
        """The rewards of 20 decisions, sent again forwards and backwards by two workers: PostgreSQL broke no deadlock."""
        api.running(reward={"type": "count", "aggregation": "last"})
        decisions = [api.decide(unit_id=f"u{i}") for i in range(20)]
        send(api, *({"decision_id": d["decision_id"], "reward": 1} for d in decisions))

        def work(i):
            caller = Api((app, other_app)[i % 2].test_client(), ADMIN_KEY)
            for _ in range(5):
                send(
                    caller,
                    *(
                        {"decision_id": d["decision_id"], "reward": 1}
                        for d in decisions[:: (-1) ** i]
                    ),
                )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))

        for worker in (app, other_app):
            worker.extensions[EXTENSION].stop()  # a session's counts are complete when it has ended
        eventually(lambda: not query(SESSIONS))
        found = query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert found == [{"deadlocks": 0}]


ARRIVALS = [(3, 40), (5, 10), (0, 20), (5, 30), (2, 10)]
"""(reward, seconds after the decision). By time: 2 and 5 at 10, 0 at 20, 5 at 30, 3 at 40; equal times by value."""
EXPECTED = {"first": 2.0, "last": 3.0, "sum": 15.0}


@pytest.fixture
def counting(api):
    """Three experiments that differ in how they aggregate, each to serve many examples."""
    for aggregation in EXPECTED:
        api.running(aggregation, reward={"type": "count", "aggregation": aggregation})
    return api


class TestAnyOrder:
    """What counts follows from the times of occurrence, not from the order of arrival."""

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        order=st.permutations(range(len(ARRIVALS))),
        repeated=st.lists(st.integers(0, len(ARRIVALS) - 1), max_size=5),
        cut=st.integers(0, 10),
    )
    def test_any_permutation_and_duplication_gives_the_same(self, counting, order, repeated, cut):
        """Five rewards in any order, some again, in two requests: each aggregation gives its EXPECTED value."""
        for aggregation, value in EXPECTED.items():
            before = counting.get(f"/experiments/{aggregation}/results").json["totals"]
            decision = counting.decide(aggregation)
            rewards = [
                {
                    "decision_id": decision["decision_id"],
                    "reward": ARRIVALS[i][0],
                    "occurred_at": after(decision, ARRIVALS[i][1]),
                }
                for i in [*order, *repeated]
            ]
            for part in (rewards[:cut], rewards[cut:]):
                if part:
                    send(counting, *part)

            totals = counting.get(f"/experiments/{aggregation}/results").json["totals"]
            assert totals["rewards"] - before["rewards"] == 1
            assert totals["reward_sum"] - before["reward_sum"] == value

    def test_the_sums_agree_with_the_log(self, counting, differences):
        """The rebuild has its own idea of the order, in SQL: it comes to the same."""
        for aggregation in EXPECTED:
            for shift in range(len(ARRIVALS)):
                decision = counting.decide(aggregation, f"u{shift}")
                for reward, seconds in ARRIVALS[shift:] + ARRIVALS[:shift]:
                    counting.reward(
                        decision["decision_id"], reward, occurred_at=after(decision, seconds)
                    )

        assert differences() == []

    def test_another_reward_that_does_not_count_says_so(self, api):
        """Of binary rewards the first counts: a later 0 is stored and changes nothing."""
        api.running()
        decision = api.decide()
        api.reward(decision["decision_id"], 1, occurred_at=after(decision, 1))

        result = api.reward(decision["decision_id"], 0, occurred_at=after(decision, 2))

        assert result["status"] == "duplicate"
        assert "stays 1" in result["detail"]
        assert sums(api, decision["arm_key"]) == (1, 1.0)
        assert len(api.get(f"/decisions/{decision['decision_id']}").json["rewards"]) == 2


class TestRefused:
    """What cannot be a reward, without spoiling those around it."""

    def test_a_bad_element_spoils_nothing(self, api):
        """Seven elements, in order; the first and the last are good."""
        api.running()
        one, two = api.decide(unit_id="1"), api.decide(unit_id="2")

        results = send(
            api,
            {"decision_id": one["decision_id"], "reward": 1},
            {"decision_id": UNKNOWN_ID, "reward": 1},
            {"decision_id": "x", "reward": 1},
            {"decision_id": one["decision_id"]},
            {"decision_id": one["decision_id"], "reward": 0.5},
            7,
            {"decision_id": two["decision_id"], "reward": 1},
        )

        assert [result["status"] for result in results] == [
            "recorded",
            "unknown_decision",
            "invalid",
            "invalid",
            "invalid",
            "invalid",
            "recorded",
        ]
        assert results[2]["decision_id"] == "x"
        assert all(result["detail"] for result in results[1:6])
        assert api.get("/experiments/test/results").json["totals"]["rewards"] == 2

    @pytest.mark.parametrize(
        ("spec", "value", "status"),
        [
            ({"type": "binary"}, 2, "invalid"),
            ({"type": "binary"}, True, "invalid"),
            ({"type": "binary"}, "1", "invalid"),
            ({"type": "count"}, 1.5, "invalid"),
            ({"type": "count"}, -1, "invalid"),
            ({"type": "count"}, 1000, "recorded"),
            ({"type": "continuous", "min": -1, "max": 5}, 5.01, "invalid"),
            ({"type": "continuous", "min": -1, "max": 5}, -1.01, "invalid"),
            ({"type": "continuous", "min": -1, "max": 5}, -1, "recorded"),
            ({"type": "continuous", "min": None, "max": None}, -1e15, "recorded"),
            ({"type": "continuous"}, 12.5, "recorded"),
            ({"type": "continuous", "min": None, "max": None}, 1e16, "invalid"),
        ],
    )
    def test_the_kind_of_reward_decides(self, shared_api, key, spec, value, status):
        """Type, min and max."""
        shared_api.running(key, reward=spec)
        decision = shared_api.decide(key)

        assert shared_api.reward(decision["decision_id"], value)["status"] == status

    @pytest.mark.parametrize("seconds", [-3600, 3600])
    def test_a_clock_that_is_an_hour_off_is_refused(self, shared_api, key, seconds):
        """A reward an hour before its decision, or an hour from now."""
        shared_api.running(key)
        decision = shared_api.decide(key)

        result = shared_api.reward(decision["decision_id"], 1, occurred_at=after(decision, seconds))

        assert result["status"] == "invalid"

    @pytest.mark.parametrize("seconds", [-60, 60])
    def test_a_clock_that_is_a_minute_off_is_not(self, shared_api, key, seconds):
        """Five minutes are tolerated either way."""
        shared_api.running(key)
        decision = shared_api.decide(key)

        result = shared_api.reward(decision["decision_id"], 1, occurred_at=after(decision, seconds))

        assert result["status"] == "recorded"

    @pytest.mark.parametrize("n", [0, 1001])
    def test_has_one_to_a_thousand_elements(self, shared_api, n):
        """422 for the request as a whole."""
        rewards = [{"decision_id": UNKNOWN_ID, "reward": 1}] * n

        assert shared_api.post("/rewards", {"rewards": rewards}).status_code == 422


class TestLate:
    """After the attribution window: stored, not learned from."""

    def test_a_late_reward_is_stored_and_not_counted(self, api, differences):
        """The window is 60 s, the reward came after 61."""
        api.running(reward={"attribution_window_s": 60})
        decision = api.decide()

        result = api.reward(decision["decision_id"], 1, occurred_at=after(decision, 61))

        assert result["status"] == "late"
        assert sums(api, decision["arm_key"]) == (0, 0.0)
        (reward,) = api.get(f"/decisions/{decision['decision_id']}").json["rewards"]
        assert (reward["reward"], reward["is_late"]) == (1.0, True)
        assert differences() == []

    def test_the_end_of_the_window_is_inside(self, api):
        """Exactly 60 s after the decision."""
        api.running(reward={"attribution_window_s": 60})
        decision = api.decide()

        result = api.reward(decision["decision_id"], 1, occurred_at=after(decision, 60))

        assert result["status"] == "recorded"

    def test_a_late_one_does_not_block_one_in_time(self, api, differences):
        """It arrives first, and the other one still counts."""
        api.running(reward={"attribution_window_s": 60})
        decision = api.decide()
        api.reward(decision["decision_id"], 1, occurred_at=after(decision, 61))

        result = api.reward(decision["decision_id"], 1, occurred_at=after(decision, 1))

        assert result["status"] == "recorded"
        assert sums(api, decision["arm_key"]) == (1, 1.0)
        assert differences() == []


class TestSecondaryMetrics:
    """Guardrails: kept and summed, not learned from."""

    def test_have_their_own_sums(self, api, differences):
        """Any finite value, apart from the primary metric; the timeseries shows them."""
        api.running()
        decision = api.decide()

        primary = api.reward(decision["decision_id"], 1)
        latency = api.reward(decision["decision_id"], 123.5, metric="latency_ms")

        assert (primary["status"], latency["status"]) == ("recorded", "recorded")
        assert sums(api, decision["arm_key"]) == (1, 1.0)
        series = api.get("/experiments/test/timeseries?metric=latency_ms").json["items"]
        assert [(point["rewards"], point["reward_sum"]) for point in series] == [(1, 123.5)]
        assert series[0]["decisions"] == 1
        assert differences() == []

    @pytest.mark.parametrize("metric", ["null", "true", "nan"])
    def test_may_have_any_name_that_is_a_key(self, shared_api, key, metric):
        """Also one that means something to PostgreSQL."""
        shared_api.running(key)
        decision = shared_api.decide(key)

        assert shared_api.reward(decision["decision_id"], 1, metric=metric)["status"] == "recorded"
        (reward,) = shared_api.get(f"/decisions/{decision['decision_id']}").json["rewards"]
        assert reward["metric"] == metric

    def test_a_name_that_is_no_key_is_invalid(self, api):
        """Names of metrics are keys."""
        api.running()

        assert api.reward(api.decide()["decision_id"], 1, metric="A b")["status"] == "invalid"


class TestRetraction:
    """DELETE /rewards/{decision_id}"""

    @pytest.mark.parametrize("aggregation", ["first", "last", "sum"])
    def test_the_sums_are_as_if_it_had_never_come(self, api, differences, aggregation):
        """Two rewards of one decision, both taken back; another decision's stays."""
        api.running(reward={"type": "count", "aggregation": aggregation})
        one, two = (api.decide(unit_id=u, eligible_arms=["a"]) for u in "12")
        api.reward(two["decision_id"], 7)
        api.reward(one["decision_id"], 3, occurred_at=after(one, 1))
        api.reward(one["decision_id"], 4, occurred_at=after(one, 2))

        answer = api.delete(f"/rewards/{one['decision_id']}")

        assert answer.status_code == 204
        assert sums(api, "a") == (1, 7.0)
        assert differences() == []

    def test_can_be_sent_again(self, api, differences):
        """The same reward counts again after its retraction, once."""
        api.running()
        decision = api.decide()
        api.reward(decision["decision_id"], 1)
        api.delete(f"/rewards/{decision['decision_id']}")

        again = api.reward(decision["decision_id"], 1)
        and_again = api.reward(decision["decision_id"], 1)

        assert (again["status"], and_again["status"]) == ("recorded", "duplicate")
        assert sums(api, decision["arm_key"]) == (1, 1.0)
        assert differences() == []

    def test_stays_in_the_log(self, api):
        """With the time of its retraction."""
        api.running()
        decision = api.decide()
        api.reward(decision["decision_id"], 1)

        api.delete(f"/rewards/{decision['decision_id']}")

        (reward,) = api.get(f"/decisions/{decision['decision_id']}").json["rewards"]
        assert reward["retracted_at"] is not None

    def test_of_one_metric_leaves_the_others(self, api, differences):
        """Only ``revenue`` is taken back."""
        api.running()
        decision = api.decide()
        api.reward(decision["decision_id"], 1)
        api.reward(decision["decision_id"], 99, metric="revenue")

        api.delete(f"/rewards/{decision['decision_id']}?metric=revenue")

        assert sums(api, decision["arm_key"]) == (1, 1.0)
        series = api.get("/experiments/test/timeseries?metric=revenue").json["items"]
        assert [(point["rewards"], point["reward_sum"]) for point in series] == [(0, 0.0)]
        assert differences() == []

    def test_is_in_the_audit_trail(self, api):
        """Who took back what."""
        api.running()
        decision = api.decide()
        api.reward(decision["decision_id"], 1)

        api.delete(f"/rewards/{decision['decision_id']}")

        entry = api.get("/experiments/test/audit").json["items"][0]
        path = f"rewards.{decision['decision_id']}.primary"
        assert entry["action"] == "reward_retracted"
        assert entry["changes"] == {path: {"from": 1.0, "to": None}}
        assert entry["key_name"] == "bootstrap admin"

    def test_what_is_not_there_cannot_be_taken_back(self, api):
        """No such decision, no reward yet, or retracted already: 404."""
        api.running()
        decision = api.decide()
        path = f"/rewards/{decision['decision_id']}"

        missing = [api.delete(f"/rewards/{UNKNOWN_ID}"), api.delete(path)]
        api.reward(decision["decision_id"], 1)
        api.delete(path)
        missing.append(api.delete(path))

        assert [answer.status_code for answer in missing] == [404, 404, 404]

    def test_many_at_once_take_back_once(self, api, app, other_app, differences):
        """Eight threads of two workers: one 204, seven 404."""
        api.running()
        decision = api.decide()
        api.reward(decision["decision_id"], 1)

        def work(i):
            caller = Api((app, other_app)[i % 2].test_client(), ADMIN_KEY)
            return caller.delete(f"/rewards/{decision['decision_id']}").status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = sorted(pool.map(work, range(8)))

        assert statuses == [204, *[404] * 7]
        assert sums(api, decision["arm_key"]) == (0, 0.0)
        assert differences() == []


def test_a_reward_without_time_counts_as_of_its_receipt(api):
    """It is stored with the time of receipt, within a minute of now, and without a time of occurrence."""
    api.running()
    decision = api.decide()

    api.reward(decision["decision_id"], 1)

    (reward,) = api.get(f"/decisions/{decision['decision_id']}").json["rewards"]
    received_at = datetime.fromisoformat(reward["received_at"])
    assert reward["occurred_at"] is None
    assert abs(datetime.now(UTC) - received_at) < timedelta(minutes=1)
