"""Decisions: what is answered, what is logged, and that a seed makes them repeatable."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from tests.conftest import ADMIN_KEY, Api
from tests.polling import eventually

UNKNOWN_ID = "01990000-0000-7000-8000-000000000000"


def batch(api, *elements):
    answer = api.post("/decisions:batch", {"decisions": list(elements)})
    assert answer.status_code == 200, answer.text
    return answer.json["results"]


def element(unit_id="u", experiment_key="test", **fields):
    return {"experiment_key": experiment_key, "unit_id": unit_id, **fields}


class TestOne:
    """POST /experiments/{key}/decisions"""

    def test_has_the_contracts_fields(self, api):
        """All of them, and no more."""
        api.running()

        decision = api.decide(unit_id="user-123", context={"age": 0.3})

        assert set(decision) == {
            "decision_id",
            "experiment_key",
            "unit_id",
            "arm_key",
            "payload",
            "propensity",
            "probabilities",
            "reason",
            "policy_version",
            "redrawn_from",
            "decided_at",
        }
        assert (decision["experiment_key"], decision["unit_id"]) == ("test", "user-123")
        assert decision["decision_id"][14] == "7"

    def test_the_propensity_is_the_arms_entry(self, api):
        """Floor 0.1 of 3 arms, control share 0.2, uniform: 0.8 / 3 each and 0.2 more for the control."""
        api.running(
            n_arms=3,
            policy={"type": "uniform"},
            allocation={"probability_floor": 0.1, "control_share": 0.2},
        )

        decision = api.decide()

        expected = {"a": 0.8 / 3 + 0.2, "b": 0.8 / 3, "c": 0.8 / 3}
        assert decision["probabilities"] == pytest.approx(expected)
        assert decision["propensity"] == decision["probabilities"][decision["arm_key"]]

    def test_the_payload_is_the_arms(self, api):
        """Handed back as it was given."""
        arms = [{"key": "a", "payload": {"color": ["blue", 1]}}, {"key": "b"}]
        api.post("/experiments", {"key": "test", "arms": arms})
        api.post("/experiments/test/start")

        assert api.decide(eligible_arms=["a"])["payload"] == {"color": ["blue", 1]}

    def test_only_eligible_arms(self, api):
        """Half each, and nothing for b."""
        api.running(n_arms=3, policy={"type": "uniform"})

        decision = api.decide(eligible_arms=["a", "c"])

        assert decision["probabilities"] == {"a": 0.5, "b": 0.0, "c": 0.5}

    def test_an_unknown_experiment_is_not_found(self, api):
        """404."""
        answer = api.post("/experiments/none/decisions", {"unit_id": "u"})

        assert answer.status_code == 404

    def test_a_draft_is_a_conflict(self, api):
        """409."""
        api.post("/experiments", {"key": "test", "arms": [{"key": "a"}, {"key": "b"}]})

        assert api.post("/experiments/test/decisions", {"unit_id": "u"}).status_code == 409

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "unit_id"),
            ({"unit_id": ""}, "unit_id"),
            ({"unit_id": 7}, "unit_id"),
            ({"unit_id": "u" * 257}, "unit_id"),
            ({"unit_id": "u", "eligible_arms": []}, "eligible_arms"),
            ({"unit_id": "u", "eligible_arms": ["x"]}, "eligible_arms"),
            ({"unit_id": "u", "context": []}, "context"),
            ({"unit_id": "u", "context": {"a": {}}}, "context.a"),
            ({"unit_id": "u", "unti": 1}, "unti"),
            ([], "body"),
        ],
    )
    def test_what_does_not_fit_is_named(self, shared_api, key, body, path):
        """422 with the field's path, and nothing in the log."""
        shared_api.running(key)

        answer = shared_api.post(f"/experiments/{key}/decisions", body)

        assert answer.status_code == 422
        assert path in answer.json["errors"]
        assert shared_api.get(f"/experiments/{key}/decisions.ndjson").text == ""

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        unit_id=st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
            min_size=1,
            max_size=50,
        )
    )
    def test_any_text_is_a_unit(self, decide_in, unit_id):
        """Quotes, braces, NULL, emoji: what comes in is what is logged."""
        decision = decide_in(unit_id=unit_id, context={unit_id: unit_id})

        logged = decide_in.api.get(f"/decisions/{decision['decision_id']}").json
        assert logged["unit_id"] == unit_id
        assert logged["context"] == {unit_id: unit_id}


@pytest.fixture
def decide_in(api):
    """Decides in one experiment that serves many examples."""
    api.running()

    def decide(**fields):
        return api.decide(**fields)

    decide.api = api
    return decide


class TestBatch:
    """POST /decisions:batch"""

    def test_answers_in_order_and_a_bad_element_spoils_nothing(self, api):
        """Six elements, of which the first and the last are good."""
        api.running()
        api.post("/experiments", {"key": "draft", "arms": [{"key": "a"}, {"key": "b"}]})

        results = batch(
            api,
            element("u0"),
            element("u1", "none"),
            element("u2", "draft"),
            {"unit_id": "u3"},
            element("u4", eligible_arms=["x"]),
            element("u5"),
        )

        assert [result["status"] for result in results] == [201, 404, 409, 422, 422, 201]
        assert results[0]["decision"]["unit_id"] == "u0"
        assert results[5]["decision"]["unit_id"] == "u5"
        assert "experiment_key" in results[3]["problem"]["errors"]
        assert all(result["problem"]["request_id"] for result in results[1:5])

    def test_a_batch_of_bad_elements_only(self, api):
        """200 with each one's problem."""
        assert [result["status"] for result in batch(api, {}, 7, None)] == [422, 422, 422]

    def test_each_of_a_thousand_is_logged_once(self, api, query):
        """1000 is the most; all are in the log under their ids, and counted."""
        api.running()

        results = batch(api, *(element(f"u{i}") for i in range(1000)))

        ids = {result["decision"]["decision_id"] for result in results}
        logged = {str(row["decision_id"]) for row in query("SELECT decision_id FROM decisions")}
        assert len(ids) == 1000
        assert logged == ids
        assert api.get("/experiments/test/results").json["totals"]["decisions"] == 1000

    @pytest.mark.parametrize("n", [0, 1001])
    def test_has_one_to_a_thousand_elements(self, shared_api, n):
        """422 for the request as a whole."""
        answer = shared_api.post("/decisions:batch", {"decisions": [element()] * n})

        assert answer.status_code == 422
        assert "decisions" in answer.json["errors"]

    def test_can_mix_experiments(self, api):
        """Each element gets an arm of its own experiment."""
        api.running("one")
        api.running("two", n_arms=3)

        results = batch(api, element("u", "one"), element("u", "two"))

        n_arms = [len(result["decision"]["probabilities"]) for result in results]
        assert n_arms == [2, 3]


class TestReadBack:
    """GET /decisions/{id}"""

    def test_is_what_was_answered(self, api):
        """Every field of the answer, and what was asked."""
        api.running()
        decision = api.decide(context={"age": 0.3}, eligible_arms=["b", "a"])

        logged = api.get(f"/decisions/{decision['decision_id']}").json

        assert {name: logged[name] for name in decision} == decision
        assert logged["context"] == {"age": 0.3}
        assert logged["eligible_arms"] == ["a", "b"]
        assert logged["rewards"] == []

    @pytest.mark.parametrize("path", ["", "/explain"])
    def test_an_unknown_decision_is_not_found(self, shared_api, path):
        """404, also for what is no id at all."""
        assert shared_api.get(f"/decisions/{UNKNOWN_ID}{path}").status_code == 404
        assert shared_api.get(f"/decisions/7{path}").status_code == 404

    def test_stays_what_it_was_when_the_experiment_changes(self, api):
        """An arm's payload of then, not of now."""
        api.running()
        decision = api.decide(eligible_arms=["b"])
        api.patch("/experiments/test/arms/b", {"payload": "new"})

        assert api.get(f"/decisions/{decision['decision_id']}").json["payload"] is None

    def test_the_log_streams_all_in_order(self, api):
        """One line a decision, oldest first, with its rewards."""
        api.running()
        decisions = [api.decide(unit_id=f"u{i}") for i in range(3)]
        api.reward(decisions[1]["decision_id"], 1)

        answer = api.get("/experiments/test/decisions.ndjson")

        assert answer.mimetype == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [line["decision_id"] for line in lines] == [d["decision_id"] for d in decisions]
        assert [len(line["rewards"]) for line in lines] == [0, 1, 0]


class TestSeed:
    """The n-th decision of a seeded experiment takes the n-th number of its sequence."""

    FIELDS = {"seed": 7, "policy": {"type": "uniform"}}  # noqa: RUF012 - a constant of the tests

    def test_two_experiments_with_one_seed_decide_alike(self, api):
        """Thirty decisions, single in one and in batches in the other."""
        api.running("one", n_arms=3, **self.FIELDS)
        api.running("two", n_arms=3, **self.FIELDS)

        single = [api.decide("one", f"u{i}")["arm_key"] for i in range(30)]
        batches = [
            result["decision"]["arm_key"]
            for size in (1, 20, 9)
            for result in batch(api, *[element("u", "two")] * size)
        ]

        assert single == batches
        assert set(single) == {"a", "b", "c"}

    def test_another_seed_decides_otherwise(self, api):
        """Thirty equal draws of three arms by chance have a probability of 3^-30."""
        api.running("one", n_arms=3, **self.FIELDS)
        api.running("two", n_arms=3, **{**self.FIELDS, "seed": 8})

        one, two = (
            [r["decision"]["arm_key"] for r in batch(api, *[element("u", key)] * 30)]
            for key in ("one", "two")
        )

        assert one != two

    def test_workers_share_the_sequence(self, api, other_api):
        """Twenty decisions of two workers in turn: the numbers are the first twenty, none twice."""
        api.running("one", **self.FIELDS)
        api.running("two", **self.FIELDS)

        alone = [api.decide("one")["arm_key"] for _ in range(20)]
        in_turn = [(api, other_api)[i % 2].decide("two")["arm_key"] for i in range(20)]

        assert in_turn == alone


class TestWorkers:
    """Several workers on one database."""

    def test_concurrent_writers_lose_nothing(self, api, other_api, app, other_app, differences):
        """Eight threads of two workers: 8 * 25 decisions, and a reward of 1 for each; sums agree with the log."""
        api.running(policy={"type": "uniform"})

        def work(i):
            caller = Api((app, other_app)[i % 2].test_client(), ADMIN_KEY)
            for j in range(25):
                decision = caller.decide(unit_id=f"{i}-{j}")
                assert caller.reward(decision["decision_id"], 1)["status"] == "recorded"

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))

        totals = api.get("/experiments/test/results").json["totals"]
        assert totals == {"decisions": 200, "rewards": 200, "reward_sum": 200.0, "pending": 0}
        assert differences() == []

    def test_statistics_of_one_worker_are_adopted_by_the_other(self, api, other_api, query):
        """Both draw from the same numbered vector, and it is the one of the published statistics.

        Greedy: after one success of b, whose mean 1 beats a's 0, b has 0.9 + 0.1 / 2 = 0.95, floor 0.
        """
        api.running(
            update_interval_s=0.1,
            policy={"type": "epsilon_greedy", "params": {"epsilon": 0.1}},
            allocation={"probability_floor": 0.0},
        )
        api.decide(eligible_arms=["a"])
        api.reward(api.decide(eligible_arms=["b"])["decision_id"], 1)

        for caller in (api, other_api):
            learned = eventually(lambda c=caller: _learned(c))
            assert learned["probabilities"] == pytest.approx({"a": 0.05, "b": 0.95})

    def test_published_statistics_are_those_of_the_log(self, api, query, differences):
        """When all is quiet the newest snapshot equals the sums over the log."""
        api.running(update_interval_s=0.1)
        for i in range(12):
            decision = api.decide(unit_id=f"u{i}")
            api.reward(decision["decision_id"], i % 2)

        def newest():
            rows = query(
                "SELECT statistics FROM policy_snapshots ORDER BY policy_version DESC LIMIT 1"
            )
            sums = rows[0]["statistics"]
            is_complete = sum(arm[0] for arm in sums) == sum(arm[1] for arm in sums) == 12
            return sums if is_complete else None

        published = eventually(newest)

        arms = [api.arm(key) for key in "ab"]
        assert [arm[:3] for arm in published] == [
            [arm["decisions"], arm["rewards"], arm["reward_sum"]] for arm in arms
        ]
        assert differences() == []

    def test_a_decision_waits_for_its_commit(self, api, query, database_url):
        """While nobody may write to the log nothing is answered; then it is, and it is in the log."""
        api.running()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(api.decide()))

        with _locked(database_url, "decisions"):
            thread.start()
            thread.join(0.3)
            assert answers == []
        thread.join(5.0)

        logged = query("SELECT decision_id FROM decisions")
        assert [str(row["decision_id"]) for row in logged] == [answers[0]["decision_id"]]


def _learned(caller):
    decision = caller.decide()
    return decision if decision["probabilities"]["b"] > 0.9 else None


def _locked(url, table):
    """A transaction that keeps all writers from ``table``."""
    conn = psycopg.connect(url)
    conn.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(table)))
    return conn
