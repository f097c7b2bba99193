"""The service's HTTP API, as far as this tool uses it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import requests

from deploy_cli.errors import ApiRefused, ApiUnreachable

TIMEOUT_S = 10.0
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


def _ignore(_message: str) -> None:
    """Say nothing about waiting."""


class Api:
    """A session with one key, which outlasts short absences of the service.

    A POST carries an ``Idempotency-Key`` that stays the same when it is sent again, so nothing
    happens twice.
    """

    def __init__(
        self,
        api_url: str,
        key: str,
        *,
        patience_s: float = 10.0,
        on_wait: Callable[[str], None] = _ignore,
    ) -> None:
        """``patience_s`` bounds how long one call is tried; ``on_wait`` hears of each wait."""
        self._api_url = api_url
        self._patience_s = patience_s
        self._on_wait = on_wait
        self._session = requests.Session()
        self._session.trust_env = False  # neither a proxy nor a .netrc may change our requests
        self._session.headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._session.close()

    def get(self, path: str) -> Any:
        """The JSON answer; raises as ``post`` does."""
        return self._send("GET", path, None, {})

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer.

        Raises:
            ApiRefused: the service answered with an error that waiting does not mend.
            ApiUnreachable: no other answer came within ``patience_s``.
        """
        return self._send("POST", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        deadline = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        while True:
            answer, trouble = self._try(method, path, body, headers)
            if answer is not None and answer.status_code not in PASSING:
                return content_of(answer)
            wait_s = max(wait_s, _asked_wait_s(answer))
            if time.monotonic() + wait_s > deadline:
                raise ApiUnreachable(
                    f"{method} {path}: {trouble}, for {self._patience_s:.0f} s",
                    "See what the service logged and whether it runs: deploy-cli logs, status.",
                )
            self._on_wait(f"{method} {path}: {trouble}; trying again")
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _try(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[requests.Response | None, str]:
        """The answer, if any came, and what is wrong with it if something is."""
        url = self._api_url + path
        try:
            answer = self._session.request(
                method, url, json=body, headers=headers, timeout=TIMEOUT_S
            )
        except requests.RequestException as error:
            return None, f"no answer ({type(error).__name__})"
        return answer, f"answered {answer.status_code}"


def _asked_wait_s(answer: requests.Response | None) -> float:
    """Seconds of ``Retry-After``, 0 without."""
    value = "" if answer is None else answer.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def content_of(answer: requests.Response) -> Any:
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        content = None
    if answer.ok:
        return content
    content = content if isinstance(content, dict) else {}
    said = content.get("detail") or content.get("title") or answer.reason
    errors = f" {content['errors']}" if content.get("errors") else ""
    what = f"{answer.request.method} {answer.request.path_url}"
    raise ApiRefused(f"{what} answered {answer.status_code}: {said}{errors}", answer.status_code)
