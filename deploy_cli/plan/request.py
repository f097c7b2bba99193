"""Asking the planner, and hearing of its progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import requests

from deploy_cli.api import PASSING, TIMEOUT_S, Api, content_of
from deploy_cli.errors import ApiRefused, ApiUnreachable

PATH = "/simulations"
SILENCE_S = 70.0
"""Longest wait between two lines: the service gives a plan a minute."""
WAIT_S = 1.0
HINT = "See what the service logged and whether it runs: deploy-cli logs, status."


class PlannerApi(Api):
    """A session that waits for plans, which take a while."""

    def plan(self, scenario: dict[str, Any], on_progress: Callable[[float], None]) -> Any:
        """The planner's answer; ``on_progress`` hears the share that is done.

        Raises:
            ApiRefused: the service says what is wrong with the scenario, or that it takes too long.
            ApiUnreachable: it was busy or away for ``patience_s``, or fell silent.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                answer = self._ask(scenario)
                if answer.status_code not in PASSING:
                    return self._result(answer, on_progress)
                trouble = f"answered {answer.status_code}"
            except requests.RequestException as error:
                trouble = f"no answer ({type(error).__name__})"
            if time.monotonic() + WAIT_S > deadline:
                raise ApiUnreachable(f"POST {PATH}: {trouble}, for {self._patience_s:.0f} s", HINT)
            self._on_wait(f"POST {PATH}: {trouble}; trying again")
            time.sleep(WAIT_S)

    def _ask(self, scenario: dict[str, Any]) -> requests.Response:
        return self._session.post(
            self._api_url + PATH,
            json=scenario,
            headers={"Accept": "application/x-ndjson"},
            timeout=(TIMEOUT_S, SILENCE_S),
            stream=True,
        )

    def _result(self, answer: requests.Response, on_progress: Callable[[float], None]) -> Any:
        if not answer.ok:
            return content_of(answer)
        with answer:
            for line in answer.iter_lines():
                event = json.loads(line)
                if "result" in event:
                    return event["result"]
                if "problem" in event:
                    problem = event["problem"]
                    raise ApiRefused(f"POST {PATH}: {problem['detail']}", problem["status"])
                on_progress(event["progress"])
        raise ApiUnreachable(f"POST {PATH}: the answer broke off", HINT)
