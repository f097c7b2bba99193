"""When PostgreSQL is gone: an honest answer, quickly, that tells nothing about the inside."""

import socket
import time

import pytest

from backend.app import create_app
from backend.http.context import EXTENSION
from backend.settings import Settings
from deploy_cli.local.postgres import PostgresServer
from tests.conftest import ADMIN_KEY, Api
from tests.polling import eventually


@pytest.fixture
def closed_port():
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture
def cut_off(closed_port):
    """An admin of a service that has never seen its database."""
    url = f"postgresql://somebody:hunter2@127.0.0.1:{closed_port}/secret_db"
    app = create_app(Settings(url, refresh_interval_s=0.05, store_timeout_s=0.1))
    yield Api(app.test_client(), ADMIN_KEY)
    app.extensions[EXTENSION].stop()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/experiments", None),
        ("POST", "/experiments/test/decisions", {"unit_id": "u"}),
        ("POST", "/decisions:batch", {"decisions": []}),
        ("POST", "/rewards", {"rewards": []}),
        ("GET", "/experiments/test/decisions.ndjson", None),
    ],
)
def test_requests_are_answered_503_with_retry_after(cut_off, method, path, body):
    """Within 5 s, as a problem, without host, port, database, user or SQL."""
    began_at = time.monotonic()

    answer = cut_off(method, path, body)

    assert time.monotonic() - began_at < 5.0
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    told = answer.text.lower()
    for secret in ("127.0.0.1", "secret_db", "hunter2", "somebody", "select", "psycopg", "port"):
        assert secret not in told


def test_ready_says_which_part_is_not(cut_off):
    """503; the process itself is healthy."""
    ready = cut_off.get("/api/readyz")

    assert ready.status_code == 503
    assert set(ready.json["parts"]) == {"database", "snapshots"}
    assert "127.0.0.1" not in ready.text
    assert cut_off.get("/api/healthz").status_code == 200


def test_ready_when_all_is_there(api):
    """200, once the snapshots are loaded."""
    eventually(lambda: api.get("/api/readyz").status_code == 200)


def test_not_ready_while_stopping(api, services):
    """A load balancer must look elsewhere before the process ends."""
    eventually(lambda: api.get("/api/readyz").status_code == 200)

    services.stopping.set()

    assert api.get("/api/readyz").json["parts"] == {"service": "is stopping"}


@pytest.mark.slow
def test_serves_again_when_the_database_is_back(tmp_path):
    """Stopped under the service, 503; started again, it decides and learns as before, and has lost nothing."""
    from backend.migrate import migrate

    server = PostgresServer(tmp_path / "postgres")
    settings = Settings(
        server.start(), admin_key=ADMIN_KEY, refresh_interval_s=0.05, store_timeout_s=0.5
    )
    try:
        migrate(settings)
        app = create_app(settings)
        api = Api(app.test_client(), ADMIN_KEY)
        api.running()
        kept = api.decide()

        server.stop()
        eventually(lambda: api.post("/rewards", {"rewards": [{}]}).status_code == 503)
        refused = api.post("/experiments/test/decisions", {"unit_id": "u"})
        assert refused.status_code == 503
        assert api.get("/api/readyz").status_code == 503

        server.start()
        eventually(lambda: api.get("/api/readyz").status_code == 200, timeout_s=20.0)
        eventually(lambda: api.get("/experiments/test").status_code == 200)
        assert api.reward(kept["decision_id"], 1)["status"] == "recorded"
        assert api.get("/experiments/test/results").json["totals"]["rewards"] == 1
        app.extensions[EXTENSION].stop()
    finally:
        server.stop()
