"""The planner behind the API: what it answers, refuses, streams, and leaves running (nothing)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from backend.http.context import EXTENSION
from backend.service.plan_experiment import PlanExperiment
from deploy_cli.local.ports import HOST
from tests.conftest import ADMIN_KEY, Api
from tests.contract.serving import Gunicorn
from tests.polling import eventually

NDJSON = "application/x-ndjson"
ARMS = [{"key": "control", "mean": 0.1, "is_control": True}, {"key": "green", "mean": 0.3}]
SMALL = {"arms": ARMS, "decisions_per_day": 1000, "max_days": 2, "n_runs": 10}
WAITS = "import time; print('{\"progress\": 0.1}', flush=True); time.sleep(60)"


@pytest.fixture
def planned_by(shared_app: Flask) -> Iterator[Any]:
    """Puts a Python program in the planner's place for one test."""
    before = shared_app.extensions[EXTENSION]

    def use(program: str, **options: float) -> None:
        planner = PlanExperiment((sys.executable, "-c", program), **options)
        shared_app.extensions[EXTENSION] = replace(before, plan_experiment=planner)

    yield use
    shared_app.extensions[EXTENSION] = before


def test_answers_what_to_expect(shared_api: Api) -> None:
    """0.3 against 0.1 is decided within a day; the even split loses 0.1 x 2,000 = 200."""
    answer = shared_api.post("/simulations", SMALL)

    assert answer.status_code == 200, answer.text
    plan = answer.json
    assert plan["time_to_decision"]["share_decided"] == 1.0
    assert plan["time_to_decision"]["median_days"] < 1.0
    assert plan["regret"]["even_split"]["mean"] == pytest.approx(200.0)
    assert plan["regret"]["policy"]["mean"] < 50.0
    assert plan["wrong_winner"]["probability"] < 0.5
    assert (plan["best_arm_key"], plan["n_runs"], plan["seed"]) == ("green", 10, 1)
    assert 40 <= len(plan["curves"]) <= 60
    assert plan["assumptions"]["allocation"] == {"probability_floor": 0.01, "control_share": 0.0}
    assert plan["assumptions"]["n_decisions"] == 2000


def test_the_same_seed_gives_the_same_answer(shared_api: Api) -> None:
    """To the last bit."""
    tiny = {**SMALL, "decisions_per_day": 10}

    first, again = (shared_api.post("/simulations", tiny) for _ in range(2))

    assert first.status_code == 200
    assert first.data == again.data


def test_streams_progress(shared_api: Api) -> None:
    """Ten runs, ten lines, then the same result as without."""
    answer = shared_api.post("/simulations", SMALL, accept=NDJSON)
    *progress, last = map(json.loads, answer.text.splitlines())

    assert answer.content_type == NDJSON
    assert [line["progress"] for line in progress] == [i / 10 for i in range(1, 11)]
    assert last["result"] == shared_api.post("/simulations", SMALL).json


@pytest.mark.parametrize("reward", ["count", "continuous"])
def test_other_rewards(shared_api: Api, reward: str) -> None:
    """Counts need no more; continuous ones a spread."""
    spread = {"standard_deviation": 1.0} if reward == "continuous" else {}
    arms = [{"key": "a", "mean": 5.0, **spread}, {"key": "b", "mean": 7.0, **spread}]

    answer = shared_api.post("/simulations", {**SMALL, "arms": arms, "reward": {"type": reward}})

    assert answer.status_code == 200, answer.text
    assert answer.json["best_arm_key"] == "b"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"arms": ARMS[:1]}, "arms"),
        ({"arms": [*ARMS, ARMS[0]]}, "arms"),
        ({"arms": [{"key": "a", "mean": 1.5}, {"key": "b", "mean": 0.5}]}, "arms.0.mean"),
        ({"arms": [{"key": f"a{i}", "mean": 0} for i in range(51)]}, "arms"),
        ({"decisions_per_day": 0}, "decisions_per_day"),
        ({"max_days": 366}, "max_days"),
        ({"n_runs": 9}, "n_runs"),
        ({"n_runs": 2000}, "n_runs"),
        ({"update_interval_s": 0}, "update_interval_s"),
        ({"reward_delay_s": -1}, "reward_delay_s"),
        ({"seed": -1}, "seed"),
        ({"reward": {"type": "binary", "aggregation": "sum"}}, "reward.aggregation"),
        ({"allocation": {"probability_floor": 0.6}}, "allocation.probability_floor"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_refuses_what_cannot_be_planned(shared_api: Api, fields: Any, path: str) -> None:
    """422 that names the field."""
    answer = shared_api.post("/simulations", {**SMALL, **fields})

    assert answer.status_code == 422
    assert path in answer.json["errors"]


def test_needs_a_reader(shared_api: Api) -> None:
    """Any role will do, but none at all will not."""
    reader = shared_api.post("/keys", {"name": "reader", "role": "reader"}).json["key"]

    assert Api(shared_api.client, reader).post("/simulations", SMALL).status_code == 200
    assert Api(shared_api.client, None).post("/simulations", SMALL).status_code == 401


def test_one_at_a_time(shared_api: Api, planned_by: Any) -> None:
    """503 with Retry-After while the worker plans; when the stream is closed, as by a server whose caller hung up, not."""
    planned_by(WAITS)
    stream = shared_api.post("/simulations", SMALL, accept=NDJSON)

    refused = shared_api.post("/simulations", SMALL)
    stream.close()
    taken = shared_api.post("/simulations", SMALL, accept=NDJSON)
    taken.close()

    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json["type"] == "urn:bandstand:problem:planner-busy"
    assert taken.status_code == 200


@pytest.mark.parametrize("accept", ["application/json", NDJSON])
def test_too_slow_is_a_problem(shared_api: Api, planned_by: Any, accept: str) -> None:
    """422, or the last line of a stream, with what to do about it."""
    planned_by(WAITS, time_limit_s=0.3)

    answer = shared_api.post("/simulations", SMALL, accept=accept)

    problem = json.loads(answer.text.splitlines()[-1])
    problem = problem.get("problem", problem)
    assert (problem["status"], problem["request_id"]) == (422, answer.headers["X-Request-Id"])
    assert "ask for fewer runs or arms" in problem["detail"]


@pytest.mark.parametrize("accept", ["application/json", NDJSON])
def test_a_failed_planner_is_an_internal_error(
    shared_api: Api, planned_by: Any, accept: str
) -> None:
    """500, or the last line of a stream, that says no more than that."""
    planned_by("raise SystemExit(3)")

    answer = shared_api.post("/simulations", SMALL, accept=accept)

    problem = json.loads(answer.text.splitlines()[-1])
    problem = problem.get("problem", problem)
    assert (problem["status"], problem["title"]) == (500, "Internal error")


@pytest.fixture
def gunicorn(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """Two real workers."""
    found = Gunicorn(database_url, tmp_path_factory.mktemp("gunicorn"))
    found.start()
    yield found
    found.stop()


@pytest.mark.slow
@pytest.mark.parametrize("accept", ["application/json", NDJSON])
def test_nothing_runs_on_for_a_caller_who_hung_up(gunicorn: Gunicorn, accept: str) -> None:
    """The workers' child appears, the service answers others meanwhile, and it goes with its caller."""
    body = json.dumps({**SMALL, "n_runs": 600}).encode()
    head = (
        f"POST /api/v1/simulations HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
        f"Content-Type: application/json\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((HOST, gunicorn.port)) as caller:
        caller.sendall(head.encode() + body)
        eventually(lambda: _planners(gunicorn), timeout_s=20.0)
        assert gunicorn.ask("GET", "/api/readyz").status == 200
        assert _planners(gunicorn)

    eventually(lambda: not _planners(gunicorn), timeout_s=20.0)


def _planners(gunicorn: Gunicorn) -> list[str]:
    """Process ids of the workers' children."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    workers = {str(pid) for pid in gunicorn.workers()}
    rows = (line.split() for line in listed.stdout.splitlines())
    return [pid for pid, parent, state in rows if parent in workers and not state.startswith("Z")]
