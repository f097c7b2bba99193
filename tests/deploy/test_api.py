"""The API session against a real HTTP server whose answers each test prescribes."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy_cli import api as module
from deploy_cli.api import Api
from deploy_cli.errors import ApiRefused, ApiUnreachable
from deploy_cli.local.ports import free_port

OK = (200, {}, {"fine": True})


class Answers(ThreadingHTTPServer):
    """Gives the prescribed answers in turn, the last one for ever, and keeps the requests.

    An answer is (status, headers, JSON body); None hangs up without one.
    """

    def __init__(self, *answers: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api/v1"


class Handler(BaseHTTPRequestHandler):
    server: Answers

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(encoded))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST = _answer  # noqa: N815 - the base class calls these names

    def log_message(self, *_words: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def serve():
    """Start a server with prescribed answers; it ends with the test."""
    servers = []

    def start(*answers: Any) -> Answers:
        server = Answers(*answers)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_post_carries_key_body_and_idempotency_key(serve):
    server = serve(OK)

    with Api(server.url, "bs_secret") as api:
        assert api.post("/things", {"a": 1}) == {"fine": True}

    ((method, path, headers, body),) = server.requests
    assert (method, path, json.loads(body)) == ("POST", "/api/v1/things", {"a": 1})
    assert headers["Authorization"] == "Bearer bs_secret"
    assert len(headers["Idempotency-Key"]) == 32


@pytest.mark.parametrize("trouble", [None, (503, {}, {}), (502, {}, b"<html>"), (429, {}, {})])
def test_what_passes_is_tried_again_under_the_same_idempotency_key(serve, trouble):
    server = serve(trouble, trouble, OK)
    heard = []

    with Api(server.url, "k", on_wait=heard.append) as api:
        assert api.post("/things", {"a": 1}) == {"fine": True}

    keys = {headers["Idempotency-Key"] for _, _, headers, _ in server.requests}
    bodies = {body for _, _, _, body in server.requests}
    assert (len(server.requests), len(keys), len(bodies), len(heard)) == (3, 1, 1, 2)


def test_another_post_has_another_idempotency_key(serve):
    server = serve(OK)

    with Api(server.url, "k") as api:
        api.post("/things", {"a": 1})
        api.post("/things", {"a": 1})

    first, second = (headers["Idempotency-Key"] for _, _, headers, _ in server.requests)
    assert first != second


def test_retry_after_is_kept(serve):
    server = serve((429, {"Retry-After": "1"}, {}), OK)
    started = time.monotonic()

    with Api(server.url, "k") as api:
        api.get("/things")

    assert time.monotonic() - started >= 1.0


def test_patience_ends(serve, monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.05)
    started = time.monotonic()

    with (
        Api(f"http://127.0.0.1:{free_port()}", "k", patience_s=0.5) as api,
        pytest.raises(ApiUnreachable, match="GET /things: no answer"),
    ):
        api.get("/things")

    assert time.monotonic() - started < 1.0


def test_a_refusal_says_what_the_service_said(serve):
    problem = {"title": "Invalid", "detail": "wrong body", "errors": {"arms": ["too few"]}}
    server = serve((422, {}, problem))

    with Api(server.url, "k") as api, pytest.raises(ApiRefused) as refused:
        api.post("/things", {})

    assert refused.value.status == 422
    assert refused.value.message == (
        "POST /api/v1/things answered 422: wrong body {'arms': ['too few']}"
    )


@pytest.mark.parametrize("content", [b"<html>", b"[]"])
def test_a_refusal_from_something_else_is_told_too(serve, content):
    with (
        Api(serve((404, {}, content)).url, "k") as api,
        pytest.raises(ApiRefused, match="404: Not Found"),
    ):
        api.get("/things")


def test_no_proxy_comes_between(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")

    with Api(serve(OK).url, "k") as api:
        assert api.get("/things") == {"fine": True}
