"""API keys: made, used, listed and revoked, and what each role may do."""

from dataclasses import replace

import pytest

from backend.domain import Role
from backend.http.auth import required_roles
from backend.migrate import migrate
from tests.conftest import ADMIN_KEY, Api
from tests.polling import eventually

PUBLIC = {"/", "/api/healthz", "/api/readyz", "/api/v1/openapi.json"}


def make(api, role="reader", name="n"):
    answer = api.post("/keys", {"name": name, "role": role})
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_new_key_works_at_once_on_every_worker(api, app, other_app):
    """Nobody has to wait for a refresh."""
    secret = make(api)["key"]

    for worker in (app, other_app):
        assert Api(worker.test_client(), secret).get("/experiments").status_code == 200


def test_a_secret_is_shown_once(api):
    """In the answer that made it, and in no list."""
    made = make(api)

    (listed,) = [k for k in api.get("/keys").json["items"] if k["key_id"] == made["key_id"]]

    assert made["key"].startswith("bs_")
    assert listed == {name: value for name, value in made.items() if name != "key"}


def test_keys_come_in_pages(api):
    """Four keys (one is the fixture's) in pages of three: each once."""
    made = {make(api, name=f"n{i}")["key_id"] for i in range(3)}

    first = api.get("/keys?limit=3").json
    rest = api.get(f"/keys?limit=3&cursor={first['next_cursor']}").json

    ids = [key["key_id"] for key in first["items"] + rest["items"]]
    assert len(ids) == len(set(ids)) == 4
    assert made < set(ids)
    assert rest["next_cursor"] is None


def test_a_revoked_key_is_accepted_nowhere(api, app, other_app):
    """From the moment the revocation is answered, on both workers."""
    made = make(api)
    callers = [Api(worker.test_client(), made["key"]) for worker in (app, other_app)]
    assert [caller.get("/experiments").status_code for caller in callers] == [200, 200]

    answer = api.delete(f"/keys/{made['key_id']}")

    assert answer.status_code == 204
    assert [caller.get("/experiments").status_code for caller in callers] == [401, 401]
    assert made["key_id"] not in [key["key_id"] for key in api.get("/keys").json["items"]]


@pytest.mark.parametrize("key_id", ["key_0123", "A", "a%00b", "..", "%F0%9F%8E%B8"])
def test_an_unknown_key_cannot_be_revoked(shared_api, key_id):
    """404, whatever the path holds."""
    assert shared_api.delete(f"/keys/{key_id}").status_code == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"role": "reader"}, "name"),
        ({"name": "", "role": "reader"}, "name"),
        ({"name": "n"}, "role"),
        ({"name": "n", "role": "root"}, "role"),
        ({"name": "n", "role": "reader", "key": "mine"}, "key"),
    ],
)
def test_what_does_not_fit_is_named(shared_api, body, path):
    """422."""
    answer = shared_api.post("/keys", body)

    assert answer.status_code == 422
    assert path in answer.json["errors"]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer unknown", "Bearer \u00e9"]
)
def test_without_a_valid_key_nobody_gets_in(shared_app, header):
    """401 with the scheme to use."""
    headers = {} if header is None else {"Authorization": header}

    answer = shared_app.test_client().get("/api/v1/experiments", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("reader", [True, False, False]), ("writer", [True, True, False]), ("admin", [True] * 3)],
)
def test_each_role_includes_the_ones_before(shared_api, shared_app, key, role, allowed):
    """Read results, decide, list keys: 403 where the role does not reach."""
    shared_api.running(key)
    caller = Api(shared_app.test_client(), make(shared_api, role)["key"])

    statuses = [
        caller.get(f"/experiments/{key}/results").status_code,
        caller.post(f"/experiments/{key}/decisions", {"unit_id": "u"}).status_code,
        caller.get("/keys").status_code,
    ]

    assert [status != 403 for status in statuses] == allowed


def test_every_route_has_a_role(shared_app):
    """What needs none is public on purpose: this list, and the documentation."""
    roles = required_roles(shared_app)
    open_routes = {
        rule.rule
        for rule in shared_app.url_map.iter_rules()
        if roles[rule.endpoint] is None and not rule.rule.startswith("/api/docs")
    }

    assert open_routes == PUBLIC


def test_a_route_without_a_role_keeps_the_service_from_starting(app):
    """Forgetting it is no way to publish a route."""
    app.view_functions["forgotten"] = lambda: "open"

    with pytest.raises(RuntimeError, match="forgotten"):
        required_roles(app)


def test_changing_is_for_admins_and_logging_for_writers(shared_app):
    """The contract's table: what each POST, PATCH and DELETE needs; every GET but two, and what only computes, is for readers."""
    by_endpoint = required_roles(shared_app)
    roles = {
        (method, rule.rule): by_endpoint[rule.endpoint]
        for rule in shared_app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/") and rule.rule not in PUBLIC
    }
    writers = {path for (_, path), role in roles.items() if role is Role.WRITER}
    admin_gets = {p for (m, p), role in roles.items() if m == "GET" and role is Role.ADMIN}

    assert writers == {
        "/api/v1/experiments/<key:experiment_key>/decisions",
        "/api/v1/decisions:batch",
        "/api/v1/rewards",
    }
    assert admin_gets == {
        "/api/v1/keys",
        "/api/v1/experiments/<key:experiment_key>/decisions.ndjson",
    }
    computing = {
        "/api/v1/experiments/<key:experiment_key>/evaluations",
        "/api/v1/simulations",
    }
    for (method, path), role in roles.items():
        if method != "GET" and path not in writers:
            needed = Role.READER if path in computing else Role.ADMIN
            assert role is needed, (method, path)


def test_the_admin_key_of_the_settings_is_made_sure_of(api, app, settings, query):
    """Revoked by mistake, it is valid again after the next migration: there is always a way in."""
    query("UPDATE api_keys SET revoked_at = now()")
    eventually(lambda: api.get("/keys").status_code == 401)

    migrate(replace(settings, admin_key=ADMIN_KEY))

    assert api.get("/keys").status_code == 200
    assert len(api.get("/keys").json["items"]) == 1
