"""Every error is a problem document, and tells nothing about the inside."""

from dataclasses import replace

import pytest

from backend.app import create_app
from backend.http.context import EXTENSION
from tests.conftest import ADMIN_KEY, Api

ARMS = [{"key": "a"}, {"key": "b"}]
JSON = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}


def check_problem(answer, status):
    """The shape of RFC 9457 with our request id."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body = answer.json
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == status
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert body["type"].startswith("urn:bandstand:problem:")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/experiments", {"key": "t"}, 422),
        ("GET", "/experiments?limit=x", None, 422),
        ("GET", "/experiments/none", None, 404),
        ("GET", "/experiments/NONE", None, 404),
        ("GET", "/nothing/here", None, 404),
        ("GET", "/experiments/%00", None, 404),
        ("POST", "/experiments", {"key": "test", "arms": ARMS}, 409),
        ("POST", "/experiments/test/stop", None, 409),
        ("PUT", "/experiments", {}, 405),
        ("DELETE", "/experiments/test", None, 405),
    ],
)
def test_has_one_shape(shared_api, method, path, body, status):
    """422, 404, 409 (for a key that is taken, and for a draft that cannot stop) and 405."""
    shared_api.post("/experiments", {"key": "test", "arms": ARMS})

    check_problem(shared_api(method, path, body), status)


def test_412_for_a_stale_version(shared_api, key):
    """If-Match names another version."""
    shared_api.running(key)

    check_problem(shared_api.patch(f"/experiments/{key}", {"name": "n"}, if_match='"1"'), 412)


def test_401_and_403(shared_api, shared_app):
    """No key, and a key without the role."""
    secret = shared_api.post("/keys", {"name": "n", "role": "reader"}).json["key"]

    check_problem(Api(shared_app.test_client(), None).get("/experiments"), 401)
    check_problem(Api(shared_app.test_client(), secret).get("/keys"), 403)


def test_405_says_what_is_allowed(shared_api):
    """In the header Allow."""
    answer = shared_api("PUT", "/experiments", {})

    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff",
        b'{"a": 1,}',
        b'"\\ud800"',
        b"{'a': 1}",
    ],
)
def test_400_for_malformed_json(shared_app, body):
    """NaN, infinities and half a surrogate are no JSON."""
    answer = shared_app.test_client().post("/api/v1/experiments", data=body, headers=JSON)

    check_problem(answer, 400)


@pytest.mark.parametrize("body", [b"7", b"null", b"[]", b'"text"', b"[" * 500 + b"]" * 500])
def test_422_for_json_that_is_no_object(shared_app, body):
    """Well-formed, but not what is wanted."""
    answer = shared_app.test_client().post("/api/v1/experiments", data=body, headers=JSON)

    check_problem(answer, 422)


def test_422_for_the_character_nul(shared_app):
    """PostgreSQL cannot keep it; wherever it stands, in keys, values and queries."""
    client = shared_app.test_client()
    for body in (b'{"unit_id": "\\u0000"}', b'{"unit_id": "u", "context": {"\\u0000": 1}}'):
        check_problem(client.post("/api/v1/experiments/t/decisions", data=body, headers=JSON), 422)
    check_problem(client.get("/api/v1/experiments?cursor=%00", headers=JSON), 422)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_415_for_another_content_type(shared_app, content_type):
    """Only JSON is read."""
    answer = shared_app.test_client().post(
        "/api/v1/experiments", data=b"{}", headers={**JSON, "Content-Type": content_type}
    )

    check_problem(answer, 415)


def test_413_for_a_body_over_one_mebibyte(shared_app):
    """1 MiB is read (and then found wrong), one byte more is not."""
    client = shared_app.test_client()
    for size, status in ((1024 * 1024, 422), (1024 * 1024 + 1, 413)):
        body = b'"' + b"x" * (size - 2) + b'"'
        check_problem(client.post("/api/v1/experiments", data=body, headers=JSON), status)


def test_429_says_when_to_come_back(settings):
    """Two requests an hour: the third waits at most 3,600 s; another key has its own count."""
    app = create_app(replace(settings, rate_limit="2/hour"))
    try:
        api = Api(app.test_client(), ADMIN_KEY)
        other = Api(
            app.test_client(), api.post("/keys", {"name": "n", "role": "reader"}).json["key"]
        )
        api.get("/experiments")

        answer = api.get("/experiments")

        check_problem(answer, 429)
        assert answer.headers["RateLimit-Limit"] == "2"
        assert answer.headers["RateLimit-Remaining"] == "0"
        assert 3590 <= int(answer.headers["Retry-After"]) <= 3601
        assert answer.headers["RateLimit-Reset"] == answer.headers["Retry-After"]
        assert other.get("/experiments").status_code == 200
    finally:
        app.extensions[EXTENSION].stop()


def test_500_tells_nothing(shared_api, monkeypatch):
    """Whatever went wrong inside stays in the log."""

    def fail(*_, **__):
        raise RuntimeError("SELECT secret FROM db.internal")

    monkeypatch.setattr("backend.service.manage_experiments.ManageExperiments.get", fail)

    body = check_problem(shared_api.get("/experiments/test"), 500)

    assert "secret" not in str(body)
    assert "Traceback" not in str(body)


class TestRequestId:
    """X-Request-Id"""

    @pytest.mark.parametrize("path", ["/experiments", "/nothing/here", "/api/healthz"])
    def test_a_valid_one_comes_back(self, shared_api, path):
        """On every answer."""
        answer = shared_api.get(path, x_request_id="abc-123:x.Y_9")

        assert answer.headers["X-Request-Id"] == "abc-123:x.Y_9"

    @pytest.mark.parametrize("sent", ["", "a" * 129, "a b", "<x>", "a\u00e9"])
    def test_another_one_is_replaced(self, shared_api, sent):
        """By a new one, each time."""
        first, second = (
            shared_api.get("/experiments", x_request_id=sent).headers["X-Request-Id"]
            for _ in range(2)
        )

        assert len(first) == 36
        assert len({first, second, sent}) == 3
