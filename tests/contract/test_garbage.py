"""Garbage in never gives a 500: whatever is wrong with a request, the answer is a problem that says so."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import math
import socket
import struct
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from deploy_cli.local.ports import HOST
from tests.conftest import ADMIN_KEY, Api
from tests.contract.serving import Gunicorn

PROBLEM = "application/problem+json"
MEMBERS = {"type", "title", "status", "detail", "request_id"}
LEAKS = ("Traceback", "psycopg", 'File "', "/site-packages/", "localhost", "127.0.0.1")
MEGABYTE = 1024 * 1024
NOWHERE = "01900000-0000-7000-8000-000000000000"
"""The id of no decision."""
ARMS = [{"key": "a", "is_control": True}, {"key": "b", "payload": {"color": "green"}}]
EXPERIMENT: dict[str, Any] = {
    "key": "fuzz",
    "name": "Fuzz",
    "description": "",
    "arms": ARMS,
    "policy": {"type": "thompson_sampling", "params": {}},
    "reward": {
        "type": "binary",
        "min": 0,
        "max": 1,
        "attribution_window_s": 86400,
        "default_reward": 0,
        "aggregation": "first",
    },
    "allocation": {
        "probability_floor": 0.01,
        "control_share": 0.0,
        "stickiness": "none",
        "sticky_ttl_s": None,
    },
    "decay_half_life_s": None,
    "decay_half_life_decisions": None,
    "update_interval_s": 1,
    "seed": None,
}
DECISION: dict[str, Any] = {"unit_id": "u", "context": {"age": 0.3}, "eligible_arms": ["a", "b"]}
ODD_STRINGS = {
    "nul": "a\x00b",
    "control": "\x01\x02\x1b[31m\x7f",
    "newlines": "a\r\nX-Injected: 1\r\n",
    "right-to-left": "\u202eabc\u202c \u0645\u0631\u062d\u0628\u0627",
    "emoji": "👩\u200d👩\u200d👧\u200d👦🏳️\u200d🌈",
    "four bytes": "\U0001f9ea\U00010348",
    "combining": "Z\u0351\u036b\u0343a\u0322\u034al\u0342go",
    "zero width": "\u200b\u200c\u200d\ufeff",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "sql": "'; DROP TABLE decisions; --",
    "sql comment": '" OR 1=1 /* %s %(key)s {} $1 */',
    "template": "{{7*7}} ${7*7} <script>alert(1)</script>",
    "path": "../../../../etc/passwd",
    "empty": "",
    "blank": " \t ",
    "long": "x" * 100_000,
    "digits": "\u0661\u0662\u0663",
}
WRONG = {
    "null": None,
    "true": True,
    "number": 7,
    "fraction": 0.5,
    "negative": -1,
    "negative zero": -0.0,
    "2**63": 2**63,
    "2**64": 2**64,
    "10**400": 10**400,
    "1e308": 1e308,
    "-1e308": -1e308,
    "1e-308": 1e-308,
    "denormal": 5e-324,
    "list": [],
    "list of null": [None],
    "nested lists": [[[[1]]]],
    "object": {},
    "object of objects": {"": {"": {}}},
    "prototype": {"__proto__": {"__class__": 1}},
    **ODD_STRINGS,
}


@pytest.fixture(scope="module")
def fuzz(admin: Api) -> Api:
    """An admin of a service with running experiments ``fuzz`` and ``sticky``."""
    for key, fields in (
        ("fuzz", {}),
        ("sticky", {"allocation": {"stickiness": "forever"}}),
        ("continuous", {"reward": {"type": "continuous", "min": None, "max": None}}),
    ):
        assert admin.post("/experiments", {"key": key, "arms": ARMS, **fields}).status_code == 201
        assert admin.post(f"/experiments/{key}/start").status_code == 200
    return admin


def send(
    api: Api,
    method: str,
    path: str,
    body: bytes | None = None,
    content_type: str | None = "application/json",
    **environ: Any,
) -> TestResponse:
    """Send bytes as they are; the answer is checked to be no failure and, if an error, a proper problem."""
    answer = api.client.open(
        path if path.startswith("/api") else f"/api/v1{path}",
        method=method,
        data=body,
        content_type=content_type,
        headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        environ_overrides=environ,
    )
    check(answer)
    return answer


def send_json(api: Api, method: str, path: str, body: Any, **environ: Any) -> TestResponse:
    """Send ``body``, which may hold what strict JSON does not."""
    return send(api, method, path, json.dumps(body).encode(), **environ)


def check(answer: TestResponse) -> None:
    """The law of this module."""
    assert answer.status_code < 500, answer.text
    assert answer.headers["X-Request-Id"]
    if answer.status_code >= 400:
        assert answer.content_type == PROBLEM
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        body = answer.json
        assert body.keys() >= MEMBERS
        assert body["status"] == answer.status_code
        assert body["request_id"] == answer.headers["X-Request-Id"]
        assert not any(leak in answer.text for leak in LEAKS), answer.text
        assert (answer.status_code == 422) == ("errors" in body)
    if answer.status_code == 422 and answer.request.method != "HEAD":
        assert all(
            isinstance(path, str) and messages and all(isinstance(m, str) for m in messages)
            for path, messages in answer.json["errors"].items()
        )


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside ``value``, itself included."""
    yield path
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, step))


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return changed


def dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path)) or "body"


TARGETS: dict[str, tuple[str, str, Any]] = {
    "experiment": ("POST", "/experiments", EXPERIMENT),
    "changes": (
        "PATCH",
        "/experiments/fuzz",
        {k: EXPERIMENT[k] for k in ("name", "policy", "allocation", "seed", "update_interval_s")},
    ),
    "arm": ("POST", "/experiments/fuzz/arms", ARMS[1]),
    "arm changes": (
        "PATCH",
        "/experiments/fuzz/arms/b",
        {"name": "B", "payload": 1, "is_control": False, "status": "active"},
    ),
    "decision": ("POST", "/experiments/fuzz/decisions", DECISION),
    "sticky decision": ("POST", "/experiments/sticky/decisions", DECISION),
    "batch": ("POST", "/decisions:batch", {"decisions": [{"experiment_key": "fuzz", **DECISION}]}),
    "rewards": (
        "POST",
        "/rewards",
        {
            "rewards": [
                {
                    "decision_id": NOWHERE,
                    "reward": 1,
                    "metric": "primary",
                    "occurred_at": "2026-01-31T09:30:00Z",
                }
            ]
        },
    ),
    "key": ("POST", "/keys", {"name": "fuzz", "role": "reader"}),
}
EVERY_PLACE = [
    pytest.param(method, path, body, place, id=f"{name}-{dotted(place)}")
    for name, (method, path, body) in TARGETS.items()
    for place in places(body)
]
TARGET = pytest.mark.parametrize(
    ("method", "path", "body"), [pytest.param(*t, id=name) for name, t in TARGETS.items()]
)


@pytest.mark.parametrize(("method", "path", "body", "place"), EVERY_PLACE)
def test_wrong_values_in_every_place(
    fuzz: Api, method: str, path: str, body: Any, place: tuple[str | int, ...]
) -> None:
    """Every kind of wrong value, in every place of every body."""
    for wrong in WRONG.values():
        send_json(fuzz, method, path, replaced(body, place, wrong))


@TARGET
def test_unknown_fields_are_errors_wherever_they_are(
    fuzz: Api, method: str, path: str, body: Any
) -> None:
    """Free-form objects (context, payload, params) aside, nothing unknown is taken in silence."""
    for place in places(body):
        at = body
        for step in place:
            at = at[step]
        if not isinstance(at, dict) or {"context", "payload", "params"} & set(map(str, place)):
            continue
        answer = send_json(fuzz, method, path, replaced(body, (*place, "colour"), 1))
        if 0 in place and ("decisions" in place or "rewards" in place):
            (result,) = answer.json["results"]
            assert result["status"] in (422, "invalid")
            assert "colour" in json.dumps(result)
        else:
            assert answer.status_code == 422
            assert answer.json["errors"] == {dotted((*place, "colour")): ["Unknown field."]}


@TARGET
@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "text", [], [[]], [{}]], ids=lambda value: json.dumps(value)
)
def test_json_that_is_no_object(fuzz: Api, method: str, path: str, body: Any, value: Any) -> None:
    """Scalars and arrays are well-formed JSON but no body of ours."""
    assert send_json(fuzz, method, path, value).status_code == 422


@TARGET
@pytest.mark.parametrize(
    "body_bytes",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"{]",
        b'{"key": }',
        b'{"key": "a",}',
        b"{'key': 'a'}",
        b'{"key": "a"} trailing',
        b"NaN",
        b'{"seed": NaN}',
        b'{"seed": Infinity}',
        b'{"seed": -Infinity}',
        b'{"seed": 1e999}',
        b'{"seed": 0x10}',
        b'{"seed": 01}',
        b'{"name": "\xff\xfe"}',
        b'{"name": "\xc0\x80"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00\\ud800"}',
        b'{"name": "\\x41"}',
        b'{"name": "\x00"}',
        b'{"name": "a\nb"}',
        b"\xef\xbb\xbf{}",
        '{"name": "a"}'.encode("utf-16"),
        '{"name": "a"}'.encode("utf-32"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
        b"name=a&key=b",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_malformed_json_is_400(
    fuzz: Api, method: str, path: str, body: Any, body_bytes: bytes
) -> None:
    """Also what other parsers let pass: NaN, infinities, lone surrogates, a byte order mark."""
    assert send(fuzz, method, path, body_bytes).status_code == 400


@TARGET
@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/xml", "application/jsonp", "json", "\xff", "*/*"],
)  # fmt: skip
def test_wrong_content_type_is_415(
    fuzz: Api, method: str, path: str, body: Any, content_type: str | None
) -> None:
    """A body that does not say it is JSON is not read."""
    answer = send(fuzz, method, path, json.dumps(body).encode(), content_type)
    assert answer.status_code == 415


@TARGET
def test_more_than_a_megabyte_is_413(fuzz: Api, method: str, path: str, body: Any) -> None:
    """One byte too many, in the last case only white space."""
    written = json.dumps(body).encode()
    for filler in (b"[" * MEGABYTE, b"x" * MEGABYTE, b'"' + b"x" * MEGABYTE + b'"'):
        assert send(fuzz, method, path, filler + b" ").status_code == 413
    padded = written + b" " * (MEGABYTE + 1 - len(written))
    assert send(fuzz, method, path, padded).status_code == 413


def test_a_megabyte_is_read(fuzz: Api) -> None:
    """Exactly the limit is not too much."""
    body = json.dumps(DECISION).encode()
    answer = send(fuzz, "POST", "/experiments/fuzz/decisions", body + b" " * (MEGABYTE - len(body)))
    assert answer.status_code == 201


@TARGET
@pytest.mark.parametrize("depth", [33, 500, 1000, 1023, 1024, 5000])
@pytest.mark.parametrize("leaf", [b"1", b'"\\u0000"'], ids=["number", "nul"])
def test_deep_nesting(
    fuzz: Api, method: str, path: str, body: Any, depth: int, leaf: bytes
) -> None:
    """No recursion of ours or of a library runs out of stack, whatever is at the bottom."""
    for deep in (b"[" * depth + leaf + b"]" * depth, b'{"a":' * depth + leaf + b"}" * depth):
        for name in (b"payload", b"context", b"policy", b"arms", b"rewards", b"decisions"):
            answer = send(fuzz, method, path, b'{"' + name + b'": ' + deep + b"}")
            assert answer.status_code in (400, 422) or answer.json["results"]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(list(ODD_STRINGS.values())[:-2])
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*EXPERIMENT, *DECISION, ""]) | st.text(max_size=5), inner
        )
    ),
    max_leaves=12,
)
BOUNDED = hypothesis_settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@BOUNDED
@given(st.data())
def test_any_json_in_any_place(fuzz: Api, data: st.DataObject) -> None:
    """Two random values, each in a random place of a random body."""
    method, path, body = data.draw(st.sampled_from(list(TARGETS.values())))
    for _ in range(2):
        body = replaced(body, data.draw(st.sampled_from(list(places(body)))), data.draw(JUNK))
    send_json(fuzz, method, path, body)


@BOUNDED
@given(st.binary(max_size=60), st.sampled_from(list(TARGETS.values())))
def test_any_bytes(fuzz: Api, body: bytes, target: tuple[str, str, Any]) -> None:
    """Bytes that are hardly ever JSON."""
    assert send(fuzz, target[0], target[1], body).status_code in (400, 422)


@pytest.mark.parametrize("text", ODD_STRINGS.values(), ids=ODD_STRINGS)
def test_odd_strings_come_back_as_they_went_in(fuzz: Api, text: str) -> None:
    """Unicode that is allowed is kept to the letter; NUL, which PostgreSQL cannot keep, is refused."""
    answer = send_json(
        fuzz,
        "POST",
        "/experiments/sticky/decisions",
        {"unit_id": text, "context": {text: text[:256]}},
    )
    if "\x00" in text or not 0 < len(text) <= 256:
        assert answer.status_code == 422
        return
    assert answer.status_code == 201
    read = fuzz.get(f"/decisions/{answer.json['decision_id']}").json
    assert read["unit_id"] == text
    assert read["context"] == {text: text}
    key = f"odd-{list(ODD_STRINGS.values()).index(text)}"
    arms = [{"key": "a", "name": text, "payload": {text: [text]}}, {"key": "b"}]
    body = {"key": key, "name": text, "description": text, "arms": arms}
    assert send_json(fuzz, "POST", "/experiments", body).status_code == 201
    found = fuzz.get(f"/experiments/{key}").json
    assert (found["name"], found["description"]) == (text, text)
    assert found["arms"][0]["payload"] == {text: [text]}
    assert fuzz.get(f"/experiments/{key}/audit").json["items"][0]["changes"]["name"]["to"] == text


@pytest.mark.parametrize("length", [1, 256])
def test_longest_unit_id(fuzz: Api, length: int) -> None:
    """256 characters of four bytes each fit into the index of kept arms."""
    for unit_id in ("x" * length, "\U0001f9ea" * length):
        for key in ("fuzz", "sticky"):
            assert fuzz.decide(key, unit_id)["unit_id"] == unit_id


@pytest.mark.parametrize("length", [0, 257, 1000])
def test_unit_id_too_short_or_too_long(fuzz: Api, length: int) -> None:
    """Outside 1 to 256 characters."""
    answer = send_json(fuzz, "POST", "/experiments/fuzz/decisions", {"unit_id": "x" * length})
    assert list(answer.json["errors"]) == ["unit_id"]


@pytest.mark.parametrize(("n_arms", "status"), [(0, 422), (1, 422), (2, 201), (1000, 201), (1001, 422)])  # fmt: skip
def test_number_of_arms(fuzz: Api, n_arms: int, status: int) -> None:
    """2 to 1000, at creation and by adding one more."""
    arms = [{"key": f"arm-{i}"} for i in range(n_arms)]
    answer = send_json(fuzz, "POST", "/experiments", {"key": f"with-{n_arms}", "arms": arms})
    assert answer.status_code == status
    if n_arms == 1000:
        path = f"/experiments/with-{n_arms}"
        assert send_json(fuzz, "POST", f"{path}/arms", {"key": "more"}).status_code == 422
        assert fuzz.post(f"{path}/start").status_code == 200
        decision = fuzz.decide(f"with-{n_arms}")
        assert math.isclose(sum(decision["probabilities"].values()), 1.0, abs_tol=1e-9)
        assert len(fuzz.get(f"{path}/results").json["arms"]) == 1000


SEGMENTS = [
    *(text for name, text in ODD_STRINGS.items() if name != "long"),
    "%",
    "%zz",
    "a" * 64,
    "UPPER",
    "-a",
    "null",
    "..",
    "a/b",
    "%2e%2e%2f",
    NOWHERE,
    "not-a-uuid",
    "{" + NOWHERE + "}",
    "0" * 32,
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "00000000-0000-0000-0000-000000000000",
    "2" * 3000,
]
PATHS: list[tuple[str, str]] = [
    ("GET", "/experiments/{}"),
    ("PATCH", "/experiments/{}"),
    ("POST", "/experiments/{}/start"),
    ("POST", "/experiments/{}/decisions"),
    ("GET", "/experiments/{}/results"),
    ("GET", "/experiments/{}/timeseries"),
    ("GET", "/experiments/{}/propensities"),
    ("GET", "/experiments/{}/decisions.ndjson"),
    ("GET", "/experiments/{}/audit"),
    ("PATCH", "/experiments/fuzz/arms/{}"),
    ("GET", "/decisions/{}"),
    ("GET", "/decisions/{}/explain"),
    ("DELETE", "/rewards/{}"),
    ("DELETE", "/keys/{}"),
    ("GET", "/{}"),
    ("GET", "/../{}"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_odd_paths_are_not_found(fuzz: Api, method: str, path: str) -> None:
    """Percent-encoded, as characters, and as bytes that are no UTF-8."""
    body = b"{}" if method in ("POST", "PATCH") else None
    for segment in SEGMENTS:
        encoded = "".join(f"%{byte:02X}" for byte in segment.encode())
        for written in (encoded, encoded + "%FF", "%C0%80" + encoded):
            answer = send(fuzz, method, path.format(written), body)
            assert answer.status_code in (404, 405, 422) or segment in ("", "..")
    raw = f"/api/v1{path}".format("\xff\xfe\x00")
    assert send(fuzz, method, "/x", body, PATH_INFO=raw).status_code in (404, 405)


QUERIES: list[tuple[str, str]] = [
    ("/experiments", "limit"),
    ("/experiments", "cursor"),
    ("/experiments", "status"),
    ("/experiments/fuzz/audit", "limit"),
    ("/experiments/fuzz/audit", "cursor"),
    ("/keys", "limit"),
    ("/keys", "cursor"),
    ("/experiments/fuzz/timeseries", "bucket"),
    ("/experiments/fuzz/timeseries", "metric"),
]
QUERY_VALUES = [
    *ODD_STRINGS.values(),
    "0",
    "-1",
    "201",
    "2147483648",
    "9223372036854775808",
    "9" * 5000,
    "1e3",
    "1.5",
    "NaN",
    "Infinity",
    "true",
    "0x10",
    "'",
    "[]",
    "{}",
]


@pytest.mark.parametrize(("path", "name"), QUERIES)
def test_odd_queries(fuzz: Api, path: str, name: str) -> None:
    """Wrong values, twice the same name, unknown names, and bytes that are no UTF-8."""
    for value in QUERY_VALUES:
        encoded = "".join(f"%{byte:02X}" for byte in value.encode())
        answer = send(fuzz, "GET", f"{path}?{name}={encoded}")
        assert answer.status_code in (200, 422)
        if name in ("status", "bucket"):
            assert answer.status_code == 422
        send(fuzz, "GET", f"{path}?{name}=1&{name}={encoded}")
        assert send(fuzz, "GET", f"{path}?{encoded}x={encoded}").status_code == 422
    for raw in ("\xff", "%", "%zz", "%FF", "&&&===", "=", f"{name}[]=1", f"{name}", ";", "\x01"):
        send(fuzz, "GET", path, QUERY_STRING=raw)
        send(fuzz, "GET", path, QUERY_STRING=f"{name}={raw}")


@pytest.mark.parametrize("limit", ["0", "-1", "201", "99999999999999999999", "1.5", "ten", ""])
@pytest.mark.parametrize("path", ["/experiments", "/experiments/fuzz/audit", "/keys"])
def test_limit_out_of_range(fuzz: Api, path: str, limit: str) -> None:
    """1 to 200, whole numbers."""
    answer = send(fuzz, "GET", f"{path}?limit={limit}")
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["limit"]


@pytest.mark.parametrize("cursor", ["x y", "-1", "0", "99999999999999999999", "'--", "%00", "%FF"])
@pytest.mark.parametrize("path", ["/experiments", "/experiments/fuzz/audit"])
def test_a_cursor_that_was_never_given(fuzz: Api, path: str, cursor: str) -> None:
    """Cursors are the service's own words."""
    assert send(fuzz, "GET", f"{path}?cursor={cursor}").status_code == 422


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]
ROUTES = {
    "/experiments": {"GET", "POST"},
    "/experiments/fuzz": {"GET", "PATCH"},
    "/experiments/fuzz/start": {"POST"},
    "/experiments/fuzz/pause": {"POST"},
    "/experiments/fuzz/stop": {"POST"},
    "/experiments/fuzz/arms": {"POST"},
    "/experiments/fuzz/arms/a": {"PATCH"},
    "/experiments/fuzz/audit": {"GET"},
    "/experiments/fuzz/decisions": {"POST"},
    "/experiments/fuzz/results": {"GET"},
    "/experiments/fuzz/timeseries": {"GET"},
    "/experiments/fuzz/propensities": {"GET"},
    "/experiments/fuzz/decisions.ndjson": {"GET"},
    "/decisions:batch": {"POST"},
    f"/decisions/{NOWHERE}": {"GET"},
    f"/decisions/{NOWHERE}/explain": {"GET"},
    "/rewards": {"POST"},
    f"/rewards/{NOWHERE}": {"DELETE"},
    "/keys": {"GET", "POST"},
    "/keys/key_1": {"DELETE"},
    "/openapi.json": {"GET"},
    "/api/healthz": {"GET"},
    "/api/readyz": {"GET"},
}


@pytest.mark.parametrize("path", ROUTES)
def test_wrong_methods_are_405_and_name_the_right_ones(fuzz: Api, path: str) -> None:
    """HEAD goes where GET goes, and OPTIONS is answered everywhere."""
    allowed = ROUTES[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in ROUTES[path] else set())
    for method in set(METHODS) - allowed:
        answer = send(fuzz, method, path, b"{}")
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed
    assert set(send(fuzz, "OPTIONS", path).headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "key",
    ["", " ", "x" * 129, "x" * 5000, "\xe9", "\u00ff\u00fe", "tab\there", "\x7f"],
    ids=lambda key: repr(key[:8]),
)
def test_idempotency_keys_that_are_none(fuzz: Api, key: str) -> None:
    """1 to 128 printable ASCII characters, on every POST that takes one."""
    for method, path, body in TARGETS.values():
        if method == "POST":
            answer = send_json(fuzz, method, path, body, HTTP_IDEMPOTENCY_KEY=key)
            assert answer.status_code == 400 or (key == " " and answer.status_code < 500), path


@pytest.mark.parametrize("key", ["x", "x" * 128, "'; DROP TABLE rewards; --", '{"a": [1]}'])
def test_idempotency_keys_that_are_fine(fuzz: Api, key: str) -> None:
    """Whatever they look like; another body under the same one is a conflict."""
    body = {"unit_id": "once"}
    path = "/experiments/fuzz/decisions"
    first = send_json(fuzz, "POST", path, body, HTTP_IDEMPOTENCY_KEY=key)
    again = send_json(fuzz, "POST", path, body, HTTP_IDEMPOTENCY_KEY=key)
    other = send_json(fuzz, "POST", path, {"unit_id": "two"}, HTTP_IDEMPOTENCY_KEY=key)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_idempotency_key_beside_a_query_of_odd_bytes(fuzz: Api) -> None:
    """The query is part of what the key was used for, and need not be UTF-8."""
    for query in ("a=\xff", "\xff\xfe", "%FF", "a=1"):
        answer = send_json(
            fuzz,
            "POST",
            "/experiments/fuzz/decisions",
            DECISION,
            QUERY_STRING=query,
            HTTP_IDEMPOTENCY_KEY="odd query",
        )
        assert answer.status_code == (201 if query == "a=\xff" else 409)


@pytest.mark.parametrize(
    "tag",
    ["", "1", '"', '""', '"-1"', '"1', '"1e3"', '"99999999999999999999"', '"1", "2"', "W/", "\xff",
     '"\xb2"', '"' + "1" * 5000 + '"', "'1'", '"1" OR 1=1'],
)  # fmt: skip
def test_if_match_that_is_no_version_is_stale(fuzz: Api, tag: str) -> None:
    """What matches no version changes nothing."""
    for method, path, body in (
        ("PATCH", "/experiments/fuzz", {"name": "new"}),
        ("PATCH", "/experiments/fuzz/arms/b", {"name": "new"}),
        ("POST", "/experiments/fuzz/arms", {"key": "new"}),
        ("POST", "/experiments/fuzz/pause", None),
    ):
        answer = send_json(fuzz, method, path, body, HTTP_IF_MATCH=tag)
        assert answer.status_code == 412


@pytest.mark.parametrize("tag", ["", "*", '"', "x" * 5000, "\xff", 'W/"1", "', '"1.1", "2.2"'])
def test_odd_if_none_match(fuzz: Api, tag: str) -> None:
    """Matches or does not."""
    path = "/experiments/fuzz/propensities"
    assert send(fuzz, "GET", path, HTTP_IF_NONE_MATCH=tag).status_code in (200, 304)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "bearer", "Basic YTpi", "Bearer \xff\xfe", "Bearer " + "x" * 5000,
     "Bearer ' OR 1=1 --", "Bearer a b", ADMIN_KEY, f"Token {ADMIN_KEY}", f"Bearer {ADMIN_KEY}x"],
    ids=lambda header: repr(header[:16]),
)  # fmt: skip
def test_credentials_that_are_none_are_401(fuzz: Api, header: str) -> None:
    """On every route that needs some, before anything else is looked at."""
    for method, path, _ in TARGETS.values():
        answer = send(fuzz, method, path, b"garbage", HTTP_AUTHORIZATION=header)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("sent", ["", "a b", "\xff", "x" * 129, "a\tb", "<b>", "'--", "x" * 5000])
def test_request_ids_that_are_not_valid_are_replaced(fuzz: Api, sent: str) -> None:
    """Nothing a caller makes up gets into our headers unless it is harmless."""
    answer = send(fuzz, "GET", "/experiments", HTTP_X_REQUEST_ID=sent)
    assert len(answer.headers["X-Request-Id"]) == 36


def test_valid_request_ids_come_back(fuzz: Api) -> None:
    """Also in the problem."""
    answer = send(fuzz, "GET", "/experiments/none", HTTP_X_REQUEST_ID="a.b:c_d-9")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"] == "a.b:c_d-9"


EXTREMES = [1e308, -1e308, 1.7976931348623157e308, 1e-308, 5e-324, -0.0, 0.0, 1e15, -1e15, 1e16, 1e-15,
            2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**64), 10**30]  # fmt: skip


@pytest.mark.parametrize("value", EXTREMES)
def test_extreme_numbers_in_payload_and_context(fuzz: Api, value: float) -> None:
    """What fits a double comes back as that number, through the database and out again."""
    key = f"extreme-{uuid4().hex[:12]}"
    arms = [{"key": "a", "payload": {"x": value}}, {"key": "b", "payload": value}]
    assert send_json(fuzz, "POST", "/experiments", {"key": key, "arms": arms}).status_code == 201
    assert fuzz.get(f"/experiments/{key}").json["arms"][1]["payload"] == pytest.approx(value, rel=0)
    body = {"unit_id": "u", "context": {"x": value}}
    made = send_json(fuzz, "POST", "/experiments/fuzz/decisions", body)
    read = fuzz.get(f"/decisions/{made.json['decision_id']}").json
    assert read["context"]["x"] == pytest.approx(value, rel=0)


@pytest.mark.parametrize("value", EXTREMES)
def test_extreme_rewards(fuzz: Api, value: float) -> None:
    """Taken up to 1e15 in magnitude, and the sums stay numbers; larger ones are refused."""
    arm = fuzz.decide("continuous")
    sent = {"rewards": [{"decision_id": arm["decision_id"], "reward": value}]}
    (result,) = send_json(fuzz, "POST", "/rewards", sent).json["results"]
    assert result["status"] == ("recorded" if abs(value) <= 1e15 else "invalid")
    for sub in ("results", "timeseries", "propensities", "decisions.ndjson"):
        answer = send(fuzz, "GET", f"/experiments/continuous/{sub}")
        assert answer.status_code == 200
        assert b"NaN" not in answer.data
        assert b"Infinity" not in answer.data
    found = fuzz.get("/experiments/continuous/results").json
    assert all(a["probability_best"] is not None for a in found["arms"])
    assert sum(a["propensity"] for a in found["arms"]) == pytest.approx(1.0)
    assert send(fuzz, "GET", f"/decisions/{arm['decision_id']}").status_code == 200


NUMBERS = st.one_of(
    st.sampled_from(EXTREMES),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e15, 1e15),
    st.floats(0, 1),
    st.integers(-3, 3),
)


@hypothesis_settings(BOUNDED, max_examples=60)
@given(
    reward=st.fixed_dictionaries(
        {"type": st.sampled_from(["continuous", "continuous", "count", "binary"])},
        optional={
            "min": st.none() | NUMBERS,
            "max": st.none() | NUMBERS,
            "default_reward": st.none() | NUMBERS,
            "attribution_window_s": st.sampled_from([1, 86400, 315_360_000, 2**31, 0.5]),
            "aggregation": st.sampled_from(["first", "last", "sum"]),
        },
    ),
    policy=st.sampled_from(
        [
            {"type": "thompson_sampling"},
            {"type": "uniform"},
            {"type": "epsilon_greedy", "params": {"epsilon": 0.3}},
        ]
    ),
    allocation=st.fixed_dictionaries(
        {},
        optional={
            "probability_floor": st.floats(0, 0.5) | NUMBERS,
            "control_share": st.floats(0, 1) | NUMBERS,
        },
    ),
    seed=st.none() | st.integers(0, 2**53) | NUMBERS,
    rewards=st.lists(NUMBERS, min_size=3, max_size=6),
)
def test_experiments_at_the_edge_of_what_is_allowed_work(
    fuzz: Api,
    reward: dict[str, Any],
    policy: dict[str, Any],
    allocation: dict[str, Any],
    seed: Any,
    rewards: list[float],
) -> None:
    """Either refused at creation, or decisions, rewards, results and explanations all work, with finite numbers."""
    key = f"edge-{uuid4().hex[:12]}"
    body = {
        "key": key,
        "arms": ARMS,
        "reward": reward,
        "policy": policy,
        "allocation": allocation,
        "seed": seed,
        "update_interval_s": 0.1,
    }
    if send_json(fuzz, "POST", "/experiments", body).status_code == 422:
        return
    assert fuzz.post(f"/experiments/{key}/start").status_code == 200
    decisions = [fuzz.decide(key, "u") for _ in rewards]
    sent = [
        {"decision_id": decision["decision_id"], "reward": value}
        for decision, value in zip(decisions, rewards, strict=True)
    ]
    for batch in (sent, [{**r, "reward": rewards[0]} for r in sent]):
        assert send_json(fuzz, "POST", "/rewards", {"rewards": batch}).status_code == 200
    found = fuzz.get(f"/experiments/{key}/results")
    assert found.status_code == 200
    for arm in found.json["arms"]:
        assert None not in (arm["probability_best"], arm["propensity"], *arm["credible_interval"])
        assert 0.0 <= arm["probability_best"] <= 1.0
    assert sum(arm["propensity"] for arm in found.json["arms"]) == pytest.approx(1.0)
    for sub in ("", "/explain"):
        answer = send(fuzz, "GET", f"/decisions/{decisions[-1]['decision_id']}{sub}")
        assert answer.status_code == 200
    assert send(fuzz, "GET", f"/experiments/{key}/timeseries").status_code == 200
    assert fuzz.post(f"/experiments/{key}/stop").status_code == 200


TIMES = {
    "far past": "1900-01-01T00:00:00Z",
    "year 1": "0001-01-01T00:00:00Z",
    "year 1 east": "0001-01-01T00:00:00+14:00",
    "far future": "2201-01-01T00:00:00Z",
    "year 9999": "9999-12-31T23:59:59.999999-23:59",
    "year 10000": "10000-01-01T00:00:00Z",
    "negative year": "-2026-01-01T00:00:00Z",
    "no zone": "2026-01-31T09:30:00",
    "date only": "2026-01-31",
    "time only": "09:30:00Z",
    "no such day": "2026-02-30T00:00:00Z",
    "no such hour": "2026-01-31T25:00:00Z",
    "leap second": "2016-12-31T23:59:60Z",
    "no such zone": "2026-01-31T09:30:00+99:99",
    "named zone": "2026-01-31T09:30:00 CET",
    "seconds": "1769851800",
    "words": "yesterday",
    "nul": "2026-01-31T09:30:00Z\x00",
    "arabic digits": "\u0662\u0660\u0662\u0666-01-31T09:30:00Z",
    "empty": "",
    "number": 1769851800,
    "large number": 1e308,
    "infinity": "infinity",
    "now": "now",
    "long": "2026-01-31T09:30:00." + "1" * 5000 + "Z",
}


@pytest.mark.parametrize("at", TIMES.values(), ids=TIMES)
def test_times_that_are_none(fuzz: Api, at: Any) -> None:
    """Far away, without zone, malformed: the reward is invalid, its neighbour is recorded."""
    bad, good = fuzz.decide("fuzz"), fuzz.decide("fuzz")
    rewards = [
        {"decision_id": bad["decision_id"], "reward": 1, "occurred_at": at},
        {"decision_id": good["decision_id"], "reward": 1},
    ]
    answer = send_json(fuzz, "POST", "/rewards", {"rewards": rewards})
    if isinstance(at, str) and "\x00" in at:
        assert answer.status_code == 422  # NUL spoils the whole body
        return
    first, second = answer.json["results"]
    assert first["decision_id"] == bad["decision_id"]
    assert first["status"] == "invalid" or at.startswith("2026-01-31T09:30:00.")
    assert second["status"] == "recorded"


def is_uuid(value: Any) -> bool:
    """32 digits, which Python reads in any script."""
    return isinstance(value, str) and len(value) == 32 and value.isdigit()


@pytest.mark.parametrize(
    "decision_id",
    [
        None,
        7,
        "",
        "x",
        "0190f3c2",
        NOWHERE + "0",
        [],
        {},
        "g" * 32,
        "'; --",
        "0" * 32,
        "\u0661" * 32,
    ],
    ids=repr,
)
def test_bad_decision_ids_spoil_only_their_own_reward(fuzz: Api, decision_id: Any) -> None:
    """The answer stays in order."""
    good = fuzz.decide("fuzz")["decision_id"]
    rewards = [{"decision_id": decision_id, "reward": 1}, {"decision_id": good, "reward": 1}]
    answer = send_json(fuzz, "POST", "/rewards", {"rewards": rewards})
    first, second = [r["status"] for r in answer.json["results"]]
    assert first == ("unknown_decision" if is_uuid(decision_id) else "invalid")
    assert second == "recorded"


@pytest.mark.parametrize(
    "written",
    ["{{{}}}", "urn:uuid:{}", "{}"],
)
def test_other_ways_to_write_a_uuid(fuzz: Api, written: str) -> None:
    """Understood or refused, never an error of ours; upper case too."""
    decision_id = fuzz.decide("fuzz")["decision_id"]
    for text in (written.format(decision_id), written.format(decision_id.upper())):
        send_json(fuzz, "POST", "/rewards", {"rewards": [{"decision_id": text, "reward": 1}]})
        send(fuzz, "GET", f"/decisions/{text}")


@pytest.mark.parametrize("n", [0, 1001])
@pytest.mark.parametrize("name", ["rewards", "decisions"])
def test_batches_of_a_wrong_size(fuzz: Api, name: str, n: int) -> None:
    """1 to 1000 elements."""
    _, path, body = TARGETS["rewards" if name == "rewards" else "batch"]
    answer = send_json(fuzz, "POST", path, {name: body[name] * n})
    assert list(answer.json["errors"]) == [name]


def test_a_batch_of_nothing_but_garbage(fuzz: Api) -> None:
    """Each element gets its own problem, in order."""
    garbage = [*WRONG.values(), {"experiment_key": "none", "unit_id": "u"}, {"unit_id": "u"}]
    garbage = [g for g in garbage if g not in ("a\x00b", 10**400)]  # they spoil the whole body
    answer = send_json(fuzz, "POST", "/decisions:batch", {"decisions": garbage})
    statuses = [result["status"] for result in answer.json["results"]]
    assert statuses == [422] * (len(garbage) - 2) + [404, 422]
    assert all(result["problem"].keys() >= MEMBERS for result in answer.json["results"])


def test_duplicate_names_in_an_object(fuzz: Api) -> None:
    """The last one counts, as everywhere; what matters is that the answer tells which."""
    body = b'{"unit_id": "first", "unit_id": "second", "context": {"a": 1, "a": 2}}'
    answer = send(fuzz, "POST", "/experiments/fuzz/decisions", body)
    assert answer.json["unit_id"] == "second"
    assert fuzz.get(f"/decisions/{answer.json['decision_id']}").json["context"] == {"a": 2}


def test_large_but_allowed_requests(fuzz: Api) -> None:
    """As many elements, features, eligible arms and payload as are allowed."""
    context = {f"feature-{i}": "v" * 256 for i in range(200)}
    many = {"unit_id": "u", "eligible_arms": ["a"] * 1000, "context": context}
    assert send_json(fuzz, "POST", "/experiments/fuzz/decisions", many).status_code == 201
    batch = [{"experiment_key": "fuzz", "unit_id": f"u{i}"} for i in range(1000)]
    answer = send_json(fuzz, "POST", "/decisions:batch", {"decisions": batch})
    assert {result["status"] for result in answer.json["results"]} == {201}
    arms = [{"key": "a", "payload": "x" * 900_000}, {"key": "b"}]
    assert (
        send_json(fuzz, "POST", "/experiments", {"key": "heavy", "arms": arms}).status_code == 201
    )


@pytest.mark.parametrize("policy", ["soft_max", "ucb", "", "Uniform", "__class__", "x" * 63])
def test_policies_that_are_not_there(fuzz: Api, policy: str) -> None:
    """The message names those that are."""
    body = {"key": "no-policy", "arms": ARMS, "policy": {"type": policy}}
    answer = send_json(fuzz, "POST", "/experiments", body)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "epsilon", [*EXTREMES[:5], -0.1, 1.1, True, None, "0.1", [0.1], {}, 10**30]
)
def test_policy_parameters_out_of_range(fuzz: Api, epsilon: Any) -> None:
    """epsilon is a number from 0 to 1."""
    policy = {"type": "epsilon_greedy", "params": {"epsilon": epsilon}}
    body = {"key": f"epsilon-{uuid4().hex[:8]}", "arms": ARMS, "policy": policy}
    answer = send_json(fuzz, "POST", "/experiments", body)
    is_fine = isinstance(epsilon, float) and 0.0 <= epsilon <= 1.0
    assert answer.status_code == (201 if is_fine else 422)
    for wrong in ({"type": "uniform", "params": {"x": 1}}, {"type": "uniform", "params": {"": {}}}):
        assert send_json(fuzz, "PATCH", "/experiments/fuzz", {"policy": wrong}).status_code == 422


# The rest goes over a socket to real workers: what no test client lets through.


def raw(gunicorn: Gunicorn, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and read the answer to its end."""
    with socket.create_connection((HOST, gunicorn.port), timeout=20) as connection:
        # Closing with a reset rather than a wait, so that no socket is left behind.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)  # it may answer before it has read everything
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            answer.close()


def head(
    method: str = "POST", path: str = "/api/v1/experiments/real/decisions", *more: str
) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        f"Authorization: Bearer {ADMIN_KEY}",
        "Content-Type: application/json",
        "Connection: close",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunks(total: int, size: int = 65_536) -> bytes:
    """``total`` bytes of JSON white space in chunks."""
    whole = b"%x\r\n" % size + b" " * size + b"\r\n"
    return whole * (total // size) + b"0\r\n\r\n"


@pytest.fixture(scope="module")
def real(module_gunicorn: Gunicorn) -> Gunicorn:
    """Real workers with a running experiment ``real``."""
    module_gunicorn.running("real")
    return module_gunicorn


def problem_in(answer: tuple[int, dict[str, str], bytes]) -> int:
    """The status of an answer that must be a problem."""
    status, headers, body = answer
    assert headers["Content-Type"] == PROBLEM
    assert json.loads(body)["status"] == status
    return status


def test_chunked_body_over_a_megabyte_is_413(real: Gunicorn) -> None:
    """Without a Content-Length the bytes are counted; what is valid so far is not taken for the whole."""
    start = b'{"unit_id": "cut off"}'
    request = head(
        "POST", "/api/v1/experiments/real/decisions", "Transfer-Encoding: chunked"
    ) + b"%x\r\n%b\r\n" % (len(start), start)
    assert problem_in(raw(real, request + chunks(2 * MEGABYTE))) == 413


def test_chunked_body_within_the_limit_is_read(real: Gunicorn) -> None:
    """Chunks are no reason to refuse."""
    body = b'{"unit_id": "chunked"}'
    chunked = b"5\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n"
    more = "Transfer-Encoding: chunked"
    status, _, answer = raw(
        real, head("POST", "/api/v1/experiments/real/decisions", more) + chunked
    )
    assert status == 201
    assert json.loads(answer)["unit_id"] == "chunked"


def test_declared_body_over_a_megabyte_is_413(real: Gunicorn) -> None:
    """Refused by its Content-Length alone, before it has come."""
    request = head("POST", "/api/v1/rewards", f"Content-Length: {10 * MEGABYTE}")
    assert problem_in(raw(real, request + b" " * 1000)) == 413


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Idempotency-Key: \xe9\xff", 400),
        ("Idempotency-Key: ", 400),
        ("Idempotency-Key: " + "x" * 129, 400),
        ("X-Request-Id: \xff\xfe", 201),
        ("Accept: \xff, */*;q=nan", 201),
        ("Content-Encoding: gzip", 201),
        ("Expect: 100-continue", 201),
        ("X-Forwarded-For: ' OR 1=1 --, \xff", 201),
        ("If-None-Match: \xff", 201),
        ("Cookie: " + "x" * 4000, 201),
        ("Range: bytes=99-1", 201),
        ("X-Http-Method-Override: DELETE", 201),
        ("Host: \xff", 201),
    ],
)
def test_odd_headers_on_the_wire(real: Gunicorn, header: str, status: int) -> None:
    """Bytes that are no ASCII reach us as they are."""
    body = b'{"unit_id": "u"}'
    more = (header, f"Content-Length: {len(body)}")
    request = head("POST", "/api/v1/experiments/real/decisions", *more) + body
    found = raw(real, request)
    assert found[0] in (status, 100 if header.startswith("Expect") else status) or (
        header.startswith("Host") and found[0] == 400
    )


@pytest.mark.parametrize(
    "request_bytes",
    [
        head("GET", "/api/v1/experiments?status=\xff"),
        head("GET", "/api/v1/experiments/\xff\xfe"),
        head("GET", "/api/v1/experiments/%00"),
        head("GET", "/api/v1/experiments/%"),
        head("DELETE", "/api/v1/keys/%00"),
        head("GET", "//api//v1//experiments"),
        head("GET", "/api/v1/../../etc/passwd"),
        head("GET", "/" + "a" * 5000),
        head("GET", "/api/v1/experiments?" + "a=1&" * 900),
        head("BREW", "/api/v1/experiments"),
        head("get", "/api/v1/experiments"),
        head("TRACE", "/api/v1/experiments"),
        head("POST", "/api/v1/rewards", "Content-Length: -1"),
        head("POST", "/api/v1/rewards", "Content-Length: 1e3"),
        head("POST", "/api/v1/rewards", "Content-Length: 2", "Content-Length: 3") + b"{}",
        head("POST", "/api/v1/rewards", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
        head("POST", "/api/v1/rewards", "Transfer-Encoding: chunked") + b"-1\r\n{}\r\n0\r\n\r\n",
        head("POST", "/api/v1/rewards", "Transfer-Encoding: chunked", "Content-Length: 2") + b"{}",
        head("POST", "/api/v1/experiments", *[f"X-{i}: 1" for i in range(100)]),
        head("GET", "/api/v1/experiments", "X-Long: " + "x" * 9000),
        head("GET", "/api/v1/experiments", "Nul: a\x00b"),
        head("GET", "/api/v1/experiments", "no colon"),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
    ],
    ids=lambda request: repr(request[:48]),
)
def test_odd_requests_on_the_wire(real: Gunicorn, request_bytes: bytes) -> None:
    """Refused by the server or by us, or understood; never a failure, and the worker goes on."""
    try:
        status, _, body = raw(real, request_bytes)
    except (http.client.BadStatusLine, ConnectionResetError):
        pass  # hung up on, which is an answer too
    else:
        assert status not in (500, 502, 503, 504)
        assert b"Traceback" not in body
    assert real.ask("GET", "/api/readyz").status == 200


def test_half_a_request_hurts_nobody(real: Gunicorn) -> None:
    """A caller that hangs up in the middle of a body leaves no trace in the log and no stuck worker."""
    for _ in range(20):
        with socket.create_connection((HOST, real.port), timeout=5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(head("POST", "/api/v1/rewards", "Content-Length: 1000") + b'{"rew')
    assert real.ask("GET", "/api/v1/experiments/real/results").status == 200


def test_nothing_unexpected_was_logged(real: Gunicorn) -> None:
    """After all of the above the service's own log knows no unexpected error."""
    assert "unexpected error" not in real.log()
