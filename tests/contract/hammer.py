"""One client process of the crash tests: ``python hammer.py PORT API_KEY NUMBER SECONDS MODE REPORT``.

Decides and rewards as fast as one connection allows, sends much of it twice, rewards out of order, and after a broken
connection or a 503 sends the same request again. MODE ``retry`` goes on until all is answered; ``until-refused`` ends
at the first refused connection. What was acknowledged goes to the file REPORT as JSON. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TIMEOUT_S = 20.0
GIVE_UP_S = 60.0
EXPERIMENTS = ("first", "sum", "sticky")
VALUES = (1, 2, 3)
"""The three rewards that a decision of ``sum`` gets, each at a time of its own."""
N_UNITS = 20


class Refused(Exception):
    """Nobody listens any more."""


@dataclass
class Report:
    """What the service acknowledged.

    ``decisions``: by decision id, what was answered. ``rewards``: by decision id, the acknowledged [value, time]
    pairs, each once. ``slowest_s``: longest wait for an answer or for a connection to break.
    """

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    rewards: dict[str, list[list[Any]]] = field(default_factory=dict)
    slowest_s: float = 0.0
    n_requests: int = 0
    n_retries: int = 0
    n_replays: int = 0
    unexpected: list[str] = field(default_factory=list)


class Hammer:
    """One client with one connection."""

    def __init__(self, port: int, api_key: str, number: int, is_persistent: bool) -> None:
        self.report = Report()
        self._port = port
        self._api_key = api_key
        self._number = number
        self._is_persistent = is_persistent
        self._rng = random.Random(number)
        self._connection: http.client.HTTPConnection | None = None
        self._n_keys = 0
        self._waiting: list[dict[str, Any]] = []

    def run(self, seconds: float) -> None:
        """Mix requests for that long, then send the rewards that are still waiting."""
        ends_at = time.monotonic() + seconds
        try:
            while time.monotonic() < ends_at:
                self._step()
            while self._waiting:
                self._reward(20)
        except Refused:
            if self._is_persistent:
                self.report.unexpected.append("refused for too long")

    def _step(self) -> None:
        kind = self._rng.random()
        if kind < 0.45:
            self._decide()
        elif kind < 0.55:
            self._decide_many()
        else:
            self._reward(self._rng.randint(1, 4))

    def _decide(self) -> None:
        experiment = self._rng.choice(EXPERIMENTS)
        path = f"/api/v1/experiments/{experiment}/decisions"
        body = {"unit_id": f"unit-{self._rng.randrange(N_UNITS)}"}
        for answer in self._post_with_key(path, body, 201):
            self._note(answer)

    def _decide_many(self) -> None:
        elements = [
            {"experiment_key": experiment, "unit_id": f"unit-{self._rng.randrange(N_UNITS)}"}
            for experiment in self._rng.choices(EXPERIMENTS, k=5)
        ]
        for answer in self._post_with_key("/api/v1/decisions:batch", {"decisions": elements}, 200):
            for result in answer["results"]:
                if result["status"] != 201:
                    self.report.unexpected.append(json.dumps(result))
                else:
                    self._note(result["decision"])

    def _post_with_key(self, path: str, body: Any, status: int) -> list[Any]:
        """The answers of one request under a new Idempotency-Key; now and then it is sent twice."""
        self._n_keys += 1
        key = f"{self._number}-{self._n_keys}"
        n_times = 2 if self._rng.random() < 0.25 else 1
        answers = [self._post(path, body, status, key) for _ in range(n_times)]
        if any(answer != answers[0] for answer in answers):
            self.report.unexpected.append(f"two answers under {key}: {answers}")
        return [answer for answer in answers[:1] if answer is not None]

    def _note(self, decision: dict[str, Any]) -> None:
        self.report.decisions[decision["decision_id"]] = decision
        values = VALUES if decision["experiment_key"] == "sum" else (self._rng.randint(0, 1),)
        now = time.time()
        for i, value in enumerate(values):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + i))
            reward = {"decision_id": decision["decision_id"], "reward": value, "occurred_at": at}
            n_times = 2 if self._rng.random() < 0.3 else 1
            self._waiting += [reward] * n_times

    def _reward(self, n: int) -> None:
        """Send ``n`` of the waiting rewards in any order."""
        self._rng.shuffle(self._waiting)
        rewards, self._waiting = self._waiting[:n], self._waiting[n:]
        if not rewards:
            return
        key = None
        if self._rng.random() < 0.5:
            self._n_keys += 1
            key = f"{self._number}-{self._n_keys}"
        answer = self._post("/api/v1/rewards", {"rewards": rewards}, 200, key)
        if answer is None:
            return
        for reward, result in zip(rewards, answer["results"], strict=True):
            if result["status"] not in ("recorded", "duplicate"):
                self.report.unexpected.append(json.dumps(result))
            taken = self.report.rewards.setdefault(reward["decision_id"], [])
            pair = [reward["reward"], reward["occurred_at"]]
            if pair not in taken:
                taken.append(pair)

    def _post(self, path: str, body: Any, expected: int, key: str | None) -> Any:
        """The JSON answer, after as many attempts as it takes."""
        gives_up_at = time.monotonic() + GIVE_UP_S
        while True:
            try:
                status, answer = self._attempt(path, body, key)
            except ConnectionRefusedError:
                self._hang_up()
                if not self._is_persistent or time.monotonic() > gives_up_at:
                    raise Refused from None
                time.sleep(0.1)
            except (OSError, http.client.HTTPException):
                self._hang_up()
                if time.monotonic() > gives_up_at:
                    raise Refused from None
            else:
                if status == expected:
                    return json.loads(answer)
                if status != 503 or time.monotonic() > gives_up_at:
                    self.report.unexpected.append(f"{path} {status} {answer!r:.300}")
                    return None
                time.sleep(0.1)
            self.report.n_retries += 1

    def _attempt(self, path: str, body: Any, key: str | None) -> tuple[int, bytes]:
        began_at = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_S)
            headers = {
                "Authorization": f"Bearer {self._api_key}",
                "Content-Type": "application/json",
            }
            if key is not None:
                headers["Idempotency-Key"] = key
            self._connection.request("POST", path, json.dumps(body).encode(), headers)
            response = self._connection.getresponse()
            self.report.n_replays += response.getheader("Idempotent-Replayed") == "true"
            self.report.n_requests += 1
            return response.status, response.read()
        finally:
            self.report.slowest_s = max(self.report.slowest_s, time.monotonic() - began_at)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def main() -> None:
    """Run as a command."""
    port, api_key, number, seconds, mode, report = sys.argv[1:]
    hammer = Hammer(int(port), api_key, int(number), mode == "retry")
    hammer.run(float(seconds))
    Path(report).write_text(json.dumps(vars(hammer.report)), encoding="utf-8")


if __name__ == "__main__":
    main()
