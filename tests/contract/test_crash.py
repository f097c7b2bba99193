"""Whatever dies in the middle: what was answered is in the log, and everything counts exactly once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import ADMIN_KEY
from tests.contract.serving import CHECKOUT, REQUEST_TIMEOUT_S, Answer, Gunicorn, wait_for

N_CLIENTS = 8
SECONDS = 8.0
HAMMER = Path(__file__).with_name("hammer.py")
ENDING_TIMEOUT_S = 90.0

pytestmark = pytest.mark.slow


@dataclass
class Clients:
    """Client processes, and what they report when they have ended."""

    processes: list[subprocess.Popen[bytes]]
    files: list[Path]

    def wait(self) -> Acknowledged:
        for process in self.processes:
            assert process.wait(ENDING_TIMEOUT_S) == 0
        return Acknowledged([json.loads(file.read_text(encoding="utf-8")) for file in self.files])

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class Acknowledged:
    """What all clients together were told."""

    def __init__(self, reports: Sequence[dict[str, Any]]) -> None:
        self.unexpected = [line for report in reports for line in report["unexpected"]]
        self.slowest_s = max(report["slowest_s"] for report in reports)
        self.n_requests = sum(report["n_requests"] for report in reports)
        self.n_retries = sum(report["n_retries"] for report in reports)
        self.n_replays = sum(report["n_replays"] for report in reports)
        self.decisions: dict[str, dict[str, Any]] = {}
        self.rewards: dict[str, list[tuple[int, str]]] = {}
        for report in reports:
            assert not self.decisions.keys() & report["decisions"].keys(), "one id, two decisions"
            self.decisions |= report["decisions"]
            for decision_id, pairs in report["rewards"].items():
                self.rewards.setdefault(decision_id, []).extend((v, at) for v, at in pairs)

    def reward_sums(self) -> Counter[tuple[str, str]]:
        """Sum of the rewards by experiment and arm."""
        sums: Counter[tuple[str, str]] = Counter()
        for decision_id, pairs in self.rewards.items():
            decision = self.decisions[decision_id]
            sums[decision["experiment_key"], decision["arm_key"]] += sum(v for v, _ in pairs)
        return sums


@pytest.fixture
def loaded(gunicorn: Gunicorn, tmp_path: Path) -> Iterator[Any]:
    """Starts clients against three experiments; ends them if the test does not."""
    gunicorn.running("first", policy={"type": "thompson_sampling"}, update_interval_s=0.2)
    gunicorn.running("sum", reward={"type": "count", "aggregation": "sum"}, update_interval_s=0.2)
    gunicorn.running(
        "sticky", n_arms=10, policy={"type": "uniform"}, allocation={"stickiness": "forever"}
    )
    started: list[Clients] = []

    def start(mode: str) -> Clients:
        files = [tmp_path / f"client-{i}.json" for i in range(N_CLIENTS)]
        arguments = [
            (str(gunicorn.port), ADMIN_KEY, str(i), str(SECONDS), mode, str(file))
            for i, file in enumerate(files)
        ]
        processes = [subprocess.Popen((sys.executable, str(HAMMER), *a)) for a in arguments]
        started.append(Clients(processes, files))
        return started[-1]

    yield start
    for clients in started:
        clients.end()


def rows(database_url: str, query: str) -> list[Any]:
    with psycopg.connect(database_url) as conn:
        return conn.execute(query).fetchall()


def check_decisions(database_url: str, told: Acknowledged, *, is_all: bool) -> None:
    """Every acknowledged decision is in the log once, as it was answered; ``is_all``: and no other."""
    logged = rows(
        database_url,
        "SELECT decision_id::text, experiment_key, unit_id, arm_id, propensity, reason"
        " FROM decisions JOIN experiments USING (experiment_id)",
    )
    found = {row[0]: row[1:] for row in logged}
    assert len(found) == len(logged)
    for decision_id, decision in told.decisions.items():
        experiment_key, unit_id, arm_id, propensity, reason = found[decision_id]
        assert experiment_key == decision["experiment_key"]
        assert unit_id == decision["unit_id"]
        assert chr(ord("a") + arm_id) == decision["arm_key"]
        assert propensity == decision["propensity"]
        assert reason == decision["reason"]
    if is_all:
        assert found.keys() == told.decisions.keys()


def check_rewards(database_url: str, told: Acknowledged, *, is_all: bool) -> None:
    """Every acknowledged reward is stored once; ``is_all``: and counts in the sums, and nothing else does."""
    stored = rows(
        database_url,
        "SELECT decision_id::text, value,"
        " to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM rewards",
    )
    counts = Counter(stored)
    assert max(counts.values()) == 1
    expected = {(d, float(v), at) for d, pairs in told.rewards.items() for v, at in pairs}
    assert expected <= counts.keys()
    if is_all:
        assert expected == counts.keys()
        served = rows(
            database_url,
            "SELECT experiment_key, arm_id, sum(reward_sum) FROM arm_statistics"
            " JOIN experiments USING (experiment_id) GROUP BY 1, 2",
        )
        sums = {(key, chr(ord("a") + arm_id)): total for key, arm_id, total in served if total}
        assert sums == {place: total for place, total in told.reward_sums().items() if total}


def check_stickiness(database_url: str) -> None:
    """Each unit of ``sticky`` has one arm in the whole log."""
    ((most,),) = rows(
        database_url,
        "SELECT max(n) FROM (SELECT count(DISTINCT arm_id) AS n FROM decisions"
        " JOIN experiments USING (experiment_id) WHERE experiment_key = 'sticky'"
        " GROUP BY unit_id) AS units",
    )
    assert most == 1


def check_statistics(database_url: str) -> None:
    """The statistics are those of the log."""
    ended = subprocess.run(
        (sys.executable, "-m", "backend.rebuild_statistics", "--check"),
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "found 0 difference(s)" in ended.stdout


def test_kill_9_of_workers_under_load(gunicorn: Gunicorn, loaded: Any) -> None:
    """Both workers are killed, one after the other, while eight clients decide and reward.

    Every client retries under the same Idempotency-Key until it is answered, so in the end the log must hold exactly
    what was acknowledged: no more (a retry that counted twice) and no less (an answer that was not durable).
    """
    clients = loaded("retry")
    old = set(gunicorn.workers())
    for _ in range(2):
        time.sleep(SECONDS / 3)
        killed = gunicorn.kill_a_worker()
        wait_for(lambda killed=killed: killed not in gunicorn.workers(), gunicorn.log)
    told = clients.wait()
    wait_for(lambda: len(gunicorn.workers()) == len(old), gunicorn.log)

    assert told.unexpected == []
    assert told.slowest_s < REQUEST_TIMEOUT_S
    assert told.n_retries > 0, "nobody was hit"
    assert told.n_replays > 0
    assert len(told.decisions) > 200
    database_url = gunicorn.database_url
    check_decisions(database_url, told, is_all=True)
    check_rewards(database_url, told, is_all=True)
    check_stickiness(database_url)
    check_statistics(database_url)
    for key in ("first", "sum", "sticky"):
        totals = gunicorn.ask("GET", f"/api/v1/experiments/{key}/results").json["totals"]
        ids = {i for i, d in told.decisions.items() if d["experiment_key"] == key}
        assert totals["decisions"] == len(ids)
        assert totals["rewards"] == len(ids & told.rewards.keys())
    assert "unexpected error" not in gunicorn.log()


def test_sigterm_under_load(gunicorn: Gunicorn, loaded: Any) -> None:
    """Stopping the service loses nothing that was answered, and does not take longer than it promises."""
    clients = loaded("until-refused")
    time.sleep(SECONDS / 2)
    took_s = gunicorn.terminate()
    told = clients.wait()

    assert told.unexpected == []
    assert told.slowest_s < REQUEST_TIMEOUT_S
    assert took_s < 30.0
    assert len(told.decisions) > 100
    check_decisions(gunicorn.database_url, told, is_all=False)
    check_rewards(gunicorn.database_url, told, is_all=False)
    check_stickiness(gunicorn.database_url)
    check_statistics(gunicorn.database_url)
    assert "unexpected error" not in gunicorn.log()


def test_fifty_first_requests_of_one_unit_get_one_arm(gunicorn: Gunicorn) -> None:
    """Over two workers, at the same moment, for each of five units.

    With ten even arms fifty independent draws would agree with probability 10**-49.
    """
    n_requests, n_units = 50, 5
    gunicorn.running(
        "kept", n_arms=10, policy={"type": "uniform"}, allocation={"stickiness": "forever"}
    )
    for unit in range(n_units):
        together = threading.Barrier(n_requests)
        answers: list[Answer] = []

        def ask(unit: int = unit, together: Any = together, answers: Any = answers) -> None:
            together.wait()
            body = {"unit_id": f"unit-{unit}"}
            answers.append(gunicorn.ask("POST", "/api/v1/experiments/kept/decisions", body))

        threads = [threading.Thread(target=ask) for _ in range(n_requests)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [answer.status for answer in answers] == [201] * n_requests
        decisions = [answer.json for answer in answers]
        assert len({decision["arm_key"] for decision in decisions}) == 1
        assert len({decision["decision_id"] for decision in decisions}) == n_requests
        first = [decision for decision in decisions if decision["reason"] == "policy"]
        assert len(first) == 1
        assert {decision["propensity"] for decision in decisions} == {0.1}
    check_statistics(gunicorn.database_url)
