"""A POST with an Idempotency-Key may be sent again safely."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.app import create_app
from backend.http.context import EXTENSION
from tests.conftest import ADMIN_KEY, Api

ARMS = [{"key": "a", "is_control": True}, {"key": "b"}]
REPLAYED = "Idempotent-Replayed"


@pytest.fixture(scope="module")
def other_shared_api(shared_app):
    """Another worker on the shared database."""
    app = create_app(shared_app.extensions[EXTENSION].settings)
    yield Api(app.test_client(), ADMIN_KEY)
    app.extensions[EXTENSION].stop()


@pytest.fixture
def decision(shared_api, key):
    """A decision of the running experiment ``key``; beside it there is a draft."""
    shared_api.running(key)
    shared_api.post("/experiments", {"key": f"{key}-draft", "arms": ARMS})
    return shared_api.decide(key)


def requests(decision):
    """Every POST of the contract: path, body, and another body."""
    key = decision["experiment_key"]
    element = {"experiment_key": key, "unit_id": "u"}
    reward = {"decision_id": decision["decision_id"], "reward": 1}
    return {
        "experiments": (
            "/experiments",
            {"key": f"{key}-new", "arms": ARMS},
            {"key": "x", "arms": ARMS},
        ),
        "start": (f"/experiments/{key}-draft/start", None, {}),
        "pause": (f"/experiments/{key}/pause", None, {}),
        "stop": (f"/experiments/{key}/stop", None, {}),
        "arms": (f"/experiments/{key}/arms", {"key": "c"}, {"key": "d"}),
        "keys": ("/keys", {"name": "n", "role": "reader"}, {"name": "n", "role": "writer"}),
        "decisions": (f"/experiments/{key}/decisions", {"unit_id": "u"}, {"unit_id": "v"}),
        "batch": ("/decisions:batch", {"decisions": [element, {}]}, {"decisions": [element]}),
        "rewards": ("/rewards", {"rewards": [reward, {}]}, {"rewards": [{**reward, "reward": 0}]}),
    }


EVERY = ["experiments", "start", "pause", "stop", "arms", "keys", "decisions", "batch", "rewards"]


@pytest.mark.parametrize("name", EVERY)
def test_the_same_request_gets_the_same_answer(shared_api, decision, key, name):
    """Status and body are those of the first time; only the second says that it is a replay."""
    path, body, _ = requests(decision)[name]

    first = shared_api.post(path, body, idempotency_key=key)
    second = shared_api.post(path, body, idempotency_key=key)

    assert first.status_code in (200, 201), first.text
    assert REPLAYED not in first.headers
    assert second.headers[REPLAYED] == "true"
    assert (second.status_code, second.json) == (first.status_code, first.json)


@pytest.mark.parametrize("name", EVERY)
def test_another_body_under_the_same_key_is_a_conflict(shared_api, decision, key, name):
    """409."""
    path, body, other_body = requests(decision)[name]
    shared_api.post(path, body, idempotency_key=key)

    answer = shared_api.post(path, other_body, idempotency_key=key)

    assert answer.status_code == 409
    assert answer.json["type"].endswith("idempotency-conflict")


@pytest.mark.parametrize("name", EVERY)
def test_the_other_worker_replays_too(shared_api, other_shared_api, decision, key, name):
    """Whichever worker gets the second request."""
    path, body, _ = requests(decision)[name]
    first = shared_api.post(path, body, idempotency_key=key)

    second = other_shared_api.post(path, body, idempotency_key=key)

    assert second.headers[REPLAYED] == "true"
    assert second.json == first.json


def test_another_path_under_the_same_key_is_a_conflict(api):
    """The same body means something else there."""
    api.running("one")
    api.running("two")
    api.post("/experiments/one/decisions", {"unit_id": "u"}, idempotency_key="k")

    answer = api.post("/experiments/two/decisions", {"unit_id": "u"}, idempotency_key="k")

    assert answer.status_code == 409


def test_a_replay_does_nothing(api, query):
    """One decision in the log, counted once."""
    api.running()
    for _ in range(3):
        api.post("/experiments/test/decisions", {"unit_id": "u"}, idempotency_key="k")

    assert query("SELECT count(*) AS n FROM decisions") == [{"n": 1}]
    assert api.get("/experiments/test/results").json["totals"]["decisions"] == 1


def test_callers_do_not_collide(api, app):
    """Another API key with the same Idempotency-Key gets its own decision."""
    api.running()
    secret = api.post("/keys", {"name": "other", "role": "writer"}).json["key"]
    other = Api(app.test_client(), secret)

    answers = [
        caller.post("/experiments/test/decisions", {"unit_id": "u"}, idempotency_key="k")
        for caller in (api, other)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json["decision_id"] != answers[1].json["decision_id"]
    assert not any(REPLAYED in answer.headers for answer in answers)


def test_a_refused_request_may_be_mended(api):
    """What failed kept no answer: once the experiment runs, the same request succeeds."""
    api.post("/experiments", {"key": "test", "arms": ARMS})
    path, body = "/experiments/test/decisions", {"unit_id": "u"}
    refused = api.post(path, body, idempotency_key="k")
    api.post("/experiments/test/start")

    answer = api.post(path, body, idempotency_key="k")

    assert (refused.status_code, answer.status_code) == (409, 201)


@pytest.mark.parametrize("name", ["decisions", "batch"])
def test_concurrent_twins_give_one_decision(
    shared_api, shared_app, other_shared_api, decision, key, name
):
    """Sixteen threads of two workers: all get the same answer, one of them first-hand; one more decision is counted."""
    path, body, _ = requests(decision)[name]
    apps = (shared_app, other_shared_api.client.application)

    def work(i):
        caller = Api(apps[i % 2].test_client(), ADMIN_KEY)
        return caller.post(path, body, idempotency_key=key)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(work, range(16)))

    assert len({answer.data for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    totals = shared_api.get(f"/experiments/{key}/results").json["totals"]
    assert totals["decisions"] == 1 + 1


def test_concurrent_twins_create_one_experiment(api, app, other_app):
    """Eight threads of two workers: nobody is told that the key is taken."""

    def work(i):
        caller = Api((app, other_app)[i % 2].test_client(), ADMIN_KEY)
        body = {"key": "new", "arms": ARMS}
        return caller.post("/experiments", body, idempotency_key="k")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1


def test_a_replayed_key_shows_its_secret_and_the_database_does_not_hold_it(api, app, query):
    """The replay derives it again; no column of any row contains it."""
    body = {"name": "n", "role": "reader"}
    first = api.post("/keys", body, idempotency_key="k").json["key"]

    second = api.post("/keys", body, idempotency_key="k").json["key"]

    assert second == first
    assert Api(app.test_client(), second).get("/experiments").status_code == 200
    kept = query("SELECT body FROM idempotency_keys") + query("SELECT * FROM api_keys")
    assert kept
    assert first.encode() not in repr(kept).encode()
    assert b"salt" in bytes(kept[0]["body"])


def test_after_a_day_the_key_is_free(api, query):
    """24 hours and a second later another body is a new request."""
    api.running()
    path = "/experiments/test/decisions"
    api.post(path, {"unit_id": "u"}, idempotency_key="k")
    query("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'")

    answer = api.post(path, {"unit_id": "v"}, idempotency_key="k")

    assert answer.status_code == 201
    assert answer.json["unit_id"] == "v"


@pytest.mark.parametrize("sent", ["", "k" * 129, "k\u00e9"])
def test_a_key_has_1_to_128_printable_characters(shared_api, key, sent):
    """400 for an empty, an overlong or an odd one."""
    shared_api.running(key)

    answer = shared_api.post(
        f"/experiments/{key}/decisions", {"unit_id": "u"}, idempotency_key=sent
    )

    assert answer.status_code == 400


def test_a_key_of_128_characters_is_fine(api):
    """The longest."""
    api.running()

    answer = api.post("/experiments/test/decisions", {"unit_id": "u"}, idempotency_key="k" * 128)

    assert answer.status_code == 201
